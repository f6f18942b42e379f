"""The task system's own object, asked of a queue that is on another one."""

import pytest

from queues import Tasks, connect


@pytest.mark.parametrize(
    ("backend", "name", "needed"),
    [
        ("celery", "broker", "dramatiq"),
        ("dramatiq", "app", "celery"),
        ("memory", "app", "celery"),
        ("memory", "broker", "dramatiq"),
    ],
)
def test_the_object_of_another_task_system_is_missing_with_the_cause(backend, name, needed):
    queue = connect(Tasks(), backend=backend, redis_url="redis://127.0.0.1:1")

    with pytest.raises(AttributeError, match=rf"on {backend} \(QUEUES_BACKEND\); `{name}` needs {needed}"):
        getattr(queue.backend, name)
    assert not hasattr(queue.backend, name)
