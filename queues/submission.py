"""What a submission asks of the store: to admit its work, and then to know that its message is on its queue."""

from queues.idempotency.machine import QUEUE_WAIT_MS, UNPUBLISHED_TTL_MS
from queues.idempotency.publication import Publication
from queues.idempotency.state import Admit, Confirm, Duplicate, Operation
from queues.lean import lean
from queues.message import Message
from queues.task import AnyTask

MAX_MESSAGE_BYTES = 1024 * 1024
PUBLISH_WITHIN_MS = 10_000
"""How long a producer may take between admitting a message and confirming that it is published."""
DUPLICATES = {"replace": Duplicate.REPLACE, "keep_last": Duplicate.FOLLOW, "debounce": Duplicate.FOLLOW}


@lean(frozen=True, slots=True)
class Submission:
    """A message and how it is submitted.

    Args:
        delay_ms: before which it must not start.
        is_held: whether it is on no queue until then.
        publication: what the store publishes in the step that admits it; None where the backend publishes it after.
        encoded: the message as the record keeps it; empty when that is still to be written.
    """

    task: AnyTask
    message: Message
    delay_ms: int
    is_held: bool
    publication: Publication | None
    encoded: bytes = b""

    @property
    def admit(self) -> Admit:
        """What reserves the work."""
        after_ms = PUBLISH_WITHIN_MS if self.publication is None else self.queue_wait_ms
        policy = self.task.policy
        ttl_ms = UNPUBLISHED_TTL_MS if self.publication is None else policy.lock_ttl_ms
        return Admit(
            self.message.fingerprint,
            self.message.id,
            self.encoded or self.message.encoded(MAX_MESSAGE_BYTES),
            after_ms,
            ttl_ms,
            self.publication,
            DUPLICATES.get(policy.on_duplicate, Duplicate.JOIN),
            self.delay_ms if self.is_held else policy.quiet_ms,
            policy.replicas,
            self.is_held,
            self.message.begin_by_ms,
        )

    @property
    def can_overlap(self) -> bool:
        """Whether it may be sent while the answer to another is awaited.

        Not when it must be published soon after it was admitted, nor when it matters which of two comes first.
        """
        return self.publication is not None and self.task.policy.on_duplicate not in DUPLICATES

    @property
    def confirm(self) -> Operation:
        """What says that the message is on its queue."""
        return Confirm(self.message.id, self.queue_wait_ms, self.task.policy.lock_ttl_ms)

    @property
    def queue_wait_ms(self) -> int:
        """How long the message may go unstarted before others publish it.

        A message that is delayed, and not held, waits in a worker's memory: Celery's Redis transport gives those of
        a killed worker back after an hour only, so such a one counts as lost a lease after its time.
        """
        wait_ms = self.delay_ms + self.task.policy.lease_ms if self.delay_ms else QUEUE_WAIT_MS
        if not self.message.begin_by_ms:
            return wait_ms
        # Recovery ends what has expired at about that time, although its message is still deep in a queue.
        return max(0, min(wait_ms, self.message.begin_by_ms - self.message.created_ms))
