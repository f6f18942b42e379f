"""A Celery application that uses what Celery offers: bare, or with `IdempotentTask` as the class of every task."""

import os
import time

import celery
from celery import Celery, signals
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from native_marks import mark

URL = os.environ["REDIS_URL"]

if os.environ["PLAIN_GUARD"] == "bare":
    Base = celery.Task
else:
    from queues.backends.celery import IdempotentTask as Base

app = Celery("plain", broker=URL, backend=URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_track_started=True,
    result_extended=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
)


class Hooked(Base):
    """Notes each of Celery's hooks."""

    abstract = True

    def before_start(self, task_id, args, kwargs):
        mark(f"{args[0]}-hooks", "before_start")

    def on_success(self, retval, task_id, args, kwargs):
        mark(f"{args[0]}-hooks", f"on_success {retval}")

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        mark(f"{args[0]}-hooks", f"on_failure {type(exc).__name__}")

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        mark(f"{args[0]}-hooks", f"on_retry {type(exc).__name__}")

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        mark(f"{args[0]}-hooks", f"after_return {status}")


def told(signal, name):
    """Note the signal under the task's first argument."""

    def receive(sender=None, request=None, args=None, **_):
        arguments = args if args is not None else (request or sender.request).args
        if arguments and isinstance(arguments[0], str):
            mark(f"{arguments[0]}-signals", name)

    signal.connect(receive, weak=False)


for each in ("task_prerun", "task_postrun", "task_success", "task_failure", "task_retry", "task_revoked"):
    told(getattr(signals, each), each)


@app.task(base=Base)
def give(name, value):
    mark(name)
    return value


@app.task(base=Base)
def add(a, b, name=""):
    if name:
        mark(name, f"{a}+{b}")
    return a + b


@app.task(base=Base)
def total(numbers, name):
    mark(name, repr(numbers))
    return sum(numbers)


@app.task(base=Base)
def note(value, name):
    mark(name, repr(value))
    return value


@app.task(base=Base)
def note_error(request, error, traceback, name):
    mark(name, f"{type(error).__name__}: {error}")


@app.task(base=Base)
def fails(name):
    mark(name)
    raise ValueError(name)


@app.task(base=Hooked, bind=True, max_retries=2)
def retries(self, name, times):
    if mark(name, str(self.request.retries)) <= times:
        raise self.retry(countdown=0.1, exc=ValueError(name))
    return "at last"


@app.task(base=Hooked, autoretry_for=(OSError,), retry_backoff=False, default_retry_delay=0.1, max_retries=2)
def retried_by_celery(name, times):
    if mark(name) <= times:
        raise OSError(name)
    return "at last"


@app.task(base=Base, bind=True, max_retries=3)
def retries_with_other_arguments(self, name, left):
    mark(name, str(left))
    if left:
        raise self.retry(args=(name, left - 1), countdown=0.1)
    return "done"


@app.task(base=Hooked)
def hooked(name, value):
    if value is None:
        raise KeyError(name)
    return value


@app.task(base=Base, bind=True)
def tells(self, name):
    request = self.request
    return [request.id, request.task, list(request.args), request.retries, request.delivery_info["routing_key"]]


@app.task(base=Base, bind=True)
def updates(self, name):
    mark(name)
    self.update_state(state="HALF", meta={"done": 50})
    time.sleep(1.5)
    return "whole"


@app.task(base=Base)
def ignored(name):
    mark(name)
    raise Ignore


@app.task(base=Base, ignore_result=True)
def without_result(name):
    mark(name)
    return "nobody sees it"


@app.task(base=Base, expires=0.3)
def soon_expired(name):
    mark(name)


class Shadowed(Base):
    """Shows itself under another name."""

    abstract = True

    def shadow_name(self, args, kwargs, options):
        return f"shadow of {args[0]}"


@app.task(base=Shadowed, bind=True)
def shadowed(self, name):
    return self.request.shadow


@app.task(base=Base, bind=True, time_limit=70, soft_time_limit=60)
def tells_its_limits(self, name):
    return self.request.timelimit


@app.task(base=Base)
def rejected(name):
    mark(name)
    raise Reject("no", requeue=False)


@app.task(base=Base)
def asked_back(name):
    if mark(name) == 1:
        raise Reject("not yet", requeue=True)
    return "taken"


@app.task(base=Base, soft_time_limit=0.5)
def too_slow(name):
    try:
        time.sleep(20)
    except SoftTimeLimitExceeded:
        mark(name, "told")
        raise


@app.task(base=Base, time_limit=1)
def far_too_slow(name):
    mark(name)
    time.sleep(20)


@app.task(base=Base)
def nap(name, seconds):
    mark(name, "began")
    time.sleep(seconds)
    mark(name, "ended")
    return name


@app.task(base=Base, bind=True)
def replaced(self, name):
    mark(name)
    raise self.replace(give.s(f"{name}-other", 7))


@app.task(base=Base, bind=True)
def replaced_by_a_chord(self, name):
    raise self.replace(celery.chord([add.s(n, n) for n in range(3)], total.s(f"{name}-total")))


@app.task(base=Base)
def starts_another(name):
    give.delay(f"{name}-child", 1)
    return name
