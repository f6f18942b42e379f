"""Where a backend has priorities, a high one overtakes what was sent before."""

from tests.integration.workers.conftest import Begin, StageOf

BACKLOG = 50


def test_a_high_priority_overtakes_a_backlog_on_celery_and_redis(stage_of: StageOf, begin: Begin, name: str):
    stage = stage_of("celery")
    waiting = [stage.program.echo.send(f"{name}-{n}", name) for n in range(BACKLOG)]
    low = stage.program.echo.send_with_options((f"{name}-low", name), priority=0)
    high = stage.program.echo.send_with_options((f"{name}-high", name), priority=9)

    begin(stage, "celery", concurrency=1)
    finished_ms = {}
    for handle in (*waiting, low, high):
        handle.result(timeout=30)
        finished_ms[handle.id] = handle.status().finished_ms

    before_high = [h for h in waiting if finished_ms[h.id] < finished_ms[high.id]]
    assert len(before_high) <= 2  # what the worker had fetched before it looked again
    assert finished_ms[low.id] >= max(finished_ms[h.id] for h in waiting)
