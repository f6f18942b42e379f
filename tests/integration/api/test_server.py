"""The API over real sockets: event streams, uploads that break off, starts and stops."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from tests.integration.api.service import KEY
from tests.ports import free_port
from tests.servers import MongoServer

ROOT = Path(__file__).parents[3]
HEADERS = {"Authorization": f"Bearer {KEY}"}
NOTIFY = {"user_id": "u", "title": "t", "message": "m"}
DEADLINE_S = 180.0
"""A server, which imports much, takes a minute to start on a machine that does much else."""


@dataclass
class Process:
    """A server process; `work()` lets its worker begin."""

    process: subprocess.Popen
    port: int
    folder: Path

    @property
    def url(self):
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self):
        """What it wrote to stdout and stderr."""
        return (self.folder / "server.log").read_text()

    def work(self):
        """Let the worker begin."""
        (self.folder / "work").touch()

    def client(self, **options):
        """A client with a key."""
        return httpx.Client(base_url=self.url, headers=HEADERS, timeout=DEADLINE_S, **options)


@contextlib.contextmanager
def started(place, **environment):
    """A server process that answers."""
    port = free_port()
    settings = place.settings()
    variables = {
        "PORT": str(port),
        "DATA_DIR": str(settings.data_dir),
        "API_KEY": KEY,
        "REDIS_URL": settings.redis_url,
        "MONGO_URL": settings.mongo_url,
        "DB_NAME": settings.db_name,
        "QUEUES_PREFIX": settings.queues_prefix,
        "RATE_LIMIT_PER_MINUTE": "10000",
        "OPENBLAS_NUM_THREADS": "1",
        **environment,
    }
    inherited = {name: value for name, value in os.environ.items() if name not in variables}
    command = [sys.executable, "-m", "tests.integration.api.server_process", str(place.folder / "work")]
    with (place.folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**inherited, **{k: v for k, v in variables.items() if v}}, stdout=log, stderr=log
        )
    server = Process(process, port, place.folder)
    try:
        wait_until(lambda: is_answering(server))
        yield server
    finally:
        process.kill()
        process.wait(DEADLINE_S)


def is_answering(server):
    assert server.process.poll() is None, server.output
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{server.url}/api/openapi.json", timeout=DEADLINE_S).status_code == 200
    return False


def wait_until(is_true):
    deadline = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def submit(client, key="k", **changes):
    return client.post("/api/v1/notifications", json={**NOTIFY, **changes}, headers={"Idempotency-Key": key}).json()


def events_of(lines):
    """Each event as (id, kind, data)."""
    event = {}
    for line in lines:
        if not line and "data" in event:
            yield event["id"], event["event"], json.loads(event["data"])
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


@pytest.fixture(scope="module")
def shared(tmp_path_factory, valkey_url, mongo_url):
    """One server for the tests that leave it as it was; its worker works."""
    from tests.integration.api.service import Place

    place = Place(
        tmp_path_factory.mktemp("api"), valkey_url, mongo_url, f"test_{os.urandom(6).hex()}", os.urandom(6).hex()
    )
    with started(place, MAX_UPLOAD_BYTES="200000") as server:
        server.work()
        yield server


def test_an_event_stream_shows_each_state_and_ends(place):
    with started(place) as server, server.client() as client:
        task = submit(client)
        with client.stream("GET", task["links"]["events"]) as response:
            events = events_of(response.iter_lines())
            first = next(events)
            server.work()
            rest = list(events)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert (first[1], first[2]["state"]) == ("state", "queued")
    assert rest[-1][2]["state"] == "completed"
    assert rest[-1][2]["result"]["status"] == "success"
    assert len({event[0] for event in [first, *rest]}) == 1 + len(rest)


def test_a_cut_stream_is_resumed_where_it_was(shared):
    with shared.client() as client:
        task = submit(client, "resume", title="resume")
        with client.stream("GET", task["links"]["events"]) as response:
            last = list(events_of(response.iter_lines()))[-1]
        seen = client.get(task["links"]["events"], headers={"Last-Event-ID": last[0]})
        unseen = client.get(task["links"]["events"], headers={"Last-Event-ID": "something else"})

    assert (seen.status_code, seen.text) == (204, "")
    assert [event[2]["state"] for event in events_of(unseen.text.splitlines())] == ["completed"]


def test_a_stopping_server_ends_its_streams_at_once(place):
    with started(place) as server, server.client() as client:
        task = submit(client)
        with client.stream("GET", task["links"]["events"]) as response:
            events = events_of(response.iter_lines())
            next(events)
            begin = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            rest = list(events)
        code = server.process.wait(DEADLINE_S)
        took_s = time.monotonic() - begin

    # uvicorn finishes, and then ends by the signal, so that its parent sees why.
    assert (rest, code) == ([], -signal.SIGTERM)
    assert took_s < 30
    assert "Traceback" not in server.output


def test_an_upload_that_breaks_off_leaves_nothing(shared):
    incoming = shared.folder / "data" / "uploads" / ".incoming"
    head = (
        f"POST /api/v1/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        "Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: 100000\r\n\r\n"
        '--edge\r\nContent-Disposition: form-data; name="file"; filename="half.txt"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", shared.port)) as connection:
        connection.sendall(head.encode() + b"x" * 50_000)
        wait_until(lambda: incoming.exists() and any(incoming.iterdir()))

    wait_until(lambda: not any(incoming.iterdir()))
    with shared.client() as client:
        names = [source["name"] for source in client.get("/api/v1/sources").json()["items"]]
    assert "half.txt" not in names


def test_a_refusal_of_a_large_upload_reaches_the_client(shared):
    with shared.client() as client:
        files, data = {"file": ("big.txt", b"x" * 20_000_000)}, {"chatbot_id": "b"}
        answer = client.post("/api/v1/documents", files=files, data=data)
        after = client.get("/api/v1/tasks")

    assert (answer.status_code, after.status_code) == (413, 200)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("key", "status"), [("wrong", b"401"), (KEY, b"413")])
def test_a_client_that_asks_first_is_refused_before_it_sends(shared, key, status):
    head = (
        f"POST /api/v1/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nExpect: 100-continue\r\n"
        "Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: 900000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", shared.port), timeout=DEADLINE_S) as connection:
        connection.sendall(head.encode())
        begin = time.monotonic()
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert time.monotonic() - begin < 15


def test_a_slow_upload_is_taken(shared):
    def slowly():
        yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="slow.txt"\r\n\r\n'
        for _ in range(10):
            time.sleep(0.02)
            yield b"a slow line\n"
        yield b'\r\n--edge\r\nContent-Disposition: form-data; name="chatbot_id"\r\n\r\nbot_1\r\n--edge--\r\n'

    with shared.client() as client:
        headers = {"Content-Type": "multipart/form-data; boundary=edge"}
        answer = client.post("/api/v1/documents", content=slowly(), headers=headers)

    assert answer.status_code == 202


def test_the_first_start_prints_the_key_once_and_the_log_never_has_it(place):
    with started(place, API_KEY="") as server:
        lines = [line for line in server.output.splitlines() if line.startswith("API key")]
        key = lines[0].rpartition(" ")[2]
        answer = httpx.get(f"{server.url}/api/v1/tasks", headers={"Authorization": f"Bearer {key}"}, timeout=DEADLINE_S)
    with started(place, API_KEY="") as server:
        again = server.output
    kept = b"".join(path.read_bytes() for path in (place.folder / "data").rglob("*") if path.is_file())

    assert (len(lines), answer.status_code) == (1, 200)
    assert key not in again
    assert key.encode() not in kept


@pytest.mark.parametrize("is_mongo_away", [False, True])
def test_the_history_of_what_was_accepted_outlives_the_process(place, tmp_path, is_mongo_away):
    with MongoServer(tmp_path / "m") as mongo:
        place = replace(place, mongo_url=mongo.url)
        with started(place) as server, server.client() as client:
            if is_mongo_away:
                mongo.kill()
            accepted = submit(client)
            server.process.kill()
        if is_mongo_away:
            mongo.restart()
        with started(place) as server, server.client() as client:
            wait_until(lambda: client.get("/api/v1/tasks").json()["items"])
            listed = client.get("/api/v1/tasks").json()["items"]

    assert [(each["id"], each["submissions"]) for each in listed] == [(accepted["id"], 1)]
