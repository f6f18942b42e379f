"""`dramatiq traced_dramatiq:broker`."""

from traced import queue

broker = queue("dramatiq").backend.broker
