"""The collection of notifications, each with what became of it on every channel."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from app.stores.clock import Clock, utc_now
from app.stores.errors import RecordExistsError, StaleTokenError
from app.stores.mongo import Document, Index, Mongo
from app.stores.paging import Page, PageKey
from app.stores.records import Records

COLLECTION = "notifications"
INDEXES = (
    Index((("tenant", 1), ("created_at", -1), ("_id", -1))),
    Index((("tenant", 1), ("user_id", 1), ("created_at", -1), ("_id", -1))),
    Index((("created_at", 1),)),
)


class NotificationKind(StrEnum):
    """How much a notification matters."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


class Channel(StrEnum):
    """A way by which a notification leaves the service."""

    SMTP = "smtp"
    WEBHOOK = "webhook"


class DeliveryState(StrEnum):
    """How far the delivery on one channel is.

    `sending` was written before the send. When a later attempt finds it, the earlier one died in between,
    and nobody can know whether the message left: it is sent again under the same identity.
    """

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a notification on one channel."""

    state: DeliveryState
    token: int
    """Of the run that wrote this."""
    attempts: int
    at: datetime
    detail: str = ""
    """Why it failed; empty otherwise."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to one user."""

    id: str
    tenant: str
    user_id: str
    title: str
    message: str
    kind: NotificationKind
    created_at: datetime
    chatbot_id: str | None = None
    token: int = 0
    """The highest fencing token that has written this record."""
    deliveries: dict[Channel, Delivery] = field(default_factory=dict)
    """Empty when no channel is configured: the notification is only stored."""


class Notifications:
    """The collection `notifications`. Every method may raise StoreUnavailableError."""

    def __init__(self, mongo: Mongo, clock: Clock = utc_now) -> None:
        self._records = Records(mongo, COLLECTION, Notification, INDEXES)
        self._clock = clock

    # What the API uses.

    async def get(self, tenant: str, notification_id: str) -> Notification | None:
        """The notification, or None when it is not this tenant's."""
        return await self._records.get({"_id": notification_id, "tenant": tenant})

    async def list(
        self,
        tenant: str,
        *,
        user_id: str | None = None,
        limit: int = 50,
        after: PageKey | None = None,
    ) -> Page[Notification]:
        """One page of a tenant's notifications, newest first.

        Raises:
            ValueError: `limit` is not between 1 and `MAX_PAGE_RECORDS`.
        """
        where: Document = {"tenant": tenant}
        if user_id is not None:
            where["user_id"] = user_id
        return await self._records.page(where, limit, after)

    # What the task uses.

    async def begin(self, notification: Notification, token: int) -> Notification:
        """Store the notification unless it is stored already; the record as it then is.

        Raises:
            StaleTokenError: a newer run has begun.
        """
        try:
            await self._records.insert(notification)
        except RecordExistsError as exc:
            where = {"_id": notification.id, "token": {"$lte": token}}
            if not await self._records.update(where, {"$set": {"token": token}}):
                raise StaleTokenError(notification.id, token) from exc
        stored = await self._records.get({"_id": notification.id})
        return notification if stored is None else stored

    async def claim(self, notification_id: str, channel: Channel, token: int) -> bool:
        """Record that this run is about to send; False when the channel's message is recorded as sent.

        Raises:
            StaleTokenError: a newer run has begun; it sends.
        """
        path = f"deliveries.{channel.value}"
        where = {
            "_id": notification_id,
            "token": {"$lte": token},
            f"{path}.state": {"$ne": DeliveryState.SENT.value},
        }
        change = {
            "$set": {
                f"{path}.state": DeliveryState.SENDING.value,
                f"{path}.token": token,
                f"{path}.at": self._clock(),
                f"{path}.detail": "",
                "token": token,
            },
            "$inc": {f"{path}.attempts": 1},
        }
        if await self._records.update(where, change):
            return True
        stored = await self._records.get({"_id": notification_id})
        delivery = None if stored is None else stored.deliveries.get(channel)
        if delivery is not None and delivery.state is DeliveryState.SENT:
            return False
        raise StaleTokenError(notification_id, token)

    async def sent(self, notification_id: str, channel: Channel, token: int) -> None:
        """Record that the channel took the message.

        Written whatever token came since: that it was sent stays true, and a newer run that has not sent
        yet must learn it. Nothing turns `sent` back.
        """
        await self._settle(notification_id, channel, token, DeliveryState.SENT, "")

    async def failed(self, notification_id: str, channel: Channel, token: int, detail: str) -> None:
        """Record that the channel did not take the message, unless a newer run is at it or it was sent."""
        await self._settle(notification_id, channel, token, DeliveryState.FAILED, detail)

    async def _settle(
        self, notification_id: str, channel: Channel, token: int, state: DeliveryState, detail: str
    ) -> None:
        path = f"deliveries.{channel.value}"
        where: Document = {"_id": notification_id, f"{path}.state": {"$ne": DeliveryState.SENT.value}}
        if state is not DeliveryState.SENT:
            where[f"{path}.token"] = {"$lte": token}
        changes = {"state": state.value, "token": token, "at": self._clock(), "detail": detail}
        await self._records.update(where, {"$set": {f"{path}.{name}": value for name, value in changes.items()}})

    # What cleanup and reports use.

    async def remove_before(self, moment: datetime, limit: int) -> int:
        """Remove at most `limit` notifications stored before `moment`; 0 when none is left."""
        return await self._records.remove_batch({"created_at": {"$lt": moment}}, limit)

    async def count(self, tenant: str, chatbot_id: str, since: datetime, until: datetime) -> int:
        """How many notifications of a chatbot were stored from `since` to before `until`."""
        return await self._records.count(
            {"tenant": tenant, "chatbot_id": chatbot_id, "created_at": {"$gte": since, "$lt": until}}
        )
