"""What the store's answer to a submission becomes: a handle, or a refusal; and what this process remembers of it."""

from queues.asking import Key
from queues.call import Call
from queues.clock import Clock
from queues.disposition import skipped
from queues.errors import AlreadyRunningError, KeyConflictError
from queues.handle import Access, Decision, Handle
from queues.idempotency.state import Answer, Kind, Look
from queues.known_keys import KnownKeys
from queues.message import Message
from queues.near_cache import NearCache
from queues.observer import Observer
from queues.task import AnyTask


class Answers:
    """Makes handles, and tells the observer of them.

    A message is made for the observer alone where none is sent: None stands in its place where nobody watches.
    """

    def __init__(self, access: Access, clock: Clock, observer: Observer) -> None:
        self.is_watched = type(observer) is not Observer
        self._access = access
        self._observer = observer
        self._near = NearCache(clock)
        self._known = KnownKeys()

    def near(self, task: AnyTask, key: Key) -> Answer | None:
        """The outcome that this process was told a moment ago; None when the store is to be asked."""
        near = self._near.get(*key) if task.policy.near_cache else None
        return None if near is None else Answer(Kind.REPLAY, near.owner, outcome=near.outcome)

    def look(self, task: AnyTask, call: Call, key: Key) -> Look | None:
        """What may answer the call without its message; None where more is to be asked for."""
        return self._known.look(task, call, *key)

    def told(self, task: AnyTask, key: Key, message: Message | None, answer: Answer, sent_id: str = "") -> Handle:
        """The handle that the store's answer makes; a repetition is answered sooner from now on.

        Args:
            sent_id: of what was sent, where there is no message.

        Raises:
            AlreadyRunningError, KeyConflictError: it is refused; the observer knows of it.
        """
        # A task that runs every message has no repetitions.
        if task.once is not None and answer.kind is not Kind.CONFLICT:
            self._known.add(key[0], is_ended=bool(answer.outcome))
            if task.once.near_cache and answer.kind is Kind.REPLAY:
                self._near.put(*key, answer.owner, answer.outcome, task.once.near_cache_ms)
        return self.told_again(task, key, message, answer, sent_id)

    def told_again(self, task: AnyTask, key: Key, message: Message | None, answer: Answer, sent_id: str = "") -> Handle:
        """As `told`, of an answer of `near`."""
        if answer.kind is Kind.ADMITTED:
            handle = Handle(self._access, answer.owner, key[0], Decision.EXECUTED)
        else:
            is_own = answer.owner == (sent_id if message is None else message.id)
            try:
                handle = self._of_known(task, key[0], answer, is_own=is_own)
            except (AlreadyRunningError, KeyConflictError) as exc:
                self.unsent(message, exc)
                raise
        if message is not None:
            self._observer.sent(message, handle.decision, handle.id)
        return handle

    def unsent(self, message: Message | None, error: BaseException) -> None:
        """Tell the observer that a submission was refused, or not answered."""
        if message is not None:
            self._observer.unsent(message, error)

    def _of_known(self, task: AnyTask, digest: str, answer: Answer, *, is_own: bool) -> Handle:
        """The handle of work that the store had a record of."""
        match answer.kind:
            case Kind.REPLAY | Kind.REPLAY_ERROR | Kind.DEAD:
                decision = Decision.EXECUTED if is_own else Decision.REPLAYED
                return Handle(self._access, answer.owner, digest, decision, outcome=answer.outcome)
            case Kind.INFLIGHT if is_own:  # the reply to its admission was lost, and the client asked a second time
                return Handle(self._access, answer.owner, digest, Decision.EXECUTED)
            case Kind.CONFLICT:
                raise KeyConflictError(digest)
            case Kind.REPLACED:
                return Handle(self._access, answer.owner, digest, Decision.REPLACED)
            case Kind.FOLLOWS:
                return Handle(self._access, answer.owner, digest, Decision.FOLLOWS)
        policy = task.policy
        if policy.on_duplicate == "reject":
            raise AlreadyRunningError(digest, max(answer.wait_ms, policy.lease_ms))
        if policy.on_duplicate == "skip":
            said = skipped(task.name, answer.owner)
            return Handle(self._access, answer.owner, digest, Decision.SKIPPED, said)
        return Handle(self._access, answer.owner, digest, Decision.JOINED)
