"""Index definitions: what a client may declare, and the keys that an index holds for a document."""

from dataclasses import dataclass
from itertools import product
from typing import Any

from bson import DatetimeMS

from app.embedded.mongo import paths
from app.embedded.mongo.errors import (
    CannotCreateIndexError,
    CannotIndexParallelArraysError,
    CommandNotSupportedError,
)
from app.embedded.mongo.expressions import Variables
from app.embedded.mongo.matching import Matcher, compile_filter
from app.embedded.mongo.paths import MISSING, Document
from app.embedded.mongo.sorting import descending, field_keys

MAX_INDEXES = 64
"""MongoDB's own limit of indexes on one collection."""

MAX_FIELDS = 32
"""MongoDB's own limit of fields in one index."""

_REFUSED = {"collation", "hidden", "wildcardProjection", "weights", "storageEngine", "clustered"}
_NEVER = DatetimeMS(0)  # a partial index cannot depend on the time
_KNOWN = {"key", "name", "v", "unique", "sparse", "expireAfterSeconds", "partialFilterExpression", "background"}


@dataclass(slots=True)
class Index:
    """One index of a collection.

    Attributes:
        number: its number in the catalog, which names its table; 0 for the index on `_id`.
        spec: what `listIndexes` answers.
        fields: path, its parts, and whether it is descending.
        is_multikey: true once a document had an array on an indexed path.
        is_multikey_saved: the catalog on the disk says so too.
    """

    number: int
    spec: Document
    fields: tuple[tuple[str, tuple[str, ...], bool], ...]
    partial: Matcher | None
    is_multikey: bool = False
    is_multikey_saved: bool = False

    @property
    def name(self) -> str:
        """The index's name, such as `a_1`."""
        return str(self.spec["name"])

    @property
    def is_unique(self) -> bool:
        """Two documents may not have the same key."""
        return self.number == 0 or bool(self.spec.get("unique"))

    @property
    def is_sparse(self) -> bool:
        """Documents with none of the fields are left out."""
        return bool(self.spec.get("sparse"))

    @property
    def expire_after_s(self) -> float | None:
        """After how many seconds a document ends, counted from its date in the indexed field."""
        value = self.spec.get("expireAfterSeconds")
        return None if value is None else float(value)

    def keys(self, document: Document) -> set[bytes]:
        """The keys of a document; empty when the index leaves it out. Notes when an array is met.

        Raises:
            CannotIndexParallelArraysError: two fields of a compound index are arrays.
        """
        if self.partial is not None and not self.partial(document):
            return set()
        if self.is_sparse and all(
            all(value is MISSING for value in paths.leaves(document, parts)) for _, parts, _ in self.fields
        ):
            return set()
        columns: list[list[bytes]] = []
        arrays = 0
        for _, parts, is_descending in self.fields:
            found, has_array = field_keys(document, parts)
            arrays += has_array
            columns.append([descending(key) for key in found] if is_descending else found)
        if arrays > 1:
            raise CannotIndexParallelArraysError(f"cannot index parallel arrays in the index {self.name!r}")
        if not arrays:
            return {b"".join([column[0] for column in columns])}
        self.is_multikey = True
        return {b"".join(parts) for parts in product(*columns)}

    def key_value(self, document: Document) -> Document:
        """The indexed fields with their values, for the error about a duplicate."""
        found = {}
        for path, parts, _ in self.fields:
            value = paths.get(document, parts)
            found[path] = None if value is MISSING else value
        return found


def id_index() -> Index:
    """The index on `_id`, which every collection has."""
    spec = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
    return Index(0, spec, (("_id", ("_id",), False),), None)


def load_index(number: int, spec: Document, *, is_multikey: bool = False) -> Index:
    """The index of a checked definition."""
    fields = tuple((path, tuple(paths.split(path)), direction < 0) for path, direction in spec["key"].items())
    partial = spec.get("partialFilterExpression")
    matcher = None if partial is None else compile_filter(partial, Variables(_NEVER))
    return Index(number, spec, fields, matcher, is_multikey, is_multikey)


def check_spec(given: Any) -> Document:
    """The definition of an index as it will be stored, with the defaults filled in.

    Raises:
        CannotCreateIndexError: the definition is wrong, or of an unknown option.
        CommandNotSupportedError: text, geo, hashed, wildcard indexes, collations, hidden indexes.
    """
    if not isinstance(given, dict) or not isinstance(given.get("key"), dict) or not given["key"]:
        raise CannotCreateIndexError("an index needs a key with at least one field")
    _check_options(given)
    key = _check_key(given["key"])
    name = given.get("name") or "_".join(f"{path}_{direction}" for path, direction in key.items())
    if not isinstance(name, str) or "\x00" in name or name == "*":
        raise CannotCreateIndexError("the index name is not valid")
    spec: Document = {"v": 2, "key": key, "name": name}
    for option in ("unique", "sparse"):
        if option in given and _flag(given[option], option):
            spec[option] = True
    if "expireAfterSeconds" in given:
        spec["expireAfterSeconds"] = _check_ttl(given["expireAfterSeconds"], key)
    if "partialFilterExpression" in given:
        partial = given["partialFilterExpression"]
        compile_filter(partial, Variables(_NEVER))
        if spec.get("sparse"):
            raise CannotCreateIndexError("cannot mix partialFilterExpression and sparse")
        spec["partialFilterExpression"] = partial
    return spec


def _check_options(given: Document) -> None:
    for option in given:
        if option in _REFUSED:
            msg = f"the index option {option!r} is not supported by this server"
            raise CommandNotSupportedError(msg)
        if option not in _KNOWN:
            msg = f"The field {option!r} is not valid for an index specification"
            raise CannotCreateIndexError(msg)


def _check_key(key: Document) -> Document:
    if len(key) > MAX_FIELDS:
        raise CannotCreateIndexError("too many fields in the index")
    found = {}
    for path, direction in key.items():
        if isinstance(direction, str):
            raise CommandNotSupportedError(f"{direction} indexes are not supported by this server")
        if "$" in path:
            raise CommandNotSupportedError("wildcard and $-named indexes are not supported by this server")
        if isinstance(direction, bool) or direction not in (1, -1):
            raise CannotCreateIndexError("the value of an index field must be 1 or -1")
        paths.split(path)
        found[path] = 1 if direction == 1 else -1
    return found


def _check_ttl(seconds: Any, key: Document) -> Any:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 2**31 - 1:
        raise CannotCreateIndexError("expireAfterSeconds must be a number from 0 to 2147483647")
    if len(key) != 1 or "_id" in key:
        raise CannotCreateIndexError("a TTL index is over one field that is not _id")
    return seconds


def _flag(value: Any, option: str) -> bool:
    if not isinstance(value, bool | int | float):
        raise CannotCreateIndexError(f"the index option {option!r} must be a boolean")
    return bool(value)
