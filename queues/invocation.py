"""Invoke a task's function, sync or async, so that its run can be stopped from outside."""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine, Generator
from typing import Any

from queues.errors import SoftTimeLimitError
from queues.run import Run, StopRunError, set_current
from queues.task import AnyTask

CANCEL_WAIT_S = 10.0
STOPS = (StopRunError, asyncio.CancelledError, concurrent.futures.CancelledError)


def invoke(task: AnyTask, run: Run) -> Any:
    """The task's own result.

    Raises:
        LeaseLostError, TaskCancelledError, TimeLimitError: the run was stopped from outside.
        BaseException: whatever the task raises.
    """
    try:
        return _invoke_async(task, run) if task.is_async else _invoke_sync(task, run)
    except BaseException as exc:
        # Once more: an exception from outside may have come while the function was being left.
        run.leave()
        set_current(None)
        if isinstance(exc, STOPS) or run.is_over:
            run.check()
        raise


def _invoke_sync(task: AnyTask, run: Run) -> Any:
    set_current(run)
    run.enter()
    try:
        return task.fn(*run.message.args, **run.message.kwargs)
    finally:
        run.leave()
        set_current(None)


def _invoke_async(task: AnyTask, run: Run) -> Any:
    ended = threading.Event()

    async def awaited() -> Any:
        set_current(run)
        run.enter(asyncio.current_task())
        try:
            coroutine = task.fn(*run.message.args, **run.message.kwargs)
            return await (coroutine if task.time_limits.soft_s is None else _Remindable(coroutine, run))
        finally:
            run.leave()
            ended.set()

    future = asyncio.run_coroutine_threadsafe(awaited(), _loop())
    try:
        return future.result()
    except BaseException:
        # A signal interrupts this thread, not the coroutine: it must have ended before its lease does.
        if future.cancel():
            ended.wait(CANCEL_WAIT_S)
        raise


class _Remindable:
    """A coroutine in which a reminder of the soft time limit is a SoftTimeLimitError, where asyncio would cancel it.

    Only a cancellation reaches a task that waits; an `except SoftTimeLimitError` in the coroutine must see another
    exception.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], run: Run) -> None:
        self._coroutine = coroutine
        self._run = run

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, raised = self._coroutine, None
        while True:
            try:
                waited_for = coroutine.send(None) if raised is None else coroutine.throw(raised)
            except StopIteration as stop:
                return stop.value
            try:
                yield waited_for
                raised = None
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as exc:  # noqa: BLE001 - asyncio throws what was awaited into the coroutine
                raised = self._translated(exc)

    def _translated(self, thrown: BaseException) -> BaseException:
        if not isinstance(thrown, asyncio.CancelledError) or not self._run.take_reminder():
            return thrown
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        return SoftTimeLimitError()


class _Loop:
    """The event loop of this process's async tasks, on a thread of its own."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="onceq-loop", daemon=True).start()


_loop_lock = threading.Lock()
_process_loop: list[_Loop] = []


def _loop() -> asyncio.AbstractEventLoop:
    with _loop_lock:
        if not _process_loop or _process_loop[0].pid != os.getpid():
            _process_loop[:] = [_Loop()]
        return _process_loop[0].loop
