"""What parent and child say to each other: one JSON array a line, its first item one of these."""

STARTED = "started"  # the request has arrived; from here on, a death is the document's doing
CHUNK = "chunk"  # position, text, place
PROGRESS = "progress"  # done, total or null
DONE = "done"  # whether the child should be replaced before the next document
DOCUMENT_ERROR = "document_error"  # code, detail
OS_ERROR = "os_error"  # errno, message

MAX_LINE_BYTES = 64 * 1024
"""A chunk of 1,400 characters and its place take at most 20 KB, every character escaped as two `\\uXXXX`."""

EXIT_OUT_OF_MEMORY = 73
"""The child's exit code when it had not even the memory to say so."""
