"""The keys that a process remembers: so many, whatever its threads do."""

import itertools
import threading

import pytest

from queues import Call
from queues.idempotency.state import Look
from queues.known_keys import KnownKeys
from queues.task import AnyTask
from tests.unit.queues.bench import Bench


@pytest.fixture
def task() -> AnyTask:
    return Bench().task(abs)


def test_the_keys_that_were_met_last_are_known(task: AnyTask):
    keys = KnownKeys(most_keys=10)
    call = Call((1,))
    for number in range(35):
        keys.add(str(number), is_ended=number % 2 == 0)
    looks = {number: keys.look(task, call, str(number), "") for number in range(35)}

    assert [number for number, look in looks.items() if look is not None] == [*range(20, 35)]
    assert (looks[34], looks[33]) == (Look("", is_ended=True), Look(""))
    assert keys.look(task, call, "34", "f1") == Look("f1", is_ended=True)


def test_many_threads_may_add_and_look_at_once(task: AnyTask):
    keys = KnownKeys(most_keys=50)
    call = Call((1,))
    raised: list[BaseException] = []

    def use(name: str) -> None:
        try:
            for number in range(5_000):
                keys.add(f"{name}{number}", is_ended=False)
                keys.look(task, call, f"{name}{number - 20}", "")
        except BaseException as exc:  # noqa: BLE001 - the test tells it
            raised.append(exc)

    threads = [threading.Thread(target=use, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = sum(keys.look(task, call, f"{n}{i}", "") is not None for n, i in itertools.product("abcd", range(5_000)))

    assert raised == []
    assert 0 < known <= 2 * 50 + 4
