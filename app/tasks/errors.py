"""Why a task gives up, or asks for another attempt.

TaskInputError(field, reason)      never retry: the arguments cannot be used
DocumentMissingError(path)         never retry: the uploaded file is gone
PageRefusedError(code, detail)     never retry: the page cannot be had, or has nothing to keep
UndeliveredError(reasons)          retry: a channel did not take the notification this time

Each has a `code` for programs. `detail`, where there is one, is a sentence for the owner.
"""


class TaskInputError(ValueError):
    """An argument that the task cannot use; names the argument, and says why."""

    code = "invalid_argument"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class DocumentMissingError(Exception):
    """The file of a document is not in the uploads folder."""

    code = "file_missing"
    detail = "The uploaded file is no longer there."

    def __init__(self, path: str) -> None:
        super().__init__(f"{path!r} is not in the uploads folder")
        self.path = path


class PageRefusedError(Exception):
    """The page that was asked for cannot be read, now or later; `code` is the reason in one word."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class UndeliveredError(Exception):
    """A notification is stored, but not every channel took it; those that did are not tried again."""

    code = "undelivered"

    def __init__(self, reasons: dict[str, str]) -> None:
        listed = "; ".join(f"{channel}: {reason}" for channel, reason in sorted(reasons.items()))
        super().__init__(f"not delivered: {listed}")
        self.reasons = reasons
