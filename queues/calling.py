"""Call a task's function, sync or async, so that its run can be stopped from outside."""

import asyncio
import concurrent.futures
import os
import threading
from typing import Any

from queues.run import Run, StopRunError, set_current
from queues.task import AnyTask

CANCEL_WAIT_S = 10.0


def call(task: AnyTask, run: Run) -> Any:
    """The task's own result.

    Raises:
        LeaseLostError, TaskCancelledError: the run was stopped from outside.
        BaseException: whatever the task raises.
    """
    try:
        return _call_async(task, run) if task.is_async else _call_sync(task, run)
    except (StopRunError, asyncio.CancelledError, concurrent.futures.CancelledError):
        run.leave()
        run.check()
        raise


def _call_sync(task: AnyTask, run: Run) -> Any:
    set_current(run)
    run.enter()
    try:
        return task.fn(*run.message.args, **run.message.kwargs)
    finally:
        run.leave()
        set_current(None)


def _call_async(task: AnyTask, run: Run) -> Any:
    ended = threading.Event()

    async def awaited() -> Any:
        set_current(run)
        run.enter(asyncio.current_task())
        try:
            return await task.fn(*run.message.args, **run.message.kwargs)
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
