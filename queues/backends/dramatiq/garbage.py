"""What a broker that meets bytes that are no message needs: somebody who keeps them."""

import logging

from queues.backends.dramatiq.deliveries import Refuse
from queues.errors import InvalidMessageError, StoreUnavailableError
from queues.idempotency.refusal import Unreadable

logger = logging.getLogger(__name__)


class GarbageProof:
    """A broker whose consumers keep a dead letter of what they cannot decode, before it leaves its queue."""

    _refuse: Refuse | None = None

    def refuse_with(self, refuse: Refuse) -> None:
        """Keep it with `refuse`."""
        self._refuse = refuse

    def keep(self, data: bytes, queue: str, cause: BaseException) -> bool:
        """Whether a dead letter of the bytes is kept; else they must stay where they are."""
        logger.error("A message on %r cannot be read.", queue, exc_info=cause)
        if self._refuse is None:
            return False
        try:
            self._refuse(Unreadable(data), InvalidMessageError(f"Dramatiq cannot read a message on {queue}: {cause}"))
        except StoreUnavailableError as exc:
            logger.warning("it is left on its queue: %s", exc)
            return False
        return True
