"""Records of every state in a real Valkey, made by the real store, and the command run against them."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from queues import Handle, Once, Queue, Tasks, connect
from queues.cli import main
from queues.idempotency.machine import DEAD_OUTCOME
from queues.idempotency.state import Answer, Begin, Complete, Fail, Heartbeat, Wait
from queues.stores.redis import RedisStore

LEASE_MS = 30_000
TTL_MS = 60_000
Run = Callable[..., "Ended"]


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def golden(self) -> str:
        """The output with everything that differs from run to run named instead."""
        text = re.sub(r"[0-9a-f]{40}-[0-9a-f]{12}", "<id>", self.out)
        text = re.sub(r"[0-9a-f]{40}", "<key>", text)
        text = re.sub(r"\d{16}", "<token>", text)
        text = re.sub(r"redis://127\.0\.0\.1:\d+/\d+, prefix '[^']+'", "<place>", text)
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "<moment>", text)
        text = re.sub(r"\d+ h \d+ min|\d+ min \d+ s|\d+\.\d s|\b\d+ ms\b", "<time>", text)
        return re.sub(r" {2,}(?=\S)", "  ", text)


class Shop:
    """An application whose tasks are sent, and whose workers are this object."""

    def __init__(self, url: str, prefix: str) -> None:
        self.tasks = Tasks(namespace="shop")
        self.charge = self.tasks.task(once=Once(ttl=60))(charge)
        self.refund = self.tasks.task(once=Once(ttl=60, cache_failures=True))(refund)
        self.queue: Queue = connect(self.tasks, backend="celery", redis_url=url, prefix=prefix)
        self.store = RedisStore(url, prefix=prefix)

    def begin(self, handle: Handle, *, lease_ms: int = LEASE_MS, max_lost: int = 3) -> Answer:
        """What a worker that gets the handle's message does first."""
        record = self.store.read(handle.key)
        assert record is not None
        return self.store.apply(
            handle.key,
            Begin(
                record.fingerprint,
                handle.id,
                record.message,
                f"delivery-{record.lost}-{record.token}",
                record.retries,
                lease_ms,
                max_lost,
                TTL_MS,
            ),
        )

    def complete(self, handle: Handle, outcome: bytes = b'{"ok":{"paid":5}}') -> None:
        token = self.begin(handle).token
        self.store.apply(handle.key, Complete(token, outcome, TTL_MS))

    def fail(self, handle: Handle, *, is_cached: bool = False, outcome: bytes = DEAD_OUTCOME) -> None:
        token = self.begin(handle).token
        self.store.apply(handle.key, Fail(token, outcome, is_cached, TTL_MS))

    def wait(self, handle: Handle, delay_ms: int) -> None:
        token = self.begin(handle).token
        record = self.store.read(handle.key)
        assert record is not None
        self.store.apply(handle.key, Wait(token, record.message, 1, delay_ms, 1_000, TTL_MS))

    def say(self, handle: Handle, token: int, progress: str) -> None:
        self.store.apply(handle.key, Heartbeat(token, LEASE_MS, TTL_MS, progress))

    def close(self) -> None:
        self.queue.close()
        self.store.close()


def charge(order: str, amount: int = 5) -> dict[str, int]:
    return {"paid": amount}


def refund(order: str) -> None:
    raise ValueError(order)


@pytest.fixture
def shop(valkey_url: str, key_prefix: str) -> Iterator[Shop]:
    """An application of the test's own on the shared server."""
    made = Shop(valkey_url, key_prefix)
    yield made
    made.close()


@pytest.fixture
def queues(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, valkey_url: str, key_prefix: str
) -> Run:
    """Runs one command line on the test's own records."""
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("QUEUES_PREFIX", key_prefix)

    def run(*argv: str) -> Ended:
        capsys.readouterr()
        code = main(argv)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run
