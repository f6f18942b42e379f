"""What kombu's Redis transport pushes for a Celery message, written without asking Celery for every message.

Celery and kombu take some 50 us to make one. Nearly all of it is the same for the messages of one task: they are asked
once, for a message with marks where the messages differ, and the marks are filled in.
"""

import json
import re
from binascii import b2a_base64
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

import kombu.serialization
from celery import Celery
from celery.utils.saferepr import saferepr

from queues import codec
from queues.backends.celery.messages import HEADER, header_text, native_arguments, plain_arguments
from queues.message import EncodedTexts, Message
from queues.task import AnyTask

MARK = re.compile(r'"<<(\w+)>>"')
Parts = tuple[bytes, bytes, bytes]
PARTS = ("<shown args>", "<shown kwargs>", "<body>")
"""In the places of what is made of the arguments, in `outlined`."""
SHORT_BODY_BYTES = 512
"""A shorter body is shown whole to Celery's tools; a longer one as Celery cuts it."""


class Envelope:
    """Writes the messages of one task that go to one queue with one priority.

    Settings of the app are read when it is made. It belongs to one process: Celery names the sender.

    Args:
        priority: Celery's, on Redis.
    """

    def __init__(self, app: Celery, task: AnyTask, queue: str, priority: int) -> None:
        self._app = app
        self._task = task
        self._queue = queue
        self._priority = priority
        self._template = _template(self._marked())

    def written(self, message: Message, countdown_s: float | None = None) -> bytes:
        """What is pushed.

        Args:
            countdown_s: until when the worker holds the message back; None to start at once.
        """
        retries = message.retries if self._task.is_foreign else 0
        template = self._template
        if countdown_s or retries:
            template = _template(self._marked(countdown=countdown_s, retries=retries))
        return _filled(template, message, self._parts_of(message))

    def outlined(self, message: Message) -> bytes:
        """What is pushed, with `PARTS` in the places of what `parts` makes."""
        args, kwargs, body = [mark.encode() for mark in PARTS]
        return _filled(self._template, message, (args, kwargs, body))

    def parts(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], texts: EncodedTexts) -> Parts:
        """How the arguments of a task of ours are shown, and the body."""
        # Celery's encoder would write the same values; the record's texts are there already.
        return self._with_body(*plain_arguments(args, kwargs), b"[%b,%b,%b]" % (*texts, NO_CALLBACKS_TEXT))

    def _marked(self, **options: Any) -> dict[str, Any]:
        task = self._app.tasks[self._task.name]
        headers, properties, _, _ = self._app.amqp.as_task_v2(
            "<<id>>",
            self._task.name,
            argsrepr="<<args>>",
            kwargsrepr="<<kwargs>>",
            ignore_result=task.ignore_result,
            time_limit=task.time_limit,
            soft_time_limit=task.soft_time_limit,
            **options,
        )
        return {
            "body": "<<body>>",
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {**headers, HEADER: "<<head>>"},
            "properties": {
                **properties,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": self._queue},
                "priority": self._priority,
                "body_encoding": "base64",
                # It tells unacked deliveries apart; only the first one of a message is published here.
                "delivery_tag": "<<id>>",
            },
        }

    def _parts_of(self, message: Message) -> Parts:
        if not self._task.is_foreign:
            args_text, kwargs_text = message.texts
            return self.parts(message.args, message.kwargs, (codec.encoded(args_text), codec.encoded(kwargs_text)))
        args, kwargs = native_arguments(message, self._task)
        _, _, body = kombu.serialization.dumps([args, kwargs, NO_CALLBACKS], serializer="json")
        return self._with_body(args, kwargs, codec.encoded(body))

    def _with_body(self, args: tuple[Any, ...], kwargs: dict[str, Any], body: bytes) -> Parts:
        if len(body) < SHORT_BODY_BYTES:
            shown = repr(args), repr(kwargs)
        else:
            amqp = self._app.amqp
            shown = saferepr(args, amqp.argsrepr_maxsize), saferepr(kwargs, amqp.kwargsrepr_maxsize)
        return quoted(shown[0]).encode(), quoted(shown[1]).encode(), b'"%b"' % b2a_base64(body, newline=False)


NO_CALLBACKS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
NO_CALLBACKS_TEXT = json.dumps(NO_CALLBACKS).encode()


def _filled(template: bytes, message: Message, parts: Parts) -> bytes:
    args, kwargs, body = parts
    own = {b"id": quoted(message.id).encode(), b"head": header_text(message).encode()}
    return template % {**own, b"args": args, b"kwargs": kwargs, b"body": body}


def _template(marked: Mapping[str, Any]) -> bytes:
    return MARK.sub(r"%(\1)b", json.dumps(marked).replace("%", "%%")).encode()
