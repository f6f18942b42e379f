"""`dramatiq onceq_dramatiq:broker`."""

from onceq_program import tasks

from queues import connect

broker = connect(tasks, backend="dramatiq").backend.broker
