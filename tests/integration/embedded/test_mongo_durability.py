"""What was acknowledged is there after the server was killed; the data folder has one owner."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import AutoReconnect, DuplicateKeyError, PyMongoError

from tests.servers import MongoServer, ServerStartError

COMMAND = [sys.executable, "-m", "app.embedded.mongo"]


def connect(server: MongoServer) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(server.url, serverSelectionTimeoutMS=15_000, retryWrites=False)


def test_no_acknowledged_write_is_lost_when_the_server_is_killed(tmp_path):
    acknowledged: list[list[int]] = [[] for _ in range(4)]
    with MongoServer(tmp_path) as server, connect(server) as client:
        things = client["t"]["x"]
        things.create_index("unique", unique=True)

        def write(own: list[int], start: int) -> None:
            try:
                for number in range(start, start + 1_000_000):
                    things.insert_one({"_id": number, "unique": f"u{number}"})
                    own.append(number)
            except AutoReconnect:
                return

        threads = [
            threading.Thread(target=write, args=(own, number * 1_000_000)) for number, own in enumerate(acknowledged)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while min(map(len, acknowledged)) < 50 and time.monotonic() < deadline:
            time.sleep(0.01)
        server.kill()
        for thread in threads:
            thread.join()
        server.start()

        found = {document["_id"] for document in things.find()}
        expected = {number for own in acknowledged for number in own}
        assert min(map(len, acknowledged)) >= 50
        assert expected <= found
        assert len(found - expected) <= 4
        assert things.count_documents({"unique": f"u{acknowledged[2][-1]}"}, hint="unique_1") == 1
        with pytest.raises(DuplicateKeyError):
            things.insert_one({"unique": f"u{acknowledged[1][0]}"})


def test_a_command_that_was_cut_by_a_kill_is_there_whole_or_not_at_all(tmp_path):
    with MongoServer(tmp_path) as server, connect(server) as client:
        things = client["t"]["x"]
        things.create_index("n")
        counts = []
        for attempt in range(4):
            timer = threading.Timer(0.02 * (attempt + 1), server.kill)
            timer.start()
            try:
                for batch in range(10_000):
                    things.insert_many([{"n": f"{attempt}-{batch}", "t": "x" * 500} for _ in range(200)])
            except PyMongoError:
                timer.join()
            server.start()
            groups = things.aggregate([{"$group": {"_id": "$n", "n": {"$sum": 1}}}])
            counts += [group["n"] for group in groups]

    assert set(counts) <= {200}


def test_data_and_indexes_are_there_after_a_clean_restart(tmp_path):
    with MongoServer(tmp_path) as server, connect(server) as client:
        things = client["t"]["x"]
        things.create_index([("a", 1), ("b", -1)])
        things.create_index("tags")
        things.insert_one({"_id": 1, "a": 1, "tags": ["x", "y"]})
        client["t"].create_collection("empty")

        server.restart()

        assert things.find_one({"tags": "y"}, hint="tags_1") == {"_id": 1, "a": 1, "tags": ["x", "y"]}
        assert things.count_documents({"tags": {"$gt": "a", "$lt": "y"}}) == 1
        assert set(things.index_information()) == {"_id_", "a_1_b_-1", "tags_1"}
        assert sorted(client["t"].list_collection_names()) == ["empty", "x"]


def test_a_second_server_on_one_folder_refuses_and_the_first_goes_on(tmp_path):
    with MongoServer(tmp_path) as server, connect(server) as client:
        second = subprocess.run(
            [*COMMAND, "--data", str(tmp_path), "--port", "0"], capture_output=True, text=True, timeout=120, check=False
        )

        assert second.returncode == 1
        assert f"in use by another server (process {server.pid})" in second.stderr
        assert client.admin.command("ping")["ok"] == 1.0


def test_a_port_in_use_is_a_clear_error(tmp_path):
    with MongoServer(tmp_path / "a") as server, pytest.raises(ServerStartError, match="address already in use"):
        MongoServer(tmp_path / "b", port=server.port).start()


@pytest.mark.parametrize("content", [b"no database at all, but text" * 50, b"SQLite format 3\x00" + b"\xff" * 500])
def test_a_damaged_file_is_a_clear_error_and_left_alone(tmp_path, content):
    (tmp_path / "data.sqlite").write_bytes(content)

    with pytest.raises(ServerStartError, match="cannot be opened"):
        MongoServer(tmp_path).start()

    assert (tmp_path / "data.sqlite").read_bytes() == content


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.org"])
def test_an_address_that_is_not_loopback_is_refused(tmp_path, host):
    ended = subprocess.run(
        [*COMMAND, "--data", str(tmp_path), "--port", "0", "--host", host],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert ended.returncode == 2
    assert "no authentication" in ended.stderr
    assert not (tmp_path / "lock").exists()


@pytest.mark.parametrize(
    "option", [("--port", "70000"), ("--port", "-1"), ("--expire-every", "0"), ("--foo",)], ids=str
)
def test_an_argument_that_cannot_be_used_is_refused(tmp_path, option):
    ended = subprocess.run([*COMMAND, "--data", str(tmp_path), *option], capture_output=True, timeout=120, check=False)

    assert ended.returncode == 2
    assert b"Traceback" not in ended.stderr


def test_sigterm_is_a_clean_stop(tmp_path):
    server = MongoServer(tmp_path)
    server.start()
    process = server._process
    with connect(server) as client:
        client["t"]["x"].insert_one({"_id": 1})

        server.stop()

    assert process is not None
    assert process.returncode == 0
    assert not (tmp_path / "data.sqlite-wal").exists()
    assert "Traceback" not in server.log


def test_the_server_ends_with_its_parent_when_it_is_told_to(tmp_path):
    script = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen({[*COMMAND, '--data', str(tmp_path), '--port', '0', '--with-parent']!r},"
        " stdout=subprocess.PIPE, text=True)\n"
        "print(p.pid, p.stdout.readline().strip(), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline().split()[0])

        parent.send_signal(signal.SIGKILL)
        parent.wait(60)
        deadline = time.monotonic() + 60
        while _is_running(child) and time.monotonic() < deadline:
            time.sleep(0.05)

        assert not _is_running(child)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return state.read_text().rpartition(")")[2].split()[0] != "Z"
