"""What a channel of notifications is given, and how it refuses."""

from dataclasses import dataclass
from datetime import datetime

from app.stores.notifications import NotificationKind


@dataclass(frozen=True, slots=True)
class Parcel:
    """One notification as a channel sends it."""

    identity: str
    """Stable for the notification over all attempts; the receiver tells repetitions by it."""
    tenant: str
    user_id: str
    title: str
    message: str
    kind: NotificationKind
    created_at: datetime


class DeliveryError(Exception):
    """A channel did not take a notification.

    Attributes:
        detail: why, without credentials and addresses; at most 300 characters.
        is_retryable: whether the same parcel may be taken later.
        retry_after_s: what the receiver asked us to wait; None if it said nothing.
    """

    def __init__(self, detail: str, *, is_retryable: bool, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail[:300]
        self.is_retryable = is_retryable
        self.retry_after_s = retry_after_s
