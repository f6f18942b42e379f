"""A server that speaks a subset of MongoDB's protocol, for a machine that has only Python.

`python -m app.embedded.mongo --data DIR --port N`. PyMongo uses it as it would use MongoDB; what it
does not support it refuses with MongoDB's own error, and never ignores.

Bytes go this way: `wire` (messages) -> `server` (connections) -> `commands` (fields checked) -> `storage` (one
thread, one sync for all that wait) -> `engine`, `collection` (SQLite) with `planning`, `searching`, `matching`,
`updating`, `stages` for what the commands mean. All of them compare values by `ordering`.

Why SQLite itself and not litemongo or mongomock, which were read and measured (litemongo 0.2.0, which carries
mongomock): there a bool equals a number, documents are equal whatever the order of their fields, Decimal128 cannot
be compared, int64 is not told from int32, conflicting paths of an update and unknown modifiers are passed over in
silence; each document is a transaction of its own without a sync, so neither a command nor a power cut is safe; and
every index is rebuilt in memory from all documents at the first query after a start (0.5 s for 20,000).
"""
