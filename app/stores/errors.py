"""What can go wrong when something is stored or read.

```
StoreError
├─ StoreUnavailableError                    retry; nothing is known to be written
├─ StoreRejectedError(detail)               never retry; the server refused the operation
├─ RecordExistsError(collection, record_id) never retry
├─ CorruptRecordError(collection, record_id) never retry; written by another version
├─ StaleTokenError(record_id, token)        drop this run's result: a newer run has written
├─ SourceRemovedError(source_id)            never retry
└─ UploadPathError(path)                    never retry
```
"""


class StoreError(Exception):
    """Any failure of the stores; catch this one to catch them all."""


class StoreUnavailableError(StoreError):
    """MongoDB did not answer in time or could not be reached; the same call may succeed later."""

    code = "store_unavailable"

    def __init__(self, detail: str) -> None:
        super().__init__(f"MongoDB is unavailable: {detail}")
        self.detail = detail


class StoreRejectedError(StoreError):
    """MongoDB refused the operation; the same call will be refused again."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"MongoDB refused the operation: {detail}")
        self.detail = detail


class RecordExistsError(StoreError):
    """A record with this id, or with this value of a unique field, is already stored."""

    def __init__(self, collection: str, record_id: str) -> None:
        super().__init__(f"{collection} already holds {record_id!r}")
        self.collection = collection
        self.record_id = record_id


class CorruptRecordError(StoreError):
    """A stored record does not have the fields that this version reads."""

    def __init__(self, collection: str, record_id: str, detail: str) -> None:
        super().__init__(f"{collection} holds {record_id!r}, which cannot be read: {detail}")
        self.collection = collection
        self.record_id = record_id


class StaleTokenError(StoreError):
    """A run with a newer fencing token has written this record; this run's result is dropped."""

    code = "stale_token"

    def __init__(self, record_id: str, token: int) -> None:
        super().__init__(f"{record_id!r} was written by a run newer than token {token}")
        self.record_id = record_id
        self.token = token


class SourceRemovedError(StoreError):
    """The source was removed by its owner while, or before, a task worked on it."""

    code = "source_removed"

    def __init__(self, source_id: str) -> None:
        super().__init__(f"source {source_id!r} was removed")
        self.source_id = source_id


class UploadPathError(StoreError):
    """A path that is not a file's place inside the uploads folder."""

    code = "path_refused"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path!r} cannot be used as an upload's path: {reason}")
        self.path = path
        self.reason = reason
