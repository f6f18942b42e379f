"""What the server answers when it refuses, with MongoDB's own codes.

```
CommandError(message, **details)
├─ parse      FailedToParseError, BadValueError, TypeMismatchError, UnknownFieldError, InvalidOptionsError
├─ refused    CommandNotFoundError, CommandNotSupportedError, NotSingleValueFieldError
├─ missing    NamespaceNotFoundError, IndexNotFoundError, CursorNotFoundError
├─ exists     NamespaceExistsError, IndexOptionsConflictError, IndexKeySpecsConflictError, DuplicateKeyError
├─ update     ConflictingUpdateOperatorsError, ImmutableFieldError, PathNotViableError, ...
└─ limits     DocumentTooLargeError, TimeLimitError, NestingTooDeepError
```

Codes: MongoDB's `error_codes.yml`.
"""

from typing import Any, ClassVar


class CommandError(Exception):
    """A command is refused; `reply()` is the document that a driver turns into its own exception.

    Attributes:
        message: what was wrong, for a person.
        details: more fields of the reply, such as `keyPattern`.
    """

    code: ClassVar[int] = 1
    code_name: ClassVar[str] = "InternalError"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def reply(self) -> dict[str, Any]:
        """The reply to the whole command."""
        head = {"ok": 0.0, "errmsg": self.message, "code": self.code, "codeName": self.code_name}
        return {**head, **self.details}

    def write_error(self, index: int) -> dict[str, Any]:
        """The entry of `writeErrors` for the statement at `index`, counted from 0."""
        return {"index": index, "code": self.code, "errmsg": self.message, **self.details}


class BadValueError(CommandError):
    """A value is of the right type and cannot be used."""

    code, code_name = 2, "BadValue"


class FailedToParseError(CommandError):
    """A filter, update, pipeline or option is not understood."""

    code, code_name = 9, "FailedToParse"


class TypeMismatchError(CommandError):
    """A value has the wrong BSON type."""

    code, code_name = 14, "TypeMismatch"


class NestingTooDeepError(CommandError):
    """A document or filter is nested more than the limit."""

    code, code_name = 15, "Overflow"


class NamespaceNotFoundError(CommandError):
    """The collection does not exist."""

    code, code_name = 26, "NamespaceNotFound"


class IndexNotFoundError(CommandError):
    """No index has this name."""

    code, code_name = 27, "IndexNotFound"


class PathNotViableError(CommandError):
    """An update wants to create a field inside something that is not a document."""

    code, code_name = 28, "PathNotViable"


class ConflictingUpdateOperatorsError(CommandError):
    """Two operators of one update change the same path."""

    code, code_name = 40, "ConflictingUpdateOperators"


class CursorNotFoundError(CommandError):
    """The cursor ended, timed out, or never was."""

    code, code_name = 43, "CursorNotFound"


class NamespaceExistsError(CommandError):
    """The collection exists with other options."""

    code, code_name = 48, "NamespaceExists"


class TimeLimitError(CommandError):
    """`maxTimeMS` passed before the command ended."""

    code, code_name = 50, "MaxTimeMSExpired"


class DollarPrefixedFieldNameError(CommandError):
    """A stored field name may not begin with a dollar sign."""

    code, code_name = 52, "DollarPrefixedFieldName"


class EmptyFieldNameError(CommandError):
    """A path has an empty part."""

    code, code_name = 56, "EmptyFieldName"


class CommandNotFoundError(CommandError):
    """MongoDB has no command of this name, or this server does not have it."""

    code, code_name = 59, "CommandNotFound"


class ImmutableFieldError(CommandError):
    """An update would change `_id`."""

    code, code_name = 66, "ImmutableField"


class CannotCreateIndexError(CommandError):
    """The index is of a kind that is not supported here, or its definition is wrong."""

    code, code_name = 67, "CannotCreateIndex"


class InvalidOptionsError(CommandError):
    """An option, or two together, cannot be used."""

    code, code_name = 72, "InvalidOptions"


class InvalidNamespaceError(CommandError):
    """A database or collection name is not allowed."""

    code, code_name = 73, "InvalidNamespace"


class IndexOptionsConflictError(CommandError):
    """An index over the same fields exists with other options."""

    code, code_name = 85, "IndexOptionsConflict"


class IndexKeySpecsConflictError(CommandError):
    """An index of the same name exists over other fields."""

    code, code_name = 86, "IndexKeySpecsConflict"


class CannotSatisfyWriteConcernError(CommandError):
    """The write concern asks for more servers than there are."""

    code, code_name = 100, "CannotSatisfyWriteConcern"


class QueryPlanKilledError(CommandError):
    """The collection or the index that a cursor reads was dropped."""

    code, code_name = 175, "QueryPlanKilled"


class CommandNotSupportedError(CommandError):
    """MongoDB has this, and this server does not."""

    code, code_name = 115, "CommandNotSupported"


class CannotIndexParallelArraysError(CommandError):
    """A compound index would need the product of two arrays."""

    code, code_name = 171, "CannotIndexParallelArrays"


class DocumentTooLargeError(CommandError):
    """A document is above 16 MiB."""

    code, code_name = 10334, "BSONObjectTooLarge"


class DuplicateKeyError(CommandError):
    """A unique index holds this key already; carries `keyPattern` and `keyValue`."""

    code, code_name = 11000, "DuplicateKey"


class UnknownStageError(CommandError):
    """The pipeline names a stage that this server does not have."""

    code, code_name = 40324, "Location40324"


class UnknownFieldError(CommandError):
    """A command carries a field that this server does not know."""

    code, code_name = 40415, "Location40415"
