"""Every command by its name: who answers it, and which fields it may have."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.embedded.mongo.commands import catalog, status, writes
from app.embedded.mongo.commands.command import GENERIC, Command, check_fields, check_generic
from app.embedded.mongo.commands.reads import Reads
from app.embedded.mongo.cursors import Cursors
from app.embedded.mongo.engine import Engine
from app.embedded.mongo.errors import CommandNotFoundError, CommandNotSupportedError

DataHandler = Callable[[Engine, Command], dict[str, Any]]
"""Answers on the storage thread."""

StatusHandler = Callable[[Command, int], dict[str, Any]]
"""Answers at once, from the command and the connection's number."""

_REFUSED = frozenset({
    "explain", "mapReduce", "renameCollection", "collMod", "compact", "validate", "collStats", "dbStats",
    "commitTransaction", "abortTransaction", "bulkWrite", "saslStart", "saslContinue", "authenticate", "logout",
    "getParameter", "setParameter", "createUser", "currentOp", "killOp", "profile", "getLog", "hostInfo",
    "startSession", "refreshSessions", "killSessions", "killAllSessions", "replSetGetStatus", "shutdown", "fsync",
    "createSearchIndexes", "listSearchIndexes", "geoNear", "group", "eval", "convertToCapped", "top",
    "cloneCollectionAsCapped", "whatsmyuri",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """How one command is answered.

    Attributes:
        name: as MongoDB spells it.
        data: set when it needs the storage thread.
        status: set when it does not.
        fields: what it may carry besides its name and the generic fields; None for anything.
    """

    name: str
    data: DataHandler | None
    status: StatusHandler | None
    fields: frozenset[str] | None

    def check(self, command: Command) -> None:
        """Refuse fields and concerns that the command cannot honour.

        Raises:
            CommandError: one of them.
        """
        if self.fields is not None:
            check_fields(command.body, self.fields | GENERIC | {command.name}, self.name)
            check_generic(command.body)


class Table:
    """The commands of one server.

    Args:
        cursors: its open cursors.
    """

    def __init__(self, cursors: Cursors) -> None:
        reads, exists = Reads(cursors), catalog.Catalog(cursors)
        write = "ordered bypassDocumentValidation let maxTimeMS"
        entries = [
            _data("find", reads.find, "filter projection sort skip limit batchSize singleBatch hint let "
                  "allowPartialResults noCursorTimeout allowDiskUse"),
            _data("getMore", reads.get_more, "collection batchSize"),
            _data("killCursors", reads.kill_cursors, "cursors"),
            _data("count", reads.count, "query skip limit hint"),
            _data("distinct", reads.distinct, "key query hint"),
            _data("aggregate", reads.aggregate, "pipeline cursor hint let allowDiskUse bypassDocumentValidation"),
            _data("insert", writes.insert, f"documents {write}"),
            _data("update", writes.update, f"updates {write}"),
            _data("delete", writes.delete, f"deletes {write}"),
            _data("findAndModify", writes.find_and_modify,
                  "query sort remove update new fields upsert hint let bypassDocumentValidation"),
            _data("create", catalog.create, ""),
            _data("drop", catalog.drop, ""),
            _data("dropDatabase", catalog.drop_database, ""),
            _data("listCollections", exists.list_collections, "filter nameOnly authorizedCollections cursor"),
            _data("listDatabases", catalog.list_databases, "filter nameOnly authorizedDatabases"),
            _data("createIndexes", catalog.create_indexes, "indexes"),
            _data("listIndexes", exists.list_indexes, "cursor"),
            _data("dropIndexes", catalog.drop_indexes, "index"),
            Entry("hello", None, status.hello, None),
            Entry("isMaster", None, status.hello, None),
            _status("ping", status.ping, ""),
            _status("buildInfo", status.build_info, ""),
            _status("connectionStatus", status.connection_status, "showPrivileges"),
            Entry("serverStatus", None, status.server_status, None),
            _status("endSessions", status.ping, ""),
        ]  # fmt: skip
        self._entries = {entry.name: entry for entry in entries}
        # The spellings that drivers and shells have used for years.
        for other, name in _ALIASES.items():
            self._entries[other] = self._entries[name]

    def find(self, name: str) -> Entry:
        """How the command is answered.

        Raises:
            CommandNotSupportedError: MongoDB has it and this server does not.
            CommandNotFoundError: nobody has it.
        """
        entry = self._entries.get(name)
        if entry is not None:
            return entry
        if name in _REFUSED:
            msg = f"the command {name} is not supported by this server"
            raise CommandNotSupportedError(msg)
        msg = f"no such command: '{name}'"
        raise CommandNotFoundError(msg)


_ALIASES = {
    "ismaster": "isMaster",
    "findandmodify": "findAndModify",
    "buildinfo": "buildInfo",
    "deleteIndexes": "dropIndexes",
}


def _data(name: str, handler: DataHandler, fields: str) -> Entry:
    return Entry(name, handler, None, frozenset(fields.split()))


def _status(name: str, handler: StatusHandler, fields: str) -> Entry:
    return Entry(name, None, handler, frozenset(fields.split()))
