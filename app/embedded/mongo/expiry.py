"""TTL indexes: documents that end some seconds after a date in them."""

import time

from bson import DatetimeMS

from app.embedded.mongo.collection import Collection, decode
from app.embedded.mongo.engine import Engine
from app.embedded.mongo.indexes import Index
from app.embedded.mongo.ordering import order_key, type_of
from app.embedded.mongo.planning import Plan
from app.embedded.mongo.sorting import descending

BATCH_DOCUMENTS = 500
"""The most that one pass removes, so that commands are not held up."""


def remove_expired(engine: Engine) -> bool:
    """Remove a batch of documents whose time is over; true when there may be more."""
    now_ms = time.time_ns() // 1_000_000
    count = 0
    for collection in engine.every_collection():
        for index in list(collection.indexes):
            if index.expire_after_s is not None:
                count += _remove(collection, index, now_ms - int(index.expire_after_s * 1000), BATCH_DOCUMENTS - count)
    return count >= BATCH_DOCUMENTS


def _remove(collection: Collection, index: Index, until_ms: int, most: int) -> int:
    if most <= 0:
        return 0
    last = order_key(DatetimeMS(until_ms))
    start, end = bytes([type_of(last)]), last + b"\xff"
    if index.fields[0][2]:
        start, end = descending(last), descending(start) + b"\xff"
    count = 0
    for seq, raw in collection.rows(Plan(index, ((start, end),))):
        # The range holds dates alone; of several in an array the earliest counts, and the index found it.
        collection.delete(seq, decode(raw))
        count += 1
        if count >= most:
            break
    return count
