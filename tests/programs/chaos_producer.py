"""A producer for `python -m tests.chaos`: submits, repeats itself and others, and now and then dies at it.

What is submitted follows from the seed and from the time since the run's start, so that a producer that was killed
goes on where it would be now, and several producers ask for the same work.
"""

import os
import random
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import chaos_program as program
import dramatiq
from celery import signals
from dramatiq.middleware import Middleware

from queues import Call, Queue, errors
from queues.asking import message_for
from tests.chaos.ledger import Phase, mono_ms

SEED = int(os.environ["CHAOS_SEED"])
NUMBER = int(os.environ["CHAOS_PRODUCER"])
PRODUCERS = int(os.environ["CHAOS_PRODUCERS"])
RATE = float(os.environ["CHAOS_RATE"])
START_MS = float(os.environ["CHAOS_START_MS"])
DIES = float(os.environ["CHAOS_DIES"])
LEASE_MS = round(program.LEASE_S * 1000)
TRIES = 8
UNEXPECTED = 70
THREADS = 6
BURST_EVERY, BURST = 10, 30

stopping = threading.Event()
death = random.Random()


class Dying(Middleware):
    """Dramatiq's named point between admit and publish."""

    def before_enqueue(self, broker: dramatiq.Broker, message: Any, delay: int | None) -> None:
        die_sometimes()


def die_sometimes(**_: Any) -> None:
    """Kill this process, by chance; called after the work was admitted and before its message is published."""
    if death.random() < DIES:
        program.ledger.write(Phase.DIED, "")
        os.kill(os.getpid(), signal.SIGKILL)


def connected() -> Queue:
    """The queue; with a hook before publication when this producer is one of those that die there."""
    if DIES and os.environ["QUEUES_BACKEND"] == "celery":
        signals.before_task_publish.connect(die_sometimes, weak=False)
    return program.queue(Dying()) if DIES else program.queue()


def call_for(number: int) -> tuple[Any, Call]:
    """The task and the arguments of the piece of work of that number."""
    chance = random.Random(f"{SEED} {number}")
    kinds = [program.unfenced, program.fenced, program.flaky, program.awaited]
    task = chance.choices(kinds, weights=[40, 30, 15, 15])[0]
    is_long = chance.random() < (0.08 if task is program.fenced else 0.03)
    work_ms = chance.randrange(LEASE_MS, 2 * LEASE_MS) if is_long else chance.randrange(5, 200)
    if task is program.fenced:
        work_ms *= 2
    delay_s = chance.uniform(0.2, 2.0) if chance.random() < 0.1 else 0.0
    return task, Call((f"{SEED}-{number}", work_ms), delay=delay_s)


def submit(task: Any, call: Call) -> None:
    """Submit until it is acknowledged, as a careful client would."""
    name = call.args[0]
    for attempt in range(TRIES):
        program.ledger.write(Phase.SUBMIT, name)
        try:
            handle = task.send_with_options(args=call.args, delay=call.delay)
        except (errors.StoreUnavailableError, errors.BrokerUnavailableError) as exc:
            program.ledger.write(Phase.UNSURE, name, note=f"{type(exc).__name__}: {exc}")
            if stopping.wait(0.1 * 2**attempt):
                return
        except Exception as exc:  # noqa: BLE001 - reported: every error of a submission should be one of the tree
            program.ledger.write(Phase.STRANGE, name, note=f"{type(exc).__name__}: {exc}")
            traceback.print_exc()
            stopping.wait(0.1)
        else:
            program.ledger.write(Phase.ACKED, name, message=handle.id, note=handle.decision.value)
            return


def burst(number: int, *, is_own: bool) -> None:
    """Submit many short tasks one after another, as fast as may be: workers begin and end those together."""
    for part in range(BURST if is_own else BURST // 4):
        submit(program.brief, Call((f"{SEED}-{number}.{part}", 0)))


def publish_copies(queue: Queue, task: Any, call: Call) -> None:
    """Put two copies of one message, and another message for the same work, straight on the queue."""
    message = message_for(task, call, 0)
    try:
        queue.backend.publish_many([(message, 0), (message, 0), (message_for(task, call, 0), 0)])
    except errors.BrokerUnavailableError:
        return
    except Exception as exc:  # noqa: BLE001 - as in `submit`
        program.ledger.write(Phase.STRANGE, call.args[0], note=f"{type(exc).__name__}: {exc}")
        traceback.print_exc()
        return
    program.ledger.write(Phase.DOUBLED, call.args[0])


def act(queue: Queue, number: int) -> None:
    """What this producer does about the piece of work of that number."""
    chance = random.Random(f"{SEED} {number} {NUMBER}")
    is_own = number % PRODUCERS == NUMBER
    if number % BURST_EVERY == 0:
        burst(number, is_own=is_own)
        return
    task, call = call_for(number)
    if is_own or chance.random() < 0.25:
        submit(task, call)
    if is_own and chance.random() < 0.15:
        stopping.wait(chance.uniform(0.05, 3.0))
        submit(task, call)
    if chance.random() < 0.04:
        publish_copies(queue, task, call)


def show_error(done: "Future[None]") -> None:
    """Leave an error that nobody expected in the log, and end: the harness reports a producer that ended so."""
    error = done.exception()
    if error is not None:
        traceback.print_exception(error)
        os._exit(UNEXPECTED)


def main() -> int:
    """Submit at the wanted rate until SIGTERM; then finish what is on the way."""
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    queue = connected()
    print("producer is ready.", flush=True)
    number = int((mono_ms() - START_MS) / 1000 * RATE)
    with ThreadPoolExecutor(THREADS) as pool:
        while not stopping.is_set():
            due = int((mono_ms() - START_MS) / 1000 * RATE)
            # Work that the pool is too slow for is left out, not queued up.
            number = max(number, due - THREADS * 4)
            for each in range(number, due):
                pool.submit(act, queue, each).add_done_callback(show_error)
            number = due
            time.sleep(0.05)
    queue.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
