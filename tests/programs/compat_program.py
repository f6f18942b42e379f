"""A Celery application with a task for each thing that the two sides are compared in."""

import os
import time
from functools import partial
from typing import Any

import celery.signals
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from compat_sides import ledger, make_app, mark
from kombu import Queue
from kombu.common import Broadcast

app = make_app("compat_program")
app.conf.update(
    task_routes={"compat_program.routed": {"queue": "priority-mail"}},
    task_queues=[Queue("celery"), Broadcast("everywhere")] if "COMPAT_BROADCAST" in os.environ else None,
    task_protocol=int(os.environ.get("COMPAT_PROTOCOL", "2")),
)


if "COMPAT_SIGNALS" in os.environ:
    for signal_name in (
        "celeryd_init",
        "worker_init",
        "celeryd_after_setup",
        "worker_process_init",
        "worker_ready",
        "before_task_publish",
        "after_task_publish",
        "task_received",
        "task_prerun",
        "task_success",
        "task_failure",
        "task_retry",
        "task_revoked",
        "task_unknown",
        "task_postrun",
        "worker_shutting_down",
        "worker_process_shutdown",
        "worker_shutdown",
    ):
        receiver = partial(lambda fired, **_: mark(os.environ["COMPAT_SIGNALS"], fired), signal_name)
        getattr(celery.signals, signal_name).connect(receiver, weak=False)


@app.task
def add(x: Any, y: Any) -> Any:
    return x + y


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task
def fail(text: str) -> None:
    raise ValueError(text)


@app.task
def note(name: str, text: str = "run") -> int:
    return mark(name, text)


@app.task
def note_failure(request: Any, error: Any, traceback: Any, name: str) -> None:
    mark(name, f"{type(error).__name__}: {error}")


@app.task
def sleep_and_note(name: str, seconds: float) -> None:
    mark(name, "begin")
    time.sleep(seconds)
    mark(name, "end")


@app.task
def early(name: str, seconds: float) -> str:
    mark(name, "begin")
    time.sleep(seconds)
    return "done"


@app.task(bind=True)
def routed(self: Any) -> Any:
    return self.request.delivery_info["routing_key"]


@app.task(rate_limit="2/s")
def limited(name: str) -> None:
    mark(name, time.time())


@app.task(acks_late=True, reject_on_worker_lost=True)
def late(name: str, seconds: float) -> str:
    mark(name, "begin")
    time.sleep(seconds)
    return "done"


@app.task(acks_late=True, reject_on_worker_lost=True)
def late_dying(name: str) -> str:
    if mark(name, "run") == 1:
        os._exit(9)
    return "second"


@app.task(acks_late=True, reject_on_worker_lost=True)
def tally(name: str, number: int) -> None:
    ledger().sadd(f"tally:{name}", number)


@app.task
def pid() -> int:
    return os.getpid()


@app.task
def parent_pid() -> int:
    return os.getppid()


@app.task(bind=True, acks_late=True)
def reject(self: Any, name: str, requeue: bool) -> str:
    if mark(name, self.request.delivery_info["redelivered"]) == 1:
        raise Reject("not now", requeue=requeue)
    return "second"


@app.task(bind=True)
def ignore(self: Any, name: str) -> None:
    mark(name, "run")
    self.update_state(state="KEPT", meta={"by": name})
    raise Ignore


@app.task(bind=True, max_retries=3)
def flaky(self: Any, name: str, failures: int) -> int:
    if mark(name, self.request.retries) <= failures:
        raise self.retry(countdown=0.1)
    return int(self.request.retries)


@app.task(soft_time_limit=1)
def soft(name: str) -> str:
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        mark(name, "told")
        return "cleaned"
    return "slept"


@app.task(time_limit=1)
def hard() -> None:
    time.sleep(30)


@app.task
def die() -> None:
    os._exit(7)


@app.task(bind=True)
def describe(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    request = self.request
    return {
        "args": args,
        "kwargs": kwargs,
        "headers": request.headers,
        "retries": request.retries,
        "priority": request.delivery_info["priority"],
        "routing_key": request.delivery_info["routing_key"],
        "exchange": request.delivery_info["exchange"],
        "redelivered": request.delivery_info["redelivered"],
        "correlation_id": request.correlation_id == request.id,
        "root_id": request.root_id == request.id,
        "timelimit": request.timelimit,
    }


@app.task(bind=True)
def replace(self: Any, x: int) -> Any:
    raise self.replace(add.s(x, 100))
