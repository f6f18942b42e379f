"""`queues migrate` takes a backend's messages to the other one, while both have workers and producers go on."""

import signal
from concurrent.futures import ThreadPoolExecutor

import dramatiq
import pytest
from dramatiq.brokers.redis import MAINTENANCE_SCALE, RedisBroker

from queues.errors import BrokerUnavailableError
from tests.integration.workers.conftest import Begin, StageOf
from tests.integration.workers.migrating import DEADLINE_S, Migrate, depth_messages, moved
from tests.stage import Stage, eventually

TASKS = 5_000
DELAY_S = 1.5


@pytest.fixture(params=[("celery", "dramatiq"), ("dramatiq", "celery")], ids="-to-".join)
def both(request: pytest.FixtureRequest, stage_of: StageOf) -> tuple[Stage, Stage]:
    """The backend that is left and the one that is gone on with: the same tasks, over the same records."""
    old, new = request.param
    first = stage_of(old)
    return first, stage_of(new, redis_url=first.redis_url)


@pytest.mark.slow
def test_five_thousand_tasks_move_under_load_and_each_runs_once(both: tuple[Stage, Stage], begin: Begin, name: str):
    old, new = both
    names = [f"{name}-{n}" for n in range(TASKS)]
    old.program.echo.send_many([(each, n) for n, each in enumerate(names[: TASKS // 2])])
    begin(new, new.backend)
    some = names[: TASKS // 2 : 50]
    migrate = Migrate(old, new)

    def produce(stage: Stage, share: range) -> None:
        program, queue = stage.connect()
        for n in share:
            program.echo.send(names[n], n)
        queue.close()

    with ThreadPoolExecutor() as producers:
        on_old = producers.submit(produce, old, range(TASKS // 2, TASKS * 3 // 4))
        on_new = producers.submit(produce, new, range(TASKS * 3 // 4, TASKS))
        moving = producers.submit(migrate, "--move")
        # Not before it has moved something, or a quick worker would leave little to move.
        eventually(lambda: old.ledger.exists(*(f"{new.program.EFFECTS}:{each}" for each in some)))
        begin(old, old.backend)
        _, told = moving.result()
    on_old.result()
    on_new.result()
    _, told_again = migrate("--move")
    code, drained = migrate("--timeout", "200")
    eventually(lambda: old.queue.unfinished() == 0, within_s=DEADLINE_S)
    results = [old.program.echo.send(each, n).result(timeout=0) for n, each in enumerate(names)]

    assert (code, drained["is_empty"]) == (0, True)
    assert told["moved"] + told_again["moved"] > TASKS // 10
    assert results == list(range(TASKS))
    assert [each for each in names if old.effects(each) != ["ran"]] == []


def test_a_moved_message_keeps_its_id_arguments_priority_and_delay(both: tuple[Stage, Stage], begin: Begin, name: str):
    old, new = both
    urgent = old.program.echo.send_with_options((f"{name}-urgent", {"n": b"\x00"}), priority=9)
    late = old.program.echo.send_with_options((f"{name}-late", 2), delay=DELAY_S)
    sent_ms = late.status().created_ms

    tally = moved(old, new)
    begin(new, new.backend)

    assert (tally.moved, tally.left, tally.waiting, tally.is_empty) == (2, 0, 0, True)
    assert urgent.result(timeout=60) == {"n": b"\x00"}
    assert late.result(timeout=60) == 2
    assert late.status().finished_ms - sent_ms >= DELAY_S * 1000
    assert [old.effects(f"{name}-{which}") for which in ("urgent", "late")] == [["ran"]] * 2


def test_what_is_not_of_this_library_stays_where_it_is(both: tuple[Stage, Stage], name: str):
    old, new = both
    if old.backend == "celery":
        app = old.queue.backend.app
        app.tasks["program.echo"].apply_async((f"{name}-linked", 1), link=app.tasks["program.add"].s(1))
        app.send_task("another.program", (1,), queue="fast", priority=5)
        old.ledger.lpush("fast", b"garbage that is not json")
        places = ["fast", "fast\x06\x163"]
    else:
        broker = old.queue.backend.broker
        first, then = broker.actors["program.echo"].message(f"{name}-linked", 1), broker.actors["program.add"].message()
        dramatiq.pipeline([first, then], broker=broker).run()
        old.ledger.rpush("dramatiq:fast", "garbage")
        old.ledger.rpush("dramatiq:fast:low", "lost")
        old.ledger.hset("dramatiq:fast.msgs", "garbage", b"garbage that is not json")
        places = ["dramatiq:fast", "dramatiq:fast:low"]
    before = [old.ledger.lrange(place, 0, -1) for place in places]
    [old.program.echo.send(f"{name}-{n}", n) for n in range(3)]

    tally = moved(old, new)

    assert (tally.moved, tally.left, tally.is_empty) == (3, sum(map(len, before)), False)
    assert [old.ledger.lrange(place, 0, -1) for place in places] == before
    assert depth_messages(new) == 3


def test_two_that_move_at_once_share_the_messages(both: tuple[Stage, Stage], stage_of: StageOf, name: str):
    old, new = both
    again = [stage_of(stage.backend, redis_url=stage.redis_url) for stage in both]
    old.program.echo.send_many([(f"{name}-{n}", n) for n in range(600)])

    with ThreadPoolExecutor() as movers:
        first, second = movers.submit(moved, old, new), movers.submit(moved, *again)
    tallies = first.result(), second.result()

    assert sum(tally.moved for tally in tallies) == 600
    assert (depth_messages(old), depth_messages(new)) == (0, 600)


def test_an_interrupted_move_says_so_and_the_next_one_ends_it(both: tuple[Stage, Stage], name: str):
    old, new = both
    old.program.echo.send_many([(f"{name}-{n}", n) for n in range(3_000)])
    migrate = Migrate(old, new)

    process = migrate.start("--move")
    eventually(lambda: depth_messages(old) < 2_900, within_s=DEADLINE_S)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=DEADLINE_S)
    left = depth_messages(old)
    code, told = migrate("--move")

    assert process.returncode == 130
    assert out.splitlines()[-1].startswith(f"migrate: {3_000 - left} moved, 0 left")
    assert (code, told["moved"], told["is_empty"]) == (0, left, True)
    assert depth_messages(new) == 3_000


def test_draining_waits_until_the_old_workers_have_ended(both: tuple[Stage, Stage], begin: Begin, name: str):
    old, new = both
    handle = old.program.steps.send(name, 10, 0.1)
    migrate = Migrate(old, new)

    early, waits = migrate("--timeout", "1")
    begin(old, old.backend)
    code, drained = migrate("--timeout", "200")

    assert (early, waits["waiting"], waits["moved"]) == (1, 1, 0)
    assert (code, drained["is_empty"], drained["moved"]) == (0, True, 0)
    assert handle.status().is_final


def test_one_that_waits_for_absent_workers_says_so_and_repeats_nothing(both: tuple[Stage, Stage], name: str):
    old, new = both
    old.program.echo.send(name, 1)

    waiting = Migrate(old, new).start("--timeout", "7")
    lines = waiting.communicate(timeout=DEADLINE_S)[0].splitlines()

    assert f"No worker of {old.backend} was seen" in lines[1]
    assert f"--move takes it to {new.backend}." in lines[1]
    assert f"1 are still queued on {old.backend}: run with --move, or start a worker of it." in lines
    assert [line.partition(",")[0] for line in lines if "moved;" in line] == [f"0 moved; 1 queued on {old.backend}"]


def test_a_dry_run_counts_and_changes_nothing(both: tuple[Stage, Stage], name: str):
    old, new = both
    old.program.echo.send(name, 1)

    code, told = Migrate(old, new)("--move", "--dry-run")

    assert (code, told["moved"], told["waiting"]) == (1, 0, 1)
    assert (depth_messages(old), depth_messages(new)) == (1, 0)


def test_a_move_to_a_broker_that_is_away_leaves_every_message_where_it_was(
    both: tuple[Stage, Stage], monkeypatch: pytest.MonkeyPatch, name: str
):
    old, new = both
    old.program.echo.send_many([(f"{name}-{n}", n) for n in range(5)])

    def away(*_: object) -> None:
        raise BrokerUnavailableError("gone")

    monkeypatch.setattr(new.queue.backend, "publish_many", away)
    with pytest.raises(BrokerUnavailableError):
        moved(old, new)

    assert depth_messages(old) == 5
    monkeypatch.undo()
    assert moved(old, new).moved == 5


def test_what_a_killed_move_held_comes_back_to_the_old_workers(both: tuple[Stage, Stage], name: str):
    old, _ = both
    old.program.echo.send_many([(f"{name}-{n}", n) for n in range(5)])
    source = old.queue.backend.queued()
    lane = next(lane for lane in source.lanes if source.depth_messages(lane))
    before = depth_messages(old)

    look = source.take(lane, 3, 0, lambda _: True)
    held = source.held_messages()
    if old.backend == "celery":
        with old.queue.backend.app.connection_for_read() as connection:
            qos = connection.channel().qos
            qos.visibility_timeout = 0
            qos.restore_visible()
    else:
        broker = RedisBroker(url=old.redis_url, heartbeat_timeout=0, maintenance_chance=MAINTENANCE_SCALE)
        broker.do_requeue("fast")
        broker.close()

    assert (before, len(look.taken), held) == (5, 3, 3)
    assert (depth_messages(old), source.held_messages()) == (5, 0)
    source.close()


@pytest.mark.rabbitmq
@pytest.mark.parametrize(("old_backend", "new_backend"), [("celery", "dramatiq"), ("dramatiq", "celery")])
def test_a_killed_move_from_rabbitmq_loses_and_repeats_nothing(
    stage_of: StageOf, begin: Begin, name: str, old_backend: str, new_backend: str
):
    old = stage_of(old_backend, "rabbitmq")
    new = stage_of(new_backend, redis_url=old.redis_url)
    names = [f"{name}-{n}" for n in range(1_000)]
    late = old.program.echo.send_with_options((f"{name}-late", 7), delay=DELAY_S)
    old.program.echo.send_many([(each, n) for n, each in enumerate(names)])
    migrate = Migrate(old, new)

    process = migrate.start("--move")
    eventually(lambda: depth_messages(new) > 150, within_s=DEADLINE_S)
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    eventually(lambda: depth_messages(old) + depth_messages(new) >= len(names))
    code, told = migrate("--move")
    begin(new, new.backend)
    result = late.result(timeout=DEADLINE_S)
    eventually(lambda: new.queue.unfinished() == 0, within_s=DEADLINE_S)

    assert (code, told["left"], told["is_held_exact"]) == (0, 0, False)
    assert result == 7
    assert [each for each in [*names, f"{name}-late"] if new.effects(each) != ["ran"]] == []
