"""Celery's result backend on Redis, with one round trip to store a result in place of two.

Celery asks first whether the task has succeeded already, which a later outcome must not hide, and then stores: for a
task that does nothing, most of a child's time. Here the server looks, and stores where there was nothing.
"""

from functools import cache
from importlib import resources
from typing import Any

from celery import states
from celery.backends import redis
from kombu.utils.encoding import bytes_to_str
from redis.commands.core import Script

BACKENDS = dict.fromkeys(("redis", "rediss"), "compat.celery.results:RedisBackend")
"""Which of Celery's names for backends mean ours."""


class RedisBackend(redis.RedisBackend):
    """The same keys, values, channels and times as Celery's."""

    def _store_result(
        self, task_id: Any, result: Any, state: str, traceback: Any = None, request: Any = None, **options: Any
    ) -> Any:
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        meta["task_id"] = bytes_to_str(task_id)
        key, value = self.get_key_for_task(task_id), self.encode(meta)
        if len(value) > self._MAX_STR_VALUE_SIZE:
            # Celery's own way has the error for it.
            return super()._store_result(task_id, result, state, traceback, request, **options)
        expires_s = self.failure_expires if state == states.FAILURE else self.expires
        current = Script(self.client, _script())(keys=[key], args=[value, expires_s or 0])
        if current is not None and self.decode_result(current)["status"] != states.SUCCESS:
            self._set_with_state(key, value, state)
        return result


@cache
def _script() -> bytes:
    return (resources.files("compat.celery") / "results.lua").read_bytes()
