"""The calls whose keys are pinned in golden_keys.json. A digest that changes makes every stored outcome unknown."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int


class Page(BaseModel):
    number: int
    title: str | None = None


VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "minus one": -1,
    "big integer": 10**40,
    "float": 1.0,
    "float third": 1 / 3,
    "minus zero": -0.0,
    "infinity": float("inf"),
    "not a number": float("nan"),
    "empty text": "",
    "text": "1",
    "text beyond ascii": "naïve ☃ 𝄞",
    "half a surrogate pair": "\ud800",
    "bytes": b"\x00\xff",
    "empty bytes": b"",
    "empty list": [],
    "list": [1, "1", None],
    "tuple": (1, "1", None),
    "nested": [[], [[]], {}],
    "empty dict": {},
    "dict": {"b": 1, "a": [2]},
    "dict with other keys": {1: "a", (2, 3): "b", None: "c"},
    "empty set": set(),
    "set": {3, 1, 2},
    "frozenset of text": frozenset({"b", "a", "aa"}),
    "naive datetime": datetime(2024, 2, 29, 12, 30, 0, 5),  # noqa: DTZ001 - a naive one is the case
    "datetime in UTC": datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
    "same instant elsewhere": datetime(2024, 2, 29, 14, 30, tzinfo=timezone(timedelta(hours=2))),
    "datetime before 1970": datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "date": date(2024, 2, 29),
    "time": time(12, 30),
    "timedelta": timedelta(days=-1, microseconds=1),
    "decimal": Decimal("1.0"),
    "decimal with more zeros": Decimal("1.00"),
    "decimal of many digits": Decimal("-12345678901234567890123456789012345678901.5"),
    "decimal zero": Decimal("-0.00"),
    "decimal hundred": Decimal(100),
    "decimal not a number": Decimal("NaN"),
    "uuid": UUID("12345678-1234-5678-1234-567812345678"),
    "enum": Colour.RED,
    "dataclass": Point(1, 2),
    "pydantic model": Page(number=1),
}
