"""Flower as a process, and its HTTP interface, which its pages' buttons use."""

import os
import re
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.compat.sides import MODULES, Side
from tests.ports import free_port
from tests.stage import eventually
from tests.workers import Worker

WAIT_S = 60
ANSWER_S = 40
ANSWERS = {"stats", "active_queues", "registered"}


class Monitor:
    """Flower beside the workers of a side; a context manager."""

    def __init__(self, side: Side, folder: Path) -> None:
        port = free_port()
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_S, trust_env=False)
        # A worker on a busy machine is not late after one second.
        options = [f"--port={port}", "--address=127.0.0.1", "--inspect_timeout=5000"]
        command = [MODULES[side.name], "-A", "compat_program", "flower", *options]
        told = {**side.environment, "FLOWER_UNAUTHENTICATED_API": "true"}
        self._process = Worker(command, told, folder / "flower.log", lambda _: self._is_up())

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._process.kill()

    def _is_up(self) -> bool:
        try:
            return self._client.get("/healthcheck").is_success
        except httpx.TransportError:
            return False

    def get(self, path: str, **query: Any) -> Any:
        """What a GET answers."""
        answer = self._client.get(path, params=query)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if "json" in answer.headers["content-type"] else answer.text

    def press(self, path: str, body: Any = None, **query: Any) -> Any:
        """What a button, or a call of the REST API, answers."""
        answer = self._client.post(path, params=query, json=body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def refreshed(self, worker: str) -> Any:
        """What the page of a worker shows, asked anew."""
        return self.get("/api/workers", refresh=True, workername=worker)[worker]

    def send(self, task: str, *args: Any, **options: Any) -> str:
        """Send a task; returns its id."""
        sent = self.press(f"/api/task/async-apply/compat_program.{task}", {"args": args, **options})
        return str(sent["task-id"])

    def wait_for(self, task_id: str, state: str) -> Any:
        """What Flower tells of a task, once it is in that state."""
        found: dict[str, Any] = {}

        def is_there() -> bool:
            found.update(self.get("/api/tasks").get(task_id, {}))
            return found.get("state") == state

        eventually(is_there, within_s=WAIT_S)
        return found

    def wait_until(self, worker: str, *, is_alive: bool) -> None:
        """Return when Flower shows the worker as online, and has its answers, or as offline."""
        eventually(lambda: self.get("/api/workers", status=True).get(worker) is is_alive, within_s=WAIT_S)
        if is_alive:
            eventually(lambda: self._answers(worker) >= ANSWERS, within_s=WAIT_S)

    def _answers(self, worker: str) -> set[str]:
        return set(self.get("/api/workers", refresh=True).get(worker, {}))


def name_of(worker: Worker) -> str:
    """A worker's own name, from its log."""
    found = re.search(r"(\S+@\S+) ready\.", worker.log)
    assert found is not None
    return found[1]


def require_flower() -> None:
    """Skip where Flower is not installed, unless CI=true."""
    if os.environ.get("CI") == "true":
        import flower  # noqa: F401 - fails where it is missing
    pytest.importorskip("flower", reason="flower, of the extra dev, is not installed")
