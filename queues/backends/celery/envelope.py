"""What kombu's Redis transport pushes for a Celery message, written without asking Celery for every message.

Celery and kombu take some 50 us to make one. Nearly all of it is the same for the messages of one task: they are asked
once, for a message with marks where the messages differ, and the marks are filled in.
"""

import json
import os
import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

import kombu.serialization
from celery import Celery
from celery.utils.saferepr import saferepr

from queues import codec
from queues.backends.celery.messages import HEADER, header_text, native_arguments
from queues.message import Message
from queues.task import AnyTask

MARK = re.compile(r'"<<(\w+)>>"')
SHORT_BODY_CHARS = 512
"""A shorter body is shown whole to Celery's tools; a longer one as Celery cuts it."""


class Envelopes:
    """Writes the envelopes of one app's messages.

    Settings of the app are read with the first message of a task.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._templates: dict[tuple[str, str, int, int], list[str]] = {}

    def envelope(self, message: Message, task: AnyTask, priority: int, countdown_s: float | None) -> bytes:
        """What is pushed.

        Args:
            priority: Celery's, on Redis.
            countdown_s: until when the worker holds the message back; None to start at once.
        """
        retries = message.retries if task.is_foreign else 0
        if countdown_s or retries:
            own = self._marked(message, priority, countdown=countdown_s, retries=retries)
            parts = MARK.split(json.dumps(own))
        else:
            # The process is part of it: Celery names the sender.
            key = (message.task, message.queue, priority, os.getpid())
            if key not in self._templates:
                self._templates[key] = MARK.split(json.dumps(self._marked(message, priority)))
            parts = self._templates[key]
        return _filled(parts, self._values(message, task)).encode()

    def _marked(self, message: Message, priority: int, **options: Any) -> dict[str, Any]:
        task = self._app.tasks[message.task]
        headers, properties, _, _ = self._app.amqp.as_task_v2(
            "<<id>>",
            message.task,
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
                "delivery_info": {"exchange": "", "routing_key": message.queue},
                "priority": priority,
                "body_encoding": "base64",
                "delivery_tag": "<<tag>>",
            },
        }

    def _values(self, message: Message, task: AnyTask) -> dict[str, str]:
        args, kwargs = native_arguments(message, task)
        if task.is_foreign:
            _, _, body = kombu.serialization.dumps([args, kwargs, NO_CALLBACKS], serializer="json")
        else:
            # Celery's encoder would write the same values; the record's text is there already.
            body = f"[{','.join(message.texts)},{NO_CALLBACKS_TEXT}]"
        is_short = len(body) < SHORT_BODY_CHARS
        amqp = self._app.amqp
        return {
            "id": quoted(message.id),
            "args": quoted(repr(args) if is_short else saferepr(args, amqp.argsrepr_maxsize)),
            "kwargs": quoted(repr(kwargs) if is_short else saferepr(kwargs, amqp.kwargsrepr_maxsize)),
            "body": f'"{b64encode(codec.encoded(body)).decode()}"',
            "head": header_text(message),
            "tag": f'"{secrets.token_hex(16)}"',
        }


NO_CALLBACKS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
NO_CALLBACKS_TEXT = json.dumps(NO_CALLBACKS)


def _filled(parts: list[str], values: Mapping[str, str]) -> str:
    return "".join(values[part] if i % 2 else part for i, part in enumerate(parts))
