"""Commands about the server itself: the handshake, ping, versions. They touch no data."""

import os
import platform
import time
from typing import Any

from bson import DatetimeMS, Int64

from app.embedded.mongo.collection import MAX_DOCUMENT_BYTES
from app.embedded.mongo.commands.command import Command
from app.embedded.mongo.wire import MAX_MESSAGE_BYTES

MAX_WIRE_VERSION = 17
"""That of MongoDB 6.0: PyMongo 4.20 asks for 9 at least, and uses nothing that is missing here up to 20."""

VERSION = (6, 0, 0)
"""The version of MongoDB whose answers these are."""

_STARTED_S = time.monotonic()


def hello(command: Command, connection: int) -> dict[str, Any]:
    """What a driver learns first: a standalone server, without sessions, so that it retries no writes."""
    return {
        "helloOk": True,
        "isWritablePrimary" if command.name.lower() == "hello" else "ismaster": True,
        "maxBsonObjectSize": MAX_DOCUMENT_BYTES,
        "maxMessageSizeBytes": MAX_MESSAGE_BYTES,
        "maxWriteBatchSize": 100_000,
        "localTime": DatetimeMS(time.time_ns() // 1_000_000),
        "connectionId": connection,
        "minWireVersion": 0,
        "maxWireVersion": MAX_WIRE_VERSION,
        "readOnly": False,
    }


def ping(_command: Command, _connection: int) -> dict[str, Any]:
    """Nothing, which says that the server is there."""
    return {}


def build_info(_command: Command, _connection: int) -> dict[str, Any]:
    """The version, and which server this really is."""
    return {
        "version": ".".join(map(str, VERSION)),
        "versionArray": [*VERSION, 0],
        "gitVersion": "onceq embedded subset",
        "modules": ["onceq-embedded"],
        "storageEngines": ["sqlite"],
        "bits": 64,
        "maxBsonObjectSize": MAX_DOCUMENT_BYTES,
    }


def connection_status(_command: Command, _connection: int) -> dict[str, Any]:
    """Nobody is authenticated: there is no authentication."""
    return {"authInfo": {"authenticatedUsers": [], "authenticatedUserRoles": []}}


def server_status(_command: Command, _connection: int) -> dict[str, Any]:
    """The least that monitoring asks: version, process, uptime."""
    up_s = time.monotonic() - _STARTED_S
    return {
        "host": platform.node(),
        "version": ".".join(map(str, VERSION)),
        "process": "onceq-embedded",
        "pid": Int64(os.getpid()),
        "uptime": up_s,
        "uptimeMillis": Int64(int(up_s * 1000)),
        "localTime": DatetimeMS(time.time_ns() // 1_000_000),
        "storageEngine": {"name": "sqlite", "persistent": True},
    }
