"""What `dramatiq` looks for."""

from onceq_tasks import queue

broker = queue.backend.broker
