"""Celery's messages as Dramatiq's, and back.

A Dramatiq message of the shim names the task as its actor and carries Celery's message whole in the option `celery`:
the body as it was serialized (and compressed) by kombu, its content type, headers and properties. No argument is
decoded on the way, so every serializer that Celery accepts travels, and a child process decodes what it runs.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

import dramatiq
from kombu import compression, serialization
from kombu.message import Message
from kombu.utils import json

OPTION = "celery"
PRIORITY = "broker_priority"
"""Dramatiq's own option, which RabbitMQ reads, and our broker on Redis."""


@dataclass(frozen=True)
class TaskMessage(dramatiq.Message[Any]):
    """A Dramatiq message whose encoding is kombu's JSON: Celery's headers may hold dates, UUIDs and decimals."""

    def encode(self) -> bytes:
        """The bytes that travel."""
        encoded: str = json.dumps(self.asdict())
        return encoded.encode()


def to_dramatiq(
    body: Any, queue: str, headers: dict[str, Any], properties: dict[str, Any], *, serializer: str, compress: str | None
) -> TaskMessage:
    """The Dramatiq message that carries a Celery message.

    Args:
        body: what Celery made of the call; not yet serialized.
        queue: Dramatiq's name of the queue.
        headers: Celery's; of protocol 1 they are empty, and the body has the names.
        properties: AMQP's basic properties, as kombu calls them, with `exchange` and `routing_key`.

    Raises:
        kombu.exceptions.EncodeError: the serializer cannot take the arguments.
    """
    content_type, encoding, text = serialization.dumps(body, serializer=serializer)
    if compress:
        text, headers["compression"] = compression.compress(text, compress)
    is_binary = not isinstance(text, str)
    envelope = {
        "body": b64encode(text).decode() if is_binary else text,
        "binary": is_binary,
        "type": content_type,
        "encoding": encoding,
        "headers": headers,
        "properties": properties,
    }
    named = headers if "task" in headers else body
    options: dict[str, Any] = {OPTION: envelope}
    if properties.get("priority") is not None:
        options[PRIORITY] = properties["priority"]
    return TaskMessage(queue, named["task"], (), {}, options, message_id=named["id"])


def to_celery(message: Any, tag: str, channel: Any, accept: Any) -> Message:
    """What Celery's worker takes as a message from kombu.

    Args:
        message: Dramatiq's.
        tag: names the delivery to `channel`, which acknowledges and rejects.
        accept: the content types that may be decoded.

    Raises:
        TypeError: it carries no Celery message.
    """
    envelope = message.options.get(OPTION)
    if not isinstance(envelope, dict) or not isinstance(envelope.get("headers"), dict):
        text = f"the message {message.message_id!r} on {message.queue_name!r} was not sent by a Celery application"
        raise TypeError(text)
    headers, properties = envelope["headers"], envelope["properties"]
    if not getattr(message, "is_plain", False):
        headers, properties = revived(headers), revived(properties)
    body = envelope["body"]
    return Message(
        body=b64decode(body) if envelope["binary"] else body,
        delivery_tag=tag,
        content_type=envelope["type"],
        content_encoding=envelope["encoding"],
        delivery_info={
            "exchange": properties.pop("exchange", ""),
            "routing_key": properties.pop("routing_key", ""),
            "redelivered": bool(getattr(message, "redelivered", False)),
        },
        properties=properties,
        headers=headers,
        accept=accept,
        channel=channel,
    )


def revived(value: Any) -> Any:
    """The value with kombu's marked dates, UUIDs and the like as what they were."""
    if isinstance(value, dict):
        if "__type__" in value:
            return json.object_hook({key: revived(item) for key, item in value.items()})
        return {key: revived(item) for key, item in value.items()}
    if isinstance(value, list):
        return [revived(item) for item in value]
    return value
