"""A task of each second, for a worker and a scheduler of the backend that QUEUES_BACKEND names."""

import os
from datetime import datetime, timedelta

import redis

from queues import Once, Tasks, connect

tasks = Tasks(namespace="seconds")


@tasks.schedule(timedelta(seconds=1), catch_up="all", moment="moment")
@tasks.task(queue="seconds", once=Once(lease=2))
def each_second(moment: datetime) -> None:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.rpush("noted", round(moment.timestamp()))


queue = connect(tasks)
if queue.backend.name == "celery":
    app = queue.backend.app
else:
    broker = queue.backend.broker
