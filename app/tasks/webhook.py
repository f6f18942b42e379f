"""Notifications to a webhook, signed."""

import hashlib
import hmac
import time
from dataclasses import dataclass, field

import orjson

from app.fetch.address import AddressPolicy
from app.fetch.errors import FetchError, HttpStatusError
from app.fetch.post import Post, post
from app.tasks.delivery import DeliveryError, Parcel

TIMEOUT_S = 15.0
SIGNATURE_HEADER = "Onceq-Signature"
TIMESTAMP_HEADER = "Onceq-Timestamp"
# The receiver is at work on the same Idempotency-Key (the IETF draft's answer to a repetition).
IN_PROGRESS = 409


def sign(secret: bytes, timestamp_s: int, body: bytes) -> str:
    """The signature of a body: `v1=` and HMAC-SHA256 in hex over `<timestamp>.<body>`.

    The time is signed too, so that a receiver can refuse an old message that somebody sends again.
    """
    return "v1=" + hmac.new(secret, f"{timestamp_s}.".encode() + body, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts notifications as JSON to one URL of the operator's."""

    url: str
    secret: bytes = field(repr=False)
    policy: AddressPolicy

    async def send(self, parcel: Parcel) -> None:
        """Return when the receiver has answered with 2xx.

        `Idempotency-Key` is the parcel's identity, the same in every attempt, and so is the body: a receiver
        that keeps the keys takes each notification once.

        Raises:
            DeliveryError: the receiver refused it, or could not be reached.
        """
        body = orjson.dumps(
            {
                "id": parcel.identity,
                "tenant": parcel.tenant,
                "user_id": parcel.user_id,
                "title": parcel.title,
                "message": parcel.message,
                "kind": parcel.kind.value,
                "created_at": parcel.created_at,
            }
        )
        timestamp_s = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": f'"{parcel.identity}"',
            TIMESTAMP_HEADER: str(timestamp_s),
            SIGNATURE_HEADER: sign(self.secret, timestamp_s, body),
        }
        try:
            await post(Post(self.url, body, headers), self.policy, TIMEOUT_S)
        except HttpStatusError as exc:
            raise DeliveryError(
                f"the webhook answered {exc.status}",
                is_retryable=exc.is_retryable or exc.status == IN_PROGRESS,
                retry_after_s=exc.retry_after_s,
            ) from exc
        except FetchError as exc:
            raise DeliveryError(f"the webhook was not reached: {exc.code}", is_retryable=exc.is_retryable) from exc
