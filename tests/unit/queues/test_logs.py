"""Log records that say which task they are about."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from queues import Handle, Once, Tasks, connect
from queues.idempotency.state import Begin
from queues.logs import JsonFormatter, Subject, TaskContext, speak_of
from tests.unit.queues.bench import Bench

SECRET = "hunter2"


class Lines:
    """What is logged, in a format."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    made = Lines()
    made.handler.setFormatter(JsonFormatter("memory"))
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(made.handler)
    yield made
    root.removeHandler(made.handler)
    root.setLevel(level)


def program() -> Tasks:
    tasks = Tasks(namespace="logged")

    @tasks.task
    def speaks(word: str) -> None:
        logging.getLogger("mine").info("working", extra={"args_of_task": word})

    @tasks.task
    async def speaks_async(word: str) -> None:
        await asyncio.sleep(0)
        logging.getLogger("mine").info("working")

    @tasks.task(max_retries=0)
    def fails(word: str) -> None:
        logging.getLogger("mine").error("failed", exc_info=ValueError("no such page"))

    return tasks


def sent(name: str, word: str = SECRET) -> tuple[Handle, list[Any]]:
    tasks = program()
    with connect(tasks, backend="memory") as queue:
        handle = tasks.get(f"logged.{name}").send(word)
        queue.backend.run_pending()
        record = queue.store.read(handle.key)
    return handle, [record]


@pytest.mark.parametrize("name", ["speaks", "speaks_async"])
def test_a_line_of_a_task_names_its_run(lines: Lines, name: str):
    handle, (record,) = sent(name)

    (line,) = [line for line in lines.documents if line["logger"] == "mine"]
    assert line == {
        "time": line["time"],
        "level": "info",
        "logger": "mine",
        "message": "working",
        "task": f"logged.{name}",
        "task_id": handle.id,
        "key": handle.key,
        "attempt": 1,
        "token": record.token,
        "backend": "memory",
        "process": line["process"],
    }
    assert datetime.fromisoformat(line["time"]).utcoffset() is not None


def test_a_line_of_the_library_names_the_message(lines: Lines):
    bench = Bench()
    message = bench.admitted(bench.task(lambda: None))
    begin = Begin(message.fingerprint, message.id, message.encoded(), "other", 0, 3000, 3, 60_000)
    bench.store.apply(message.digest, begin)

    bench.executor.execute(message)

    (line,) = [line for line in lines.documents if line["logger"] == "queues.executor"]
    assert (line["task_id"], line["key"], line["task"]) == (message.id, message.digest, message.task)
    assert "attempt" not in line


def test_a_line_outside_of_any_task_names_none(lines: Lines):
    sent("speaks")

    logging.getLogger("mine").warning("%s left", 3)

    assert lines.documents[-1].keys() == {"time", "level", "logger", "message", "backend", "process"}
    assert lines.documents[-1]["message"] == "3 left"


def test_an_error_has_its_traceback_in_the_same_line(lines: Lines):
    sent("fails")

    (line,) = [line for line in lines.documents if line["logger"] == "mine"]
    assert line["traceback"].endswith("ValueError: no such page")


def test_arguments_are_not_logged(lines: Lines):
    for name in ("speaks", "speaks_async", "fails"):
        sent(name)

    assert SECRET not in lines.stream.getvalue()


def test_a_format_of_ones_own_gets_the_same_by_the_filter(lines: Lines):
    lines.handler.setFormatter(logging.Formatter("%(task_id)s|%(attempt)s|%(backend)s|%(message)s"))
    lines.handler.addFilter(TaskContext("memory"))

    handle, _ = sent("speaks")
    logging.getLogger("mine").info("idle")

    assert lines.stream.getvalue().splitlines()[-2:] == [f"{handle.id}|1|memory|working", "||memory|idle"]


def test_a_web_request_may_say_what_it_is_about(lines: Lines):
    async def request(task_id: str) -> None:
        speak_of(Subject("t", task_id, "k"))
        await asyncio.sleep(0)
        logging.getLogger("mine").info("answered")

    async def both() -> None:
        await asyncio.gather(*(asyncio.create_task(request(task_id)) for task_id in ("a", "b")))

    asyncio.run(both())

    assert [line["task_id"] for line in lines.documents if line["logger"] == "mine"] == ["a", "b"]
    logging.getLogger("mine").info("after")
    assert "task_id" not in lines.documents[-1]


def test_whatever_is_logged_is_one_line_of_json():
    record = logging.makeLogRecord({"msg": "%s \ud800 \x1b[31m\n", "args": (Once(),)})

    line = JsonFormatter().format(record)

    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["message"].endswith("\ud800 \x1b[31m\n")
