"""A Dramatiq application that uses what Dramatiq offers: bare, or with `Idempotency` before or after `Retries`."""

import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage, GroupCallbacks, Middleware, Retries, SkipMessage
from dramatiq.rate_limits import ConcurrentRateLimiter, WindowRateLimiter
from dramatiq.rate_limits.backends import RedisBackend as LimitsBackend
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend as ResultsBackend
from dramatiq_abort import Abortable
from dramatiq_abort.backends import RedisBackend as AbortBackend
from native_marks import mark, wait_to_go_on

URL = os.environ["REDIS_URL"]
GUARD = os.environ["PLAIN_GUARD"]
BACKOFF = {"min_backoff": 100, "max_backoff": 200}


class Fetched(Middleware):
    """How many messages this worker has fetched, for which no thread is free."""

    def before_worker_boot(self, broker, worker):
        self._worker = worker

    def count(self):
        return self._worker.work_queue.qsize()


fetched = Fetched()
limits = LimitsBackend(url=URL)
abortable = Abortable(backend=AbortBackend.from_url(URL))
broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=ResultsBackend(url=URL), store_results=True))
broker.add_middleware(GroupCallbacks(limits))
broker.add_middleware(CurrentMessage())
broker.add_middleware(abortable)
broker.add_middleware(fetched)
if GUARD != "bare":
    from queues import Once
    from queues.backends.dramatiq import Idempotency

    place = {"before": Retries} if GUARD == "before Retries" else {}
    broker.add_middleware(Idempotency(URL, once=Once(lease=5.0)), **place)
dramatiq.set_broker(broker)


def busy(seconds):
    """Pass time in Python code, so that an exception from outside arrives."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.01)


@dramatiq.actor
def give(name, value):
    mark(name)
    return value


@dramatiq.actor
def note(name, value=None):
    mark(name, repr(value))
    return value


@dramatiq.actor(max_retries=2, **BACKOFF)
def fails(name, times):
    if mark(name, str(CurrentMessage.get_current_message().options.get("retries", 0))) <= times:
        raise ValueError(name)
    return "at last"


@dramatiq.actor(max_retries=3, min_backoff=600, max_backoff=600)
def fails_slowly(name):
    if mark(name, repr(time.time())) == 1:
        raise ValueError(name)


@dramatiq.actor(max_retries=0, **BACKOFF)
def asks_for_more(name):
    if mark(name) == 1:
        raise dramatiq.errors.Retry("not yet", delay=200)


@dramatiq.actor(retry_when=lambda retries, error: retries < 2 and isinstance(error, ValueError), **BACKOFF)
def retried_when(name):
    mark(name)
    raise ValueError(name)


@dramatiq.actor(throws=KeyError, max_retries=3, **BACKOFF)
def throws(name):
    mark(name)
    raise KeyError(name)


@dramatiq.actor
def exhausted(message, said):
    mark(message["args"][0] + "-exhausted", f"{message['actor_name']} {said['retries']} of {said['max_retries']}")


@dramatiq.actor(max_retries=1, on_retry_exhausted="exhausted", **BACKOFF)
def exhausts(name):
    mark(name)
    raise ValueError(name)


@dramatiq.actor(max_retries=1, time_limit=300, **BACKOFF)
def too_slow(name):
    mark(name)
    busy(20)


@dramatiq.actor
def nap(name, seconds):
    mark(name, "began")
    busy(seconds)
    mark(name, "ended")


@dramatiq.actor
def waits(name, fetched_first=0):
    """Occupy a thread until the test lets it go on, and so many messages are fetched."""
    mark(name)
    wait_to_go_on(name)
    while fetched.count() < fetched_first:
        time.sleep(0.01)


@dramatiq.actor(max_retries=0)
def skips(name):
    mark(name)
    raise SkipMessage(name)


@dramatiq.actor
def on_success(message, result):
    mark(message["args"][0] + "-callback", f"success {result}")


@dramatiq.actor
def on_failure(message, error):
    mark(message["args"][0] + "-callback", f"{error['type']}: {error['message']}")


@dramatiq.actor(max_retries=50, **BACKOFF)
def one_at_a_time(name, number):
    with ConcurrentRateLimiter(limits, f"mutex-{name}", limit=1).acquire():
        mark(name, "in")
        busy(0.2)
        mark(name, "out")


@dramatiq.actor(max_retries=50, **BACKOFF)
def two_a_second(name, number):
    with WindowRateLimiter(limits, f"window-{name}", limit=2, window=1).acquire():
        mark(name, repr(time.time()))


@dramatiq.actor
def says_its_message(name):
    message = CurrentMessage.get_current_message()
    return [message.message_id, message.actor_name, list(message.args)]


@dramatiq.actor(priority=100)
def low(name, number):
    mark(name, "low")


@dramatiq.actor(priority=1)
def high(name, number):
    mark(name, "high")
