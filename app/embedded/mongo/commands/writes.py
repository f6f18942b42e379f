"""Commands that write: insert, update, delete, findAndModify. Each statement changes a document whole or not at all."""

from collections.abc import Callable
from typing import Any

from bson import ObjectId

from app.embedded.mongo import searching
from app.embedded.mongo.collection import Collection, Row, decode, encode
from app.embedded.mongo.commands.command import Command, check_fields, document, flag
from app.embedded.mongo.engine import Engine
from app.embedded.mongo.errors import CommandError, FailedToParseError, TypeMismatchError
from app.embedded.mongo.paths import Document
from app.embedded.mongo.projecting import compile_projection
from app.embedded.mongo.searching import Search
from app.embedded.mongo.updating import Update, refuse_dollar_names

_UPDATE = frozenset({"q", "u", "multi", "upsert", "hint", "sort"})
_DELETE = frozenset({"q", "limit", "hint"})


def insert(engine: Engine, command: Command) -> dict[str, Any]:
    """Store new documents; one without `_id` gets an ObjectId."""
    collection = engine.ensure(command.database, command.collection_name())
    counts = {"n": 0}

    def store(statement: Document, _index: int) -> None:
        refuse_dollar_names(statement)
        identity = statement.pop("_id") if "_id" in statement else ObjectId()
        collection.insert({"_id": identity, **statement})
        counts["n"] += 1

    errors = _each(command, command.statements("documents"), store)
    return _answer(counts, errors)


def update(engine: Engine, command: Command) -> dict[str, Any]:
    """Change the documents that each statement's filter finds, or insert one."""
    statements = command.statements("updates")
    counts = {"n": 0, "nModified": 0}
    upserted: list[dict[str, Any]] = []
    collection = _for_update(engine, command, statements)

    def change(statement: Document, index: int) -> None:
        check_fields(statement, _UPDATE, "update.updates")
        change = Update(statement.get("u"), command.variables)
        is_multi = flag(statement, "multi")
        if is_multi and change.is_replacement:
            raise FailedToParseError("multi update is not supported for replacement-style update")
        if is_multi and statement.get("sort"):
            raise FailedToParseError("Cannot specify sort with multi=true")
        search = _search(command, statement, document(statement, "sort"), 0 if is_multi else 1)
        searching.check(search)
        # All are found before the first is changed, so that none is met twice.
        numbers = [seq for seq, _ in searching.find(collection, search)] if collection else []
        for seq in numbers:
            row = collection.row(seq) if collection else None
            if collection and row:
                counts["nModified"] += _modify(collection, row, change)[1]
        counts["n"] += len(numbers)
        if not numbers and flag(statement, "upsert") and collection:
            new = change.insertion(search.query)
            collection.insert(new)
            counts["n"] += 1
            upserted.append({"index": index, "_id": new["_id"]})

    errors = _each(command, statements, change)
    return _answer({**counts, **({"upserted": upserted} if upserted else {})}, errors)


def delete(engine: Engine, command: Command) -> dict[str, Any]:
    """Remove the documents that each statement's filter finds."""
    collection = engine.find(command.database, command.collection_name())
    counts = {"n": 0}

    def remove(statement: Document, _index: int) -> None:
        check_fields(statement, _DELETE, "delete.deletes")
        if isinstance(statement.get("limit"), bool) or statement.get("limit") not in (0, 1):
            raise FailedToParseError("The limit field in delete objects must be 0 or 1")
        search = _search(command, statement, {}, int(statement["limit"]))
        searching.check(search)
        if collection is None:
            return
        for row in list(searching.find(collection, search)):
            collection.delete(row[0], decode(row[1]))
            counts["n"] += 1

    errors = _each(command, command.statements("deletes"), remove)
    return _answer(counts, errors)


def find_and_modify(engine: Engine, command: Command) -> dict[str, Any]:
    """Change or remove one document, and answer it as it was or as it is now."""
    is_remove, is_upsert, is_new = (command.flag(name) for name in ("remove", "upsert", "new"))
    if is_remove and ("update" in command.body or is_upsert or is_new):
        raise FailedToParseError("Cannot specify remove together with update, upsert or new")
    if not is_remove and "update" not in command.body:
        raise FailedToParseError("Either an update or remove=true must be specified")
    variables = command.variables
    fields = command.document("fields")
    project = compile_projection(fields, variables, in_find=True) if fields else None
    change = None if is_remove else Update(command.body["update"], variables)
    statement = {"q": command.body.get("query"), "hint": command.body.get("hint")}
    search = _search(command, statement, command.document("sort"), 1)
    searching.check(search)
    name = command.collection_name()
    collection = engine.ensure(command.database, name) if is_upsert else engine.find(command.database, name)
    row = next(searching.find(collection, search), None) if collection else None
    old, new, state = _exchange(collection, row, change, search, is_upsert=is_upsert)
    value = new if is_new else old
    if value is not None and project is not None:
        value = project(value)
    return {"lastErrorObject": state, "value": value}


def _exchange(
    collection: Collection | None, row: Row | None, change: Update | None, search: Search, *, is_upsert: bool
) -> tuple[Document | None, Document | None, dict[str, Any]]:
    """The document before and after, and what `lastErrorObject` says."""
    if collection is not None and row is not None:
        old = decode(row[1])
        if change is None:
            collection.delete(row[0], old)
            return old, None, {"n": 1}
        new, _ = _modify(collection, row, change)
        return old, new, {"n": 1, "updatedExisting": True}
    if change is None:
        return None, None, {"n": 0}
    if collection is None or not is_upsert:
        return None, None, {"n": 0, "updatedExisting": False}
    new = change.insertion(search.query)
    collection.insert(new)
    return None, new, {"n": 1, "updatedExisting": False, "upserted": new["_id"]}


def _modify(collection: Collection, row: Row, change: Update) -> tuple[Document, bool]:
    """The changed document, and whether it is another than before."""
    seq, old_raw = row
    new = change.apply(decode(old_raw))
    raw = encode(new)
    if raw == old_raw:
        return new, False
    collection.replace(seq, decode(old_raw), new, raw)
    return new, True


def _for_update(engine: Engine, command: Command, statements: list[Document]) -> Collection | None:
    name = command.collection_name()
    if any(statement.get("upsert") for statement in statements):
        return engine.ensure(command.database, name)
    return engine.find(command.database, name)


def _search(command: Command, statement: Document, sort: Document, limit: int) -> Search:
    query = statement.get("q")
    if query is not None and not isinstance(query, dict):
        raise TypeMismatchError("the filter of a write must be a document")
    hint = statement.get("hint")
    return Search(query or {}, command.variables, sort, 0, limit, hint, command.check_time)


def _each(command: Command, statements: list[Document], work: Callable[[Document, int], None]) -> list[dict[str, Any]]:
    """Run the statements; ordered ones end at the first error, others go on. The errors, each with its index."""
    errors = []
    is_ordered = command.flag("ordered", default=True)
    for index, statement in enumerate(statements):
        try:
            command.check_time()
            work(statement, index)
        except CommandError as exc:
            errors.append(exc.write_error(index))
            if is_ordered:
                break
    return errors


def _answer(counts: dict[str, Any], errors: list[dict[str, Any]]) -> dict[str, Any]:
    return {**counts, "writeErrors": errors} if errors else counts
