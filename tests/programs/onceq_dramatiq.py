"""`dramatiq onceq_dramatiq:broker`."""

from crash_points import arm
from onceq_program import tasks

from queues import connect

arm()
broker = connect(tasks, backend="dramatiq").backend.broker
