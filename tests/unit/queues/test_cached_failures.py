"""Which failures answer a new submission, and which let it run."""

import pytest

from queues import Decision, Once, Tasks, connect


@pytest.mark.parametrize(
    ("cache_failures", "error", "decision"),
    [
        (False, ValueError("no"), Decision.EXECUTED),
        (True, ValueError("no"), Decision.REPLAYED),
        ((ValueError,), ValueError("no"), Decision.REPLAYED),
        ((ValueError,), KeyError("no"), Decision.EXECUTED),
    ],
)
def test_a_cached_failure_answers_and_another_lets_a_new_submission_run(cache_failures, error, decision):
    tasks = Tasks(namespace="failing")
    queue = connect(tasks, backend="memory")
    runs = []

    @tasks.task(max_retries=0, once=Once(cache_failures=cache_failures))
    def fails():
        runs.append(1)
        raise error

    fails.send()
    queue.backend.run_pending()
    again = fails.send()
    queue.backend.run_pending()

    assert again.decision is decision
    assert len(runs) == (1 if decision is Decision.REPLAYED else 2)
    assert again.status().error.message == str(error)
