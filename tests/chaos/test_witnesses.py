"""What the judge reads: the store's own journal, the ledger, the rows; and the plan and the proxy that make trouble."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from queues.idempotency.state import Admit, Begin, Complete, Heartbeat, Wait
from queues.idempotency.state import Kind as Answered
from queues.stores.redis import RedisStore
from tests.chaos import journal
from tests.chaos.ground import VALKEY_OPTIONS
from tests.chaos.ledger import Ledger, Phase, Reader, is_busy
from tests.chaos.proxy import Link, Proxy
from tests.chaos.rows import Rows
from tests.chaos.schedule import Kind, plan
from tests.servers import ValkeyServer

DIGEST = "ab" * 20
LEASE_MS = 1_000
TTL_MS = 60_000


def begin(execution: str, message_id: str = "first") -> Begin:
    return Begin("", message_id, b"a message", execution, 0, LEASE_MS, 3, TTL_MS)


def test_the_journal_tells_the_story_of_a_key_over_a_crash_of_the_store(tmp_path: Path):
    with ValkeyServer(tmp_path, fsync="always", options=VALKEY_OPTIONS) as server:
        now = [1_000_000]
        store = RedisStore(server.url, now_ms=lambda: now[0])
        store.apply(DIGEST, Admit("", "first", b"a message", 500, TTL_MS))
        first = store.apply(DIGEST, begin("one"))
        now[0] += 400
        store.apply(DIGEST, Heartbeat(first.token, LEASE_MS, TTL_MS))
        store.apply(DIGEST, Wait(first.token, b"a message", 1, 0, 500, TTL_MS))
        second = store.apply(DIGEST, begin("two"))
        server.kill()
        server.start()
        now[0] += LEASE_MS
        third = store.apply(DIGEST, begin("three", "second"))
        assert store.apply(DIGEST, Complete(third.token, b'{"ok":1}', TTL_MS)).kind is Answered.OK
        store.close()

    story = journal.read(tmp_path, LEASE_MS)[DIGEST]

    assert [lease.token for lease in story.leases] == [first.token, second.token, third.token]
    assert [(lease.begun_ms, lease.until_ms) for lease in story.leases] == [
        (1_000_000, 1_001_400),
        (1_000_400, 1_001_400),
        (1_001_400, 1_002_400),
    ]
    assert (story.second_leases, story.leases_after_outcome, story.owner) == ([], [], "second")
    assert [(stored.state, stored.token, stored.outcome) for stored in story.stored] == [
        ("completed", third.token, b'{"ok":1}')
    ]


def test_the_journal_shows_a_second_lease_and_a_second_completion(tmp_path: Path):
    lock, result = f"task_lock:{{ab}}:{DIGEST}", f"task_result:{{ab}}:{DIGEST}"
    with ValkeyServer(tmp_path, fsync="always", options=VALKEY_OPTIONS) as server:
        client = RedisStore(server.url)._client
        for token, until_ms in ((1, 2_000), (2, 2_500)):
            client.hset(lock, mapping={"state": "running", "owner": "m", "token": token, "until": until_ms})
        for token in (1, 2):
            client.hset(result, mapping={"state": "completed", "token": token, "outcome": "x", "finished": 2_600})
        client.hset(lock, mapping={"state": "running", "owner": "m", "token": 3, "until": 9_000})
        client.close()

    story = journal.read(tmp_path, LEASE_MS)[DIGEST]

    assert [(first.token, second.token) for first, second in story.second_leases] == [(1, 2)]
    assert [lease.token for lease in story.leases_after_outcome] == [3]
    assert len(story.stored) == 2


def test_a_ledger_line_that_a_dying_process_did_not_finish_is_left_out(tmp_path: Path):
    ledger, reader = Ledger(tmp_path), Reader(tmp_path)
    ledger.write(Phase.BEGIN, "one")
    path = tmp_path / f"ledger-{os.getpid()}.jsonl"
    with path.open("ab") as file:
        file.write(b'{"phase":"eff')

    first = [line.name for line in reader.new()]
    with path.open("ab") as file:
        file.write(b'ect"')
    second = [*reader.new()]

    assert (first, second) == (["one"], [])


def test_a_process_is_busy_between_begin_and_end(tmp_path: Path):
    ledger, seen = Ledger(tmp_path), []

    for phase in (Phase.BEGIN, Phase.EFFECT, Phase.END, Phase.BEGIN, Phase.RAISED):
        ledger.write(phase, "one")
        seen.append(is_busy(tmp_path / f"ledger-{os.getpid()}.jsonl"))

    assert seen == [True, True, False, True, False]


def test_a_row_takes_newer_tokens_only(tmp_path: Path):
    rows = Rows(tmp_path)
    rows.create()

    taken = [rows.write("one", token, 1) for token in (5, 7, 6, 7, 8)]

    assert taken == [True, True, False, False, True]
    assert [(write.token, write.was_taken) for write in rows.history()] == [
        (5, True),
        (7, True),
        (6, False),
        (7, False),
        (8, True),
    ]


def test_a_plan_follows_from_its_seed_and_has_200_faults_in_three_minutes():
    plans = [plan(seed, 180, 3.0, has_rabbit=True) for seed in (1, 1, 2)]

    assert plans[0] == plans[1] != plans[2]
    assert len(plans[0]) >= 200
    assert {planned.kind for planned in plans[0]} == {*Kind} - {Kind.PRODUCER_DIED}


@pytest.fixture
def link() -> Iterator[Link]:
    """A link before a server that sends back what it gets."""
    with _echo() as port, Proxy() as proxy:
        yield proxy.link(port, 1)


def test_a_link_passes_bytes(link: Link):
    with connection(link) as client:
        client.sendall(b"hello")

        assert client.recv(10) == b"hello"


def test_a_lost_reply_resets_the_connection_after_the_request_arrived(link: Link):
    with connection(link) as client:
        link.lose_replies(1)
        client.sendall(b"hello")

        with pytest.raises(ConnectionResetError):
            client.recv(10)
    with connection(link) as client:
        client.sendall(b"again")
        assert client.recv(10) == b"again"


def test_a_refusing_link_resets_old_and_new_connections_until_it_is_healed(link: Link):
    with connection(link) as old:
        old.sendall(b"x")
        assert old.recv(1) == b"x"
        link.refuse(60)
        with pytest.raises(ConnectionResetError):
            old.recv(1)
    with connection(link) as new, pytest.raises(ConnectionResetError):
        new.recv(1)

    link.heal()

    with connection(link) as client:
        client.sendall(b"again")
        assert client.recv(10) == b"again"


def test_a_held_link_passes_everything_later(link: Link):
    with connection(link) as client:
        link.hold(60)
        client.sendall(b"hello")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(10)
        client.settimeout(10)
        link.heal()

        assert client.recv(10) == b"hello"


def test_half_closing_to_the_client_leaves_the_way_to_the_server_open(link: Link):
    with connection(link) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        link.half_close(is_client_told=True)

        assert client.recv(1) == b""
        client.sendall(b"still open")


@contextmanager
def connection(link: Link) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", link.port), timeout=10) as client:
        yield client


@contextmanager
def _echo() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):  # the tests cut it
            while data := _received(client):
                client.sendall(data)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _received(client: socket.socket) -> bytes:
    try:
        return client.recv(1024)
    except OSError:
        return b""
