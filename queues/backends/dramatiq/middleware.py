"""Idempotency for any Dramatiq application: `broker.add_middleware(Idempotency("redis://..."))`."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq.broker import Broker, MessageProxy

from queues.asking import named
from queues.backends.dramatiq.broker_errors import BROKER_ERRORS
from queues.backends.dramatiq.deliveries import Deliveries, settle
from queues.backends.dramatiq.messages import HEADER, from_native, header, to_native
from queues.call import Call
from queues.clock import SystemClock
from queues.disposition import Raised
from queues.errors import BrokerUnavailableError, StoreUnavailableError
from queues.executor import Executor
from queues.idempotency.guard import Guard
from queues.idempotency.recovery import Recovery
from queues.idempotency.store import Store
from queues.message import Message
from queues.observer import Observer
from queues.observers.environment import observer_for
from queues.once import Once
from queues.run import Run
from queues.settings import letter_ttl_ms
from queues.stores.redis import RedisStore
from queues.task import Task
from queues.tasks import Tasks

logger = logging.getLogger(__name__)


class Idempotency(Deliveries):
    """Guards actors, so that each message takes effect once however often it is delivered or sent.

    The actor's function is wrapped when the actor is declared; an actor that is called directly is a plain call.
    Retries, time limits, pipelines and groups stay Dramatiq's: a delivery that finds the work done returns the
    stored result to them. A `send` while the broker is away raises what Dramatiq's broker does, such as redis-py's
    ConnectionError.

    Args:
        url: of the Redis that keeps the records; `REDIS_URL`'s form.
        once: how each actor is kept to one effect, unless `@actor(once=Once(...))` says otherwise.
        all_actors: whether every actor is guarded, or only those declared with `idempotent=True`.
        prefix: stands before every key of the records.
        dead_letter_ttl: seconds for which dead letters are kept; None takes QUEUES_DEAD_LETTER_TTL, else a week.
        store: used in place of `url`.
        observer: is told what happens, beside the metrics that QUEUES_METRICS_PORT asks for.
    """

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379/0",
        *,
        once: Once = Once(),  # noqa: B008 - immutable
        all_actors: bool = True,
        prefix: str = "",
        dead_letter_ttl: float | None = None,
        store: Store | None = None,
        observer: Observer | None = None,
    ) -> None:
        super().__init__(threading.Event())
        self._once = once
        self._all_actors = all_actors
        self.store = store if store is not None else RedisStore(url, prefix=prefix)
        self._guard = Guard(
            self.store,
            SystemClock(),
            self._stopping,
            observer_for(observer),
            "dramatiq",
            letter_ttl_ms(dead_letter_ttl),
        )
        self.tasks = Tasks(namespace="")
        self.refuse_with(self._guard.refuse, self.tasks)
        self._executors: dict[str, Executor] = {}

    @property
    def actor_options(self) -> set[str]:
        """`idempotent` (a bool) and `once` (an `Once`)."""
        return {"idempotent", "once"}

    def after_declare_actor(self, broker: Broker, actor: dramatiq.Actor[Any, Any]) -> None:
        """Wrap the actor's function, and check its arguments when it is sent."""
        if not actor.options.get("idempotent", self._all_actors):
            return
        task = self.tasks.add(
            Task(
                actor.fn,
                tasks=self.tasks,
                name=actor.actor_name,
                queue=actor.queue_name,
                once=actor.options.get("once", self._once),
                max_retries=None,
            )
        )
        executor = Executor(self.tasks, self._guard, self._publisher(broker), failures=(BaseException,))
        self._executors[task.name] = executor
        actor.fn = self._guarded(task, executor)
        actor.send_with_options = self._checked(task, actor.send_with_options)  # type: ignore[method-assign] # an actor is a plain object
        self.recover_with(
            Recovery(
                self.store,
                self.tasks,
                "dramatiq",
                self._publisher(broker),
                lambda message: not message.options.keys() - {"dramatiq"},
                self._guard.observer,
            )
        )

    def before_enqueue(self, broker: Broker, message: dramatiq.Message[Any], delay: int | None) -> None:
        """Put the key into the message; and when it is another attempt of this run, write that it is waited for."""
        if message.actor_name not in self.tasks:
            return
        task = self.tasks.get(message.actor_name)
        is_new = HEADER not in message.options or self._is_sending
        if HEADER not in message.options:
            args, kwargs = tuple(message.args), dict(message.kwargs)
            message.options[HEADER] = header(*named(task, Call(args, kwargs), task.bind(args, kwargs)))
        if is_new:
            self._local.submitted = self._as_submitted(message, task)
        run = self._open_run
        if run is not None and run.message.id == message.message_id:
            self._end(lambda: self._guard.wait(run, task.policy, from_native(message, task), delay or 0))

    def after_enqueue(self, broker: Broker, message: dramatiq.Message[Any], delay: int | None) -> None:
        """Tell the observer of a message that is no copy and no further attempt."""
        submitted: Message | None = getattr(self._local, "submitted", None)
        self._local.submitted = None
        if submitted is not None and submitted.id == message.message_id:
            self._guard.observer.sent(submitted, "published", submitted.id)

    def before_ack(self, broker: Broker, message: MessageProxy) -> None:
        """Store the failure of a run that will not be tried again."""
        self._store_failure()

    def before_nack(self, broker: Broker, message: MessageProxy) -> None:
        """Store the failure of a run that will not be tried again; or keep what could not be run."""
        self._store_failure()
        super().before_nack(broker, message)

    def _guarded(self, task: Task[..., Any], executor: Executor) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            native = self.message
            if native is None or native.actor_name != task.name:
                return task(*args, **kwargs)
            message = from_native(native, task)
            self.take(native)
            disposition = executor.execute(message)
            if isinstance(disposition, Raised):
                self._local.raised = disposition
            return settle(disposition, native)

        return run

    def _checked(self, task: Task[..., Any], send: Callable[..., Any]) -> Callable[..., Any]:
        def send_with_options(
            *, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, **options: Any
        ) -> Any:
            # The hook before_enqueue may raise nothing: arguments that make no key are refused here.
            arguments = task.bind(args, kwargs or {})
            options.setdefault(HEADER, header(*named(task, Call(tuple(args), kwargs or {}), arguments)))
            self._local.is_sending = True
            try:
                return send(args=args, kwargs=kwargs, **options)
            finally:
                self._local.is_sending = False

        return send_with_options

    def _publisher(self, broker: Broker) -> Callable[[Message, int], None]:
        def publish(message: Message, delay_ms: int) -> None:
            try:
                broker.enqueue(to_native(message, self.tasks.get(message.task)), delay=delay_ms or None)
            except BROKER_ERRORS as exc:
                msg = f"Dramatiq's broker did not take {message.id}: {type(exc).__name__}: {exc}"
                raise BrokerUnavailableError(msg) from exc

        return publish

    def _as_submitted(self, native: dramatiq.Message[Any], task: Task[..., Any]) -> Message:
        message = from_native(native, task)
        message = message.carrying(self._guard.observer.carried(message))
        if message.trace:
            native.options[HEADER] = {**native.options[HEADER], "trace": dict(message.trace)}
        return message

    @property
    def _is_sending(self) -> bool:
        return bool(getattr(self._local, "is_sending", False))

    @property
    def _open_run(self) -> Run | None:
        raised: Raised | None = getattr(self._local, "raised", None)
        return raised.run if raised is not None else None

    def _store_failure(self) -> None:
        raised: Raised | None = getattr(self._local, "raised", None)
        if raised is not None:
            task = self.tasks.get(raised.run.message.task)
            self._end(lambda: self._executors[task.name].end_raised(task, raised.run, raised.error))

    def _end(self, step: Callable[[], object]) -> None:
        self._local.raised = None
        try:
            step()
        except StoreUnavailableError as exc:
            # The lease ends by itself, and the next delivery takes the work over.
            logger.warning("the end of a failed run was not written: %s", exc)
