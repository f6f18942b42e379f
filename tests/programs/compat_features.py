"""A Celery application with what people use of Celery less often, for the comparison of the two sides."""

import os
import time
from datetime import timedelta
from typing import Any

import celery
from celery.contrib.abortable import AbortableTask
from celery.exceptions import SoftTimeLimitExceeded
from celery.worker.request import Request
from compat_sides import ledger, make_app, mark
from kombu import Exchange, Queue

SETTINGS = os.environ.get("COMPAT_SETTINGS", "")
"""Names of settings that are switched on, with commas."""

app = make_app("compat_features")
app.conf.update(
    task_queues=[
        Queue("celery"),
        Queue("topics", Exchange("topics", type="topic"), routing_key="news.#"),
        Queue("direct", Exchange("orders"), routing_key="order"),
    ],
    worker_pool_restarts=True,
    worker_state_db=None,
    task_acks_on_failure_or_timeout="refuse_failures" not in SETTINGS,
    accept_content=["json"] if "json_only" in SETTINGS else app.conf.accept_content,
    result_backend_always_retry="retry_results" in SETTINGS,
    task_create_missing_queues="known_queues" not in SETTINGS,
    worker_soft_shutdown_timeout=5.0 if "soft_shutdown" in SETTINGS else 0.0,
    beat_schedule={"tick": {"task": "compat_features.tick", "schedule": timedelta(seconds=0.5)}},
)


class Whole(celery.Task):
    """Notes each hook that Celery calls."""

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        mark(args[0], "before_start")

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        mark(args[0], f"on_success {retval}")

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        mark(args[0], f"on_failure {exc}")

    def on_retry(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        mark(args[0], f"on_retry {exc}")

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        mark(args[0], f"after_return {status}")


class Called(celery.Task):
    """A class with a call of its own."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return f"called {super().__call__(*args, **kwargs)}"


class Noting(Request):
    """A request that notes when a process has taken it."""

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        mark(self.id, "accepted")
        super().on_accepted(pid, time_accepted)


class Noted(celery.Task):
    """A task with a request class of its own."""

    Request = Noting


@app.task(base=Whole, bind=True, max_retries=1)
def whole(self: Any, name: str, failures: int) -> str:
    if self.request.retries < failures:
        raise self.retry(exc=ValueError("no"), countdown=0)
    return "done"


@app.task(base=Called)
def called(name: str) -> str:
    return name


@app.task(base=Noted)
def noted() -> None:
    """Does nothing: the request is what is looked at."""


@app.task
def echo(value: Any) -> Any:
    return value


@app.task
def note(name: str, text: str = "run") -> int:
    return mark(name, text)


@app.task(bind=True)
def routing_key(self: Any) -> str:
    return str(self.request.delivery_info["routing_key"])


@app.task(bind=True)
def progress(self: Any, name: str) -> str:
    self.update_state(state="PROGRESS", meta={"done": 50})
    while not ledger().exists(f"go:{name}"):
        time.sleep(0.05)
    return "done"


@app.task(autoretry_for=(KeyError,), dont_autoretry_for=(IndexError,), max_retries=2, default_retry_delay=0)
def picky(name: str, kind: str) -> None:
    mark(name, "run")
    raise {"key": KeyError, "index": IndexError}[kind](kind)


@app.task(autoretry_for=(KeyError,), retry_backoff=1, retry_backoff_max=2, retry_jitter=False, max_retries=2)
def backing_off(name: str) -> None:
    mark(name, time.time())
    raise KeyError(name)


@app.task(acks_late=True)
def late_failing(name: str) -> None:
    mark(name, "run")
    raise ValueError(name)


@app.task(acks_late=True, reject_on_worker_lost=True)
def late_sleep(name: str, seconds: float) -> str:
    mark(name, "begin")
    time.sleep(seconds)
    mark(name, "end")
    return "done"


@app.task
def limited_sleep(name: str) -> str:
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        return "told"
    return "slept"


@app.task(rate_limit="1/h")
def hourly(name: str) -> int:
    return mark(name, "run")


@app.task
def fill_memory(megabytes: int) -> int:
    held = bytearray(megabytes << 20)
    return os.getpid() if held[-1:] is not None else 0


@app.task
def pid() -> int:
    return os.getpid()


@app.task(bind=True, base=AbortableTask)
def abortable(self: Any, name: str) -> str:
    mark(name, "begin")
    while not self.is_aborted():
        time.sleep(0.05)
    return "stopped"


@app.task
def tick() -> None:
    mark(os.environ.get("COMPAT_TICKS", "ticks"), "tick")


@app.task(ignore_result=True)
def silent(name: str) -> int:
    return mark(name, "run")


@app.task(bind=True)
def stamps(self: Any) -> dict[str, Any]:
    return {"stamped": self.request.stamped_headers, "stamps": self.request.stamps}
