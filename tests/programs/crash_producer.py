"""Submits one call and says what came of it: `python crash_producer.py celery NAME`."""

import sys

from crash_points import arm
from onceq_program import echo, tasks

from queues import connect, submission

# Ten seconds, in the library; the mechanism is the same.
submission.PUBLISH_WITHIN_MS = 1_000
arm()
connect(tasks, backend=sys.argv[1])
handle = echo.send(sys.argv[2], 1)
print(handle.id, handle.decision.value)
