"""Submissions to Celery by `delay`, for every package that offers Celery's tasks."""

from collections.abc import Mapping
from typing import Any

import work


def each(tasks: Mapping[str, Any], kind: str, numbers: range) -> None:
    """One task for each number, one after another."""
    delay = tasks[kind].delay
    for number in numbers:
        delay(*work.arguments(kind, number))


def again(tasks: Mapping[str, Any], kind: str, number: int, count: int) -> None:
    """The same task again and again."""
    delay, arguments = tasks[kind].delay, work.arguments(kind, number)
    for _ in range(count):
        delay(*arguments)
