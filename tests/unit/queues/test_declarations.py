"""What cannot be meant is refused where it is written, by its name."""

from typing import Any

import pytest

from queues import Concurrency, Once, Tasks, connect
from queues.errors import InvalidArgumentsError, InvalidOptionError


def declared(**options: Any) -> Any:
    return Tasks(namespace="shop").task(name="shop.pay", **options)(lambda order: order)


@pytest.mark.parametrize(
    "options",
    [
        {"queue": ""},
        {"queue": "two words"},
        {"queue": "7th"},
        {"queue": 5},
        {"max_retries": "3"},
        {"max_retries": -1},
        {"max_retries": True},
        {"once": True},
        {"backoff": 5},
    ],
    ids=repr,
)
def test_an_option_of_a_task_that_cannot_be_used_is_named(options: dict[str, Any]):
    (name,) = options
    with pytest.raises(InvalidOptionError, match=rf"^{name}=.* of shop\.pay: "):
        declared(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ttl": "60"}, "ttl='60': seconds, above 0"),
        ({"ttl": None}, "ttl=None: seconds, above 0"),
        ({"ttl": -1}, "ttl=-1: seconds, above 0"),
        ({"lease": 0.05}, "lease=0.05: seconds, 0.1 or more"),
        ({"lease": 60, "lock_ttl": 30}, "lock_ttl=30: seconds, lease=60 or more"),
        ({"max_lost": -1}, "max_lost=-1: 0 or more"),
        ({"replicas": 1.5}, "replicas=1.5: a whole number from 0 to 100"),
        ({"near_cache": "x"}, "near_cache='x': seconds, from 0 to ttl=3600.0"),
        ({"quiet": "x", "on_duplicate": "debounce"}, "quiet='x': seconds, 0 or more"),
    ],
    ids=repr,
)
def test_an_option_of_a_policy_that_cannot_be_used_is_named_with_its_condition(options: dict[str, Any], said: str):
    with pytest.raises(InvalidOptionError) as caught:
        Once(**options)

    assert str(caught.value) == said


def test_a_name_that_is_no_parameter_is_told():
    with pytest.raises(InvalidOptionError, match=r"^per of shop\.pay: 'zz' is no parameter of it; it has order$"):
        declared(concurrency=Concurrency(3, per="zz"))
    with pytest.raises(InvalidOptionError, match=r"^key='order' of shop\.pay: a tuple of its parameters' names"):
        declared(once=Once(key="order"))


def test_a_schedule_of_what_is_no_task_says_where_it_stands():
    def pay() -> None: ...

    with pytest.raises(InvalidOptionError, match=r"^pay is no task: .* above @tasks\.task"):
        Tasks().schedule("0 3 * * *")(pay)


@pytest.mark.parametrize("given", ["abc", b"abc", 5, None, {"order": 1}], ids=repr)
def test_a_text_is_not_taken_for_its_letters(given: Any):
    task = declared()
    with connect(task._tasks, backend="memory"):
        with pytest.raises(InvalidArgumentsError, match="a tuple"):
            task.send_many([(1,), given])
        with pytest.raises(InvalidArgumentsError, match="a tuple"):
            task.send_with_options(given)


def test_what_is_no_collection_of_calls_is_refused():
    task = declared()
    with connect(task._tasks, backend="memory"), pytest.raises(InvalidArgumentsError, match="a collection of calls"):
        task.send_many(5)


@pytest.mark.parametrize("timeout", ["x", None, True, float("inf"), float("nan")], ids=repr)
def test_a_time_that_cannot_be_waited_is_refused(timeout: Any):
    task = declared()
    with connect(task._tasks, backend="memory"), pytest.raises(InvalidOptionError, match=r"^timeout=.*: seconds"):
        task.send(1).result(timeout=timeout)
