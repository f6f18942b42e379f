"""A Celery task whose messages take effect once: `@app.task(base=IdempotentTask)`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import celery
from celery import Celery
from celery.exceptions import Ignore, Reject
from celery.result import AsyncResult, EagerResult
from celery.utils.time import maybe_iso8601, maybe_make_aware

from queues.asking import message_for, named
from queues.backends.celery.engine import Engine, settle
from queues.backends.celery.foreign import foreign_engine
from queues.backends.celery.locks import Locks
from queues.backends.celery.messages import HEADER, carries_continuation, delivered, from_request, header
from queues.backends.celery.metrics_step import MetricsStep
from queues.backends.celery.recovery_step import RecoveryStep
from queues.backends.celery.refusal_step import RefusalStep
from queues.call import MAX_DELAY_S, Call
from queues.disposition import Failed, Raised
from queues.errors import InvalidOptionError, LeaseLostError, QueueError, TaskFailedError
from queues.handle import Decision, Handle
from queues.idempotency.state import Kind
from queues.observer import published
from queues.once import REPLACING, Once
from queues.run import Run, current_run
from queues.task import AnyTask, Task

PLAIN_OPTIONS = frozenset({"countdown", "eta", "add_to_parent"})
"""With no other option, a duplicate is answered where it is sent; else its message is published and answered."""
ROUTES = frozenset({"queue", "exchange", "routing_key"})
IGNORED = "celery.exceptions.Ignore"


class IdempotentTask(celery.Task):
    """Runs each message once, however often it is delivered or sent.

    Retries, callbacks, chains and chords stay Celery's: a delivery that finds the work done returns the stored
    result to them. A direct call, `apply()` and eager mode are plain calls.
    """

    abstract = True
    once: Once = Once()
    onceq_task: AnyTask | None = None
    acks_late = True
    reject_on_worker_lost = True
    Request = "queues.backends.celery.request:GuardedRequest"
    _locks: Locks | None = None

    @classmethod
    def on_bound(cls, app: Celery) -> None:
        """Have the app's worker look for work that was left, keep what it cannot run, and tell its metrics."""
        app.steps["worker"].update((RecoveryStep, MetricsStep))
        app.steps["consumer"].add(RefusalStep)

    @property
    def engine(self) -> Engine:
        """The engine of the task's app."""
        return foreign_engine(self.app)

    @property
    def guarded(self) -> AnyTask:
        """How the engine knows the task."""
        if self.onceq_task is not None:
            return self.onceq_task
        tasks = self.engine.tasks
        if self.name in tasks:
            return tasks.get(self.name)
        queue = self.app.amqp.router.route(self._get_exec_options(), self.name)["queue"]
        return tasks.add(
            Task(self.run, tasks=tasks, name=self.name, queue=queue.name, once=self.once, max_retries=None)
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the message that the worker delivers; a direct call is a plain call."""
        if self.request.called_directly or self.request.is_eager:
            return super().__call__(*args, **kwargs)
        try:
            message = from_request(self.request, self.guarded, args, kwargs)
        except QueueError as exc:
            self.engine.refuse(delivered(self.request, self.name, args, kwargs), exc)
            raise
        disposition = self.engine.execute(message)
        if isinstance(disposition, Raised):
            self._end_failed(disposition)
        if isinstance(disposition, Failed) and disposition.failure.type == IGNORED:
            raise Ignore(disposition.failure.message)
        return settle(disposition)

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: dict[str, Any] | None = None, **options: Any
    ) -> AsyncResult[Any]:
        """Queue the task; a plain duplicate gets the first one's result object.

        A message that carries a callback, chain, chord or group, an id or any other option of its own is always
        published, and answered by the worker, so that what waits for it goes on.

        Raises:
            InvalidArgumentsError, UnencodableError: the arguments make no key.
        """
        headers = options.get("headers") or {}
        if self.app.conf.task_always_eager or HEADER in headers:
            return super().apply_async(args, kwargs, **options)
        given = {name for name, value in options.items() if value is not None}
        call, delay_s = Call(tuple(args or ()), kwargs or {}), self._delay_ms(options, default_s=0) / 1000
        if given <= PLAIN_OPTIONS and delay_s <= MAX_DELAY_S and not carries_continuation(options):
            handle = self.engine.producer.send(self.guarded, replace(call, delay=delay_s))
            return self._result_of(handle, add_to_parent=bool(options.get("add_to_parent", True)))
        if self.guarded.policy.on_duplicate in REPLACING:
            msg = f"{self.name}: on_duplicate={self.guarded.policy.on_duplicate!r} replaces messages, so none may have "
            raise InvalidOptionError(msg + f"callbacks or options of its own: {', '.join(sorted(given))}")
        message = message_for(self.guarded, call, 0)
        message = message.carrying(self.engine.observer.carried(message))
        if self.onceq_task is not None and not given & ROUTES:
            options["queue"] = self.onceq_task.queue
        options["headers"] = {**headers, HEADER: header(message)}
        with published(self.engine.observer, message):
            return super().apply_async(args, kwargs, **options)

    def retry(self, *args: Any, **options: Any) -> Any:
        """Ask for another attempt, as Celery's `retry`; that it is waited for is written before it is published."""
        run = current_run()
        if run is not None and not self._is_last(options.get("max_retries")):
            message = run.message.retried(self.request.retries + 1)
            delay_ms = self._delay_ms(options, default_s=self.default_retry_delay)
            answer = self.engine.executor.guard.wait(run, self.guarded.policy, message, delay_ms)
            if answer.kind is not Kind.OK:
                raise LeaseLostError(message.digest, run.token)
        try:
            return super().retry(*args, **options)
        except Reject as exc:
            # Celery drops a message whose retry could not be published; here it goes back to its queue.
            raise Reject(exc.reason, requeue=True) from exc

    def generate_task_id(self, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None) -> str:
        """The digest that names this call: equal for equal calls, 40 hex digits."""
        call = Call(tuple(args), kwargs or {})
        return named(self.guarded, call, self.guarded.bind(call.args, call.kwargs))[0]

    def acquire_lock(self, task_id: str) -> bool:
        """Take the right to run; False when another has it, or there is an outcome already.

        It is renewed until `cache_result` or `release_lock`, or until the process ends.
        """
        return self._manual_locks().acquire(task_id)

    def get_cached_result(self, task_id: str, default: Any = None) -> Any:
        """The stored result, which may be None, 0 or empty; `default` when there is none."""
        return self._manual_locks().result(task_id, default)

    def cache_result(self, task_id: str, result: Any) -> bool:
        """Store the result and end the lock; False when this process does not hold it any more."""
        return self._manual_locks().complete(task_id, result)

    def release_lock(self, task_id: str) -> bool:
        """End the lock without a result; False when this process does not hold it any more."""
        return self._manual_locks().release(task_id)

    def _manual_locks(self) -> Locks:
        if self._locks is None:
            self._locks = Locks(self.guarded, self.engine.executor.guard)
        return self._locks

    def _end_failed(self, raised: Raised) -> None:
        # A run that asked for a retry was ended before the retry was published.
        run: Run = raised.run
        if run.is_ended:
            return
        if isinstance(raised.error, Reject) and raised.error.requeue:
            self.engine.executor.guard.release(run, self.guarded.policy)
            return
        is_dead = not isinstance(raised.error, Ignore)
        if not self.engine.executor.end_raised(self.guarded, run, raised.error, is_dead=is_dead):
            raise Ignore(f"fenced: token {run.token} of {run.message.id} is not the last")

    def _is_last(self, max_retries: int | None) -> bool:
        limit = self.max_retries if max_retries is None else max_retries
        return limit is not None and self.request.retries + 1 > limit

    def _delay_ms(self, options: dict[str, Any], default_s: float) -> int:
        countdown, eta = options.get("countdown"), options.get("eta")
        if eta is not None:
            # As Celery's worker reads it: also as text in ISO 8601, and without a time zone as UTC.
            due = maybe_make_aware(maybe_iso8601(eta), self.app.timezone)
            countdown = (due - self.app.now()).total_seconds()
        return max(0, round(1000 * float(default_s if countdown is None else countdown)))

    def _result_of(self, handle: Handle, *, add_to_parent: bool) -> AsyncResult[Any]:
        result = self._answered(handle) if handle.decision in (Decision.REPLAYED, Decision.SKIPPED) else None
        result = result or self.AsyncResult(handle.id)
        parent = celery.current_task
        if add_to_parent and parent and parent.request.called_directly is False:
            parent.add_trail(result)
        return result

    def _answered(self, handle: Handle) -> AsyncResult[Any]:
        try:
            return EagerResult(handle.id, handle.result(timeout=0), "SUCCESS")
        except TaskFailedError as exc:
            return EagerResult(handle.id, exc, "FAILURE", traceback=exc.failure.traceback)
