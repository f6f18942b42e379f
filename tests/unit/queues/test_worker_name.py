import os

from queues.idempotency.worker import new_execution, worker_name, worker_of


def test_a_delivery_is_named_after_the_worker_that_has_it_and_no_two_alike():
    first, second = new_execution("celery"), new_execution("celery")

    assert first != second
    assert worker_of(first) == worker_of(second) == worker_name("celery")
    assert worker_name("celery").endswith(f":{os.getpid()}")


def test_a_delivery_outside_any_worker_names_none():
    assert worker_of(new_execution("")) is None
    assert worker_of("0123456789abcdef") is None
