"""A notification, stored and sent on each channel that is configured.

What is recorded as sent is never sent again. One case cannot be excluded: the process dies, or the answer is
lost, after the receiver took the message and before that was recorded. The next attempt sends it again, with
the same Message-ID and the same `Idempotency-Key`, so that a receiver who looks at them takes it once.
"""

from dataclasses import replace
from typing import Protocol

from app.stores.clock import utc_now
from app.stores.notifications import Channel, Notification, NotificationKind
from app.stores.source import DEFAULT_TENANT, digest
from app.tasks.arguments import checked_line, checked_text
from app.tasks.delivery import DeliveryError, Parcel
from app.tasks.errors import TaskInputError, UndeliveredError
from app.tasks.mail import is_address
from app.tasks.services import Services
from queues import Backoff, Retry, Tasks, current
from queues.task import AnyTask

MAX_RETRIES = 3
MAX_TITLE_CHARS = 200
MAX_MESSAGE_CHARS = 20_000


class Sender(Protocol):
    """A channel's way out."""

    async def send(self, parcel: Parcel) -> None:
        """Return when the receiver has taken the parcel; raise DeliveryError when it has not."""


def declare(tasks: Tasks, services: Services) -> AnyTask:
    """The task `send_notification`, working with these services."""

    @tasks.task(queue="notifications", max_retries=MAX_RETRIES, backoff=Backoff(30), give_up_on=(TaskInputError,))
    async def send_notification(
        user_id: str,
        title: str,
        message: str,
        kind: str = "info",
        chatbot_id: str | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> dict[str, object]:
        """The notification's id, and for each channel whether it was `sent` or refused (`failed`).

        The id comes from the task's key, so every attempt has the same one. The same words to the same user
        are another notification once the task's result has expired, or with a key of their own.

        Args:
            user_id: who is told; gets mail when it is a mail address.
            title: one line, at most 200 characters.
            message: at most 20,000 characters.
            kind: `info`, `success`, `warning` or `error`.
            chatbot_id: the chatbot that it is about, if any.
            tenant: the owner.

        Raises:
            TaskInputError: an argument cannot be used; nothing is stored or sent.
            UndeliveredError: a channel was not reached; the next attempt tries that one again.
        """
        token = current.token
        draft = _draft(user_id, title, message, kind, chatbot_id, tenant)
        notification = await services.stores.notifications.begin(replace(draft, token=token), token)
        return await _deliver(services, notification, token)

    return send_notification


def _draft(user_id: str, title: str, message: str, kind: str, chatbot_id: str | None, tenant: str) -> Notification:
    if kind not in set(NotificationKind):
        raise TaskInputError("kind", f"one of {', '.join(NotificationKind)} is expected")
    return Notification(
        id=f"ntf_{digest(current.subkey('notification'))}",
        tenant=checked_line("tenant", tenant),
        user_id=checked_line("user_id", user_id),
        title=checked_line("title", title, MAX_TITLE_CHARS),
        message=checked_text("message", message, MAX_MESSAGE_CHARS),
        kind=NotificationKind(kind),
        created_at=utc_now(),
        chatbot_id=None if chatbot_id is None else checked_line("chatbot_id", chatbot_id),
    )


async def _deliver(services: Services, notification: Notification, token: int) -> dict[str, object]:
    states: dict[str, str] = {}
    delayed: dict[str, str] = {}
    wait_s = 0.0
    for channel, sender in _senders(services, notification.user_id):
        error = await _send(services, notification, channel, sender, token)
        if error is None:
            states[channel.value] = "sent"
        elif error.is_retryable:
            delayed[channel.value] = error.detail
            wait_s = max(wait_s, error.retry_after_s or 0.0)
        else:
            states[channel.value] = "failed"
    if delayed:
        undelivered = UndeliveredError(delayed)
        if wait_s > 0 and current.attempt <= MAX_RETRIES:
            raise Retry(str(undelivered), delay=wait_s) from undelivered
        raise undelivered
    status = "partial" if "failed" in states.values() else "success"
    return {"status": status, "notification_id": notification.id, "channels": states}


async def _send(
    services: Services, notification: Notification, channel: Channel, sender: Sender, token: int
) -> DeliveryError | None:
    """Send on one channel unless that is done; the refusal, or None."""
    current.check()
    notifications = services.stores.notifications
    if not await notifications.claim(notification.id, channel, token):
        return None
    parcel = Parcel(
        identity=notification.id,
        tenant=notification.tenant,
        user_id=notification.user_id,
        title=notification.title,
        message=notification.message,
        kind=notification.kind,
        created_at=notification.created_at,
    )
    try:
        await sender.send(parcel)
    except DeliveryError as error:
        await notifications.failed(notification.id, channel, token, error.detail)
        return error
    await notifications.sent(notification.id, channel, token)
    return None


def _senders(services: Services, user_id: str) -> tuple[tuple[Channel, Sender], ...]:
    """The channels that are configured and can reach the user."""
    mailer = services.mailer if is_address(user_id) else None
    ways: tuple[tuple[Channel, Sender | None], ...] = (
        (Channel.SMTP, mailer),
        (Channel.WEBHOOK, services.webhook),
    )
    return tuple((channel, sender) for channel, sender in ways if sender is not None)
