"""A Celery application that knows nothing of the shim."""

import os

from celery import Celery

app = Celery("compat_plain", broker=os.environ["BROKER_URL"], backend=os.environ["REDIS_URL"])

app.conf.dramatiq_reads_celery_queues = "READS_CELERYS" in os.environ


@app.task
def double(x: int) -> int:
    return 2 * x


if __name__ == "__main__":
    print(double.delay(21).get(timeout=60))
