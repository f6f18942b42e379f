"""The main thread is woken out of a system call, so that what stops its task reaches it."""

import os
import signal
import threading
import time

from queues import waking
from queues.disposition import Failed
from tests.unit.queues.bench import Bench

LIMIT_MS = 90_000


def test_the_main_thread_is_woken_out_of_a_system_call():
    bench = Bench()
    assert threading.current_thread() is threading.main_thread()
    began, slept_s = threading.Event(), 60

    def sleeps() -> None:
        began.set()
        time.sleep(slept_s)

    def passes_the_time() -> None:
        began.wait(60)
        bench.clock.advance(LIMIT_MS)

    thread = threading.Thread(target=passes_the_time)
    thread.start()
    begun_s = time.monotonic()
    disposition = bench.executor.execute(bench.admitted(bench.task(sleeps, time_limit=LIMIT_MS / 1000)))
    thread.join()

    assert isinstance(disposition, Failed)
    assert disposition.failure.code == "time_limit"
    assert time.monotonic() - begun_s < slept_s


def test_a_signal_that_the_program_uses_itself_is_left_to_it():
    heard: list[int] = []
    before = signal.signal(waking.WAKE, lambda number, _: heard.append(number))
    try:
        waking.prepare()
        waking.wake(threading.get_ident(), lambda: True)
        assert heard == []
        os.kill(os.getpid(), waking.WAKE)
        assert heard == [waking.WAKE]
    finally:
        signal.signal(waking.WAKE, before)
