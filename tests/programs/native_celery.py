"""A Celery application that knows of this library only its task class: `celery -A native_celery worker`."""

import os
import time

from celery import Celery
from celery.exceptions import Ignore, Reject
from crash_points import arm
from native_marks import mark

from queues import Once
from queues.backends.celery import IdempotentTask

arm()
app = Celery("native", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["REDIS_URL"])
app.conf.update(broker_connection_retry_on_startup=True, task_track_started=False)

LEASED = {"base": IdempotentTask, "once": Once(lease=2.0)}


@app.task(base=IdempotentTask)
def add(name, a, b=0):
    mark(name, f"{a}+{b}")
    return a + b


@app.task(base=IdempotentTask)
def give(name, value):
    mark(name)
    return value


@app.task(**LEASED)
def nap(name, seconds):
    mark(name, "began")
    time.sleep(seconds)
    mark(name, "done")
    return name


@app.task(base=IdempotentTask)
def total(numbers, name):
    mark(name)
    return sum(numbers)


@app.task(bind=True, base=IdempotentTask, max_retries=3)
def asks_again(self, name, times):
    count = mark(name)
    if count <= times:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task(bind=True, base=IdempotentTask, max_retries=3)
def asks_late(self, name):
    mark(name)
    raise self.retry(countdown=2)


@app.task(bind=True, base=IdempotentTask, max_retries=1)
def gives_up(self, name):
    mark(name)
    raise self.retry(exc=ValueError(name), countdown=0.1)


@app.task(base=IdempotentTask, autoretry_for=(OSError,), retry_backoff=False, default_retry_delay=0.1, max_retries=2)
def retried_by_celery(name, times):
    if mark(name) <= times:
        raise OSError(name)
    return "at last"


@app.task(base=IdempotentTask)
def fails(name):
    mark(name)
    raise ValueError(name)


@app.task
def noted(result, name):
    mark(name, str(result))
    return result


@app.task
def noted_error(request, exc, traceback, name):
    mark(name, type(exc).__name__)


@app.task(base=IdempotentTask)
def wants_back(name):
    if mark(name) == 1:
        raise Reject("not yet", requeue=True)
    return "taken"


@app.task(base=IdempotentTask)
def refuses(name):
    mark(name)
    raise Ignore


@app.task(base=IdempotentTask, once=Once(lease=2.0, max_lost=1))
def kills_its_worker(name):
    mark(name)
    os.kill(os.getpid(), 9)


@app.task(**LEASED)
def step(name, value):
    mark(name)
    return value


@app.task(**LEASED)
def last_step(value, name):
    mark(name, str(value))
    return value


@app.task(**LEASED, soft_time_limit=0.5)
def too_slow(name):
    mark(name)
    time.sleep(20)


@app.task(**LEASED, time_limit=0.5)
def far_too_slow(name):
    mark(name)
    time.sleep(20)


@app.task(bind=True, base=IdempotentTask)
def replaced(self, name):
    mark(name)
    return self.replace(give.s(f"{name}-replacement", 7))
