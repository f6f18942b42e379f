"""What works where nothing but `redis` is installed."""

import subprocess
import sys

BARE = '''
import sys
from datetime import timedelta

class OnlyRedis:
    """Lets nothing be imported but the standard library, `queues` and `redis`."""

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        # Before Python 3.11.3, redis itself needs `async_timeout`.
        known = sys.stdlib_module_names | {"queues", "redis", "async_timeout"}
        # `_sysconfigdata` is the standard library's; what follows in its name differs from system to system.
        if top not in known and not top.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"No module named {top!r}", name=top)

sys.meta_path.insert(0, OnlyRedis())

from queues import Tasks, connect, errors
from queues.cli import main
from queues.stores.redis import RedisStore
from queues.stores.redis_async import AsyncRedisStore

tasks = Tasks(namespace="bare")

@tasks.task
def add(a: int, b: int = 1) -> int:
    return a + b

tasks.schedule(timedelta(minutes=5), kwargs={"a": 1})(add)
try:
    tasks.schedule("0 3 * * *", kwargs={"a": 1})(add)
except errors.InvalidOptionError as exc:
    print(exc)
connect(tasks, backend="memory")
print(add.send(1).result())
for backend in ("celery", "dramatiq"):
    try:
        connect(tasks, backend=backend)
    except errors.InvalidOptionError as exc:
        print(exc)
'''


def test_the_library_needs_redis_alone_and_says_what_a_backend_needs():
    done = subprocess.run(
        [sys.executable, "-c", BARE], env={}, capture_output=True, text=True, timeout=240, check=False
    )

    assert done.stderr == ""
    printed = done.stdout.splitlines()
    assert [line.partition(" (")[0] for line in printed] == [
        "bare.add-2: a cron line needs the package cronsim, which the extras of every backend bring",
        "2",
        "the backend celery needs its packages: pip install 'onceq[celery]'",
        "the backend dramatiq needs its packages: pip install 'onceq[dramatiq]'",
    ]
