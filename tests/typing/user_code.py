"""What a user's type checker sees; `test_typing.py` compares each `# E:` and `# R:` with mypy's words."""

import queues

tasks = queues.Tasks(namespace="typed")


@tasks.task
def add(a: int, b: int = 1) -> int:
    return a + b


@tasks.task(queue="documents", once=queues.Once(ttl=60), backoff=queues.Backoff(60))
async def read(path: str) -> dict[str, object]:
    return {"path": path}


@tasks.task(soft_time_limit=5, time_limit=7.5, rate_limit="10/s", concurrency=queues.Concurrency(3, per="path"))
def scrape(path: str) -> int:
    return len(path)


@tasks.task(concurrency=2)
def convert(path: str) -> int:
    return len(path)


reveal_type(scrape.send("x"))  # R: queues.handle.Handle
reveal_type(add)  # R: queues.task.Task[[a: int, b: int =], int]
reveal_type(add(1))  # R: int
reveal_type(add.send(1, b=2))  # R: queues.handle.Handle
add.send("one")  # E: Argument 1 to "send" of "Task" has incompatible type "str"; expected "int"
add.send()  # E: Missing positional argument "a" in call to "send" of "Task"
add.send(1, c=2)  # E: Unexpected keyword argument "c" for "send" of "Task"
read.send(1)  # E: Argument 1 to "send" of "Task" has incompatible type "int"; expected "str"


async def main() -> None:
    reveal_type(await read("x"))  # R: dict[str, object]
    reveal_type(await read.send_async("x"))  # R: queues.handle.Handle


reveal_type(tasks.schedule("0 3 * * *", kwargs={"a": 1})(add))  # R: queues.task.Task[[a: int, b: int =], int]
tasks.schedule("0 3 * * *", catch_up="some")  # E: Argument "catch_up" to "schedule" of "Scheduling" has incompatible type
queue = queues.connect(tasks, backend="memory")
reveal_type(queue)  # R: queues.client.Queue
reveal_type(add.send(1).state)  # R: queues.idempotency.state.State
reveal_type(queues.current.token)  # R: int
queues.Once(on_duplicate="maybe")  # E: Argument "on_duplicate" to "Once" has incompatible type
