"""`dramatiq onceq_dramatiq:broker`. PROGRAM_SHORT_MS says what counts as short there, on a machine that is busy."""

import os

from crash_points import arm
from onceq_program import tasks

from queues import connect
from queues.backends.dramatiq import ahead

arm()
ahead.SHORT_MS = float(os.environ.get("PROGRAM_SHORT_MS", ahead.SHORT_MS))
broker = connect(tasks, backend="dramatiq").backend.broker
