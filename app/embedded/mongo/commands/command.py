"""A command as the client sent it, with every field checked: one that we do not know is an error, never ignored."""

import time
from dataclasses import dataclass, field
from typing import Any

from bson import DatetimeMS, Int64

from app.embedded.mongo.arithmetic import as_whole
from app.embedded.mongo.errors import (
    BadValueError,
    CannotSatisfyWriteConcernError,
    CommandNotSupportedError,
    InvalidNamespaceError,
    TimeLimitError,
    TypeMismatchError,
    UnknownFieldError,
)
from app.embedded.mongo.expressions import Variables, compile_expression

GENERIC = frozenset({
    "$db", "$readPreference", "$clusterTime", "lsid", "readConcern", "writeConcern", "maxTimeMS", "comment",
})  # fmt: skip
"""Fields that any command may have; what they ask for is honoured or refused in `check_generic`."""

REFUSED = frozenset({
    "collation", "txnNumber", "autocommit", "startTransaction", "validator", "validationLevel", "validationAction",
    "capped", "size", "max", "min", "timeseries", "viewOn", "encryptionInformation", "explain",
    "changeStreamPreAndPostImages", "clusteredIndex", "expireAfterSeconds", "tailable", "awaitData", "oplogReplay",
    "returnKey", "showRecordId", "arrayFilters", "commitQuorum", "apiVersion", "apiStrict", "apiDeprecationErrors",
    "storageEngine", "indexOptionDefaults", "encryptedFields",
})  # fmt: skip
"""Fields that MongoDB knows and this server cannot honour."""

_FORBIDDEN_IN_DATABASE = set('/\\. "$*<>:|?\x00')


@dataclass(slots=True)
class Command:
    """One request.

    Attributes:
        name: the command's name, as the client spelt it.
        body: all fields, the name's first.
        database: where it runs.
        deadline_s: on the monotonic clock, from `maxTimeMS`; None for no limit.
    """

    name: str
    body: dict[str, Any]
    database: str
    now: DatetimeMS = field(default_factory=lambda: DatetimeMS(time.time_ns() // 1_000_000))
    deadline_s: float | None = None

    @property
    def variables(self) -> Variables:
        """What `$$NAME` means in this command: the time, and its `let`."""
        alone = Variables(self.now)
        given = self.document("let")
        return Variables(self.now, {name: [compile_expression(part, alone)({})] for name, part in given.items()})

    def end_time_limit(self) -> None:
        """No limit from now on: `maxTimeMS` counts the work of this command, not how long its cursor lives."""
        self.deadline_s = None

    def check_time(self) -> None:
        """Stop when `maxTimeMS` passed.

        Raises:
            TimeLimitError: it did.
        """
        if self.deadline_s is not None and time.monotonic() > self.deadline_s:
            raise TimeLimitError("operation exceeded time limit")

    def collection_name(self) -> str:
        """The collection that the command's first field names.

        Raises:
            InvalidNamespaceError: not a string, or not allowed.
        """
        name = self.body[self.name]
        if not isinstance(name, str) or not name or "\x00" in name:
            msg = f"Invalid namespace specified: {self.database}.{name!r}"
            raise InvalidNamespaceError(msg)
        return name

    def document(self, name: str) -> dict[str, Any]:
        """A field that is a document; empty when missing."""
        return document(self.body, name)

    def whole(self, name: str, default: int | None = None) -> int | None:
        """A field that is a whole number, not negative; `default` when missing."""
        return whole(self.body, name, default)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A field that is a boolean."""
        return flag(self.body, name, default=default)

    def statements(self, name: str) -> list[dict[str, Any]]:
        """The statements of a write.

        Raises:
            BadValueError: none, or above 100,000.
            TypeMismatchError: not an array of documents.
        """
        values = self.body.get(name)
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            msg = f"'{name}' must be an array of documents"
            raise TypeMismatchError(msg)
        if not 1 <= len(values) <= 100_000:
            msg = f"Write batch sizes must be between 1 and 100000. Got {len(values)} operations."
            raise BadValueError(msg)
        return values


def document(body: dict[str, Any], name: str) -> dict[str, Any]:
    """A field that is a document; empty when missing or null.

    Raises:
        TypeMismatchError: it is something else.
    """
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong_type(name, value, "object")
    return value


def whole(body: dict[str, Any], name: str, default: int | None = None) -> int | None:
    """A field that is a whole number and not negative; `default` when missing or null.

    Raises:
        TypeMismatchError: it is something else.
        BadValueError: it is negative.
    """
    value = body.get(name)
    if value is None:
        return default
    number = as_whole(value)
    if number is None:
        raise _wrong_type(name, value, "long")
    if number < 0:
        msg = f"BSON field '{name}' value must be >= 0, actual value '{value}'"
        raise BadValueError(msg)
    return number


def flag(body: dict[str, Any], name: str, *, default: bool = False) -> bool:
    """A field that is a boolean, or a number that stands for one.

    Raises:
        TypeMismatchError: it is something else.
    """
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool | int | float):
        raise _wrong_type(name, value, "bool")
    return bool(value)


def check_fields(body: dict[str, Any], allowed: frozenset[str], where: str) -> None:
    """Refuse fields that are not in `allowed`.

    Raises:
        CommandNotSupportedError: MongoDB has the field and this server does not.
        UnknownFieldError: nobody has it.
    """
    for name in body:
        if name in allowed:
            continue
        if name in REFUSED:
            msg = f"the field '{where}.{name}' is not supported by this server"
            raise CommandNotSupportedError(msg)
        msg = f"BSON field '{where}.{name}' is an unknown field."
        raise UnknownFieldError(msg)


def check_generic(body: dict[str, Any]) -> None:
    """Refuse concerns that a single server without transactions cannot honour.

    Raises:
        CannotSatisfyWriteConcernError: `w` asks for other servers.
        CommandNotSupportedError: a read concern of transactions or of cluster time.
    """
    read = document(body, "readConcern")
    if set(read) - {"level", "provenance"} or read.get("level", "local") not in (
        "local",
        "available",
        "majority",
        "linearizable",
    ):
        msg = f"the readConcern {read} is not supported by this server"
        raise CommandNotSupportedError(msg)
    write = document(body, "writeConcern")
    if set(write) - {"w", "j", "wtimeout", "fsync", "provenance"}:
        msg = f"the writeConcern {write} is not supported by this server"
        raise CommandNotSupportedError(msg)
    if write.get("w", 1) not in (0, 1, "majority"):
        raise CannotSatisfyWriteConcernError("cannot use 'w' > 1 or a tag: this server is not replicated")


def parse(body: dict[str, Any]) -> Command:
    """The command of a request's document.

    Raises:
        CommandError: no database, or a generic field that is not usable.
    """
    name = next(iter(body), "")
    database = body.get("$db")
    if not isinstance(database, str) or not database or len(database) > 63 or set(database) & _FORBIDDEN_IN_DATABASE:
        msg = f"Invalid database name: {database!r}"
        raise InvalidNamespaceError(msg)
    limit_ms = whole(body, "maxTimeMS")
    deadline_s = time.monotonic() + limit_ms / 1000 if limit_ms else None
    return Command(name, body, database, deadline_s=deadline_s)


def _wrong_type(name: str, value: Any, expected: str) -> TypeMismatchError:
    kind = "int64" if isinstance(value, Int64) else type(value).__name__
    return TypeMismatchError(f"BSON field '{name}' is the wrong type '{kind}', expected type '{expected}'")
