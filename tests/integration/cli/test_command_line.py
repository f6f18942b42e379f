"""The command as a process: its exit status, its errors, terminals and pipes."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Run, Shop

CLI = [sys.executable, "-m", "queues.cli"]
WITHOUT = (
    "import sys\n"
    "for name in ('celery', 'kombu', 'dramatiq', 'rich', 'pika', 'pydantic'):\n"
    "    sys.modules[name] = None\n"
    "from queues.cli import main\n"
    "sys.exit(main(sys.argv[1:]))\n"
)


def test_redis_alone_is_enough_to_run_it(shop: Shop, queues: Run) -> None:
    handle = shop.charge.send("o-1")

    command = [sys.executable, "-c", WITHOUT, "explain", handle.id]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "shop.charge is queued" in ended.stdout


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["locks", "--limit", "0"],
        ["locks", "--limit", "-3"],
        ["locks", "--limit", "9" * 5_000],
        ["locks", "--state", "completed"],
        ["explain"],
        ["explain", "not an id"],
        ["explain", ""],
        ["explain", "a", "--task", ""],
        ["locks", "--task", ""],
        ["inspect", ""],
        ["dead-letters", "show", ""],
        ["dead-letters", "drop", ""],
        ["dead-letters", "replay", ""],
        ["stats", "--redis-url", "http://127.0.0.1"],
        ["stats", "--redis-url", "redis://127.0.0.1:1/0?socket_timeot=2"],
        ["doctor", "no.such.module:queue"],
        ["doctor", "json:dumps"],
        ["doctor", "json:nothing"],
        ["doctor", ":queue"],
        ["doctor", "..x:queue"],
    ],
)
def test_a_command_line_that_cannot_be_used_is_one_line_and_64(queues: Run, argv: list[str]) -> None:
    ended = queues(*argv)

    assert ended.code == 64
    assert ended.out == ""
    assert ended.err.splitlines()[-1].startswith("queues")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("QUEUES_BACKEND", "rq", "'rq'"),
        ("REDIS_URL", "redis://127.0.0.1:notaport/0", "not a usable Redis URL: the port is no number"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told_as_such(
    queues: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    module = tmp_path / f"{name.lower()}_shop.py"
    module.write_text("from queues import Tasks, connect\nqueue = connect(Tasks())\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(name, value)

    ended = queues("inspect", f"{module.stem}:queue")

    assert (ended.code, len(ended.err.splitlines())) == (64, 1)
    assert told in ended.err
    assert "cannot be imported" not in ended.err


def test_a_redis_that_does_not_answer_is_one_line_and_3(queues: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queues.stores.connection.RETRIES", 1)
    for command in (["stats"], ["doctor"], ["explain", "0" * 40], ["cancel", "0" * 40, "--yes"]):
        ended = queues(*command, "--redis-url", "redis://user:hunter2@127.0.0.1:1/0")

        assert ended.code == 3
        assert len(ended.err.splitlines()) == 1
        assert ended.err.startswith("queues: Redis did not answer")
        assert "hunter2" not in ended.err + ended.out


def test_a_wrong_password_is_3_and_is_not_shown(queues: Run, valkey_url: str) -> None:
    ended = queues("stats", "--redis-url", valkey_url.replace("://", "://nobody:hunter2@"))

    assert ended.code == 3
    assert "hunter2" not in ended.err + ended.out


def test_a_password_in_the_url_is_shown_nowhere(queues: Run, shop: Shop, valkey_url: str) -> None:
    shop.store._client.acl_setuser("watcher", enabled=True, passwords=["+hunter2"], keys=["*"], commands=["+@all"])
    url = valkey_url.replace("://", "://watcher:hunter2@")

    said = [
        queues(*command, "--redis-url", url)
        for command in (["doctor"], ["doctor", "--json"], ["locks"], ["workers"], ["explain", "0" * 40])
    ]

    shop.store._client.acl_deluser("watcher")
    assert all("hunter2" not in ended.out + ended.err and "127.0.0.1" in ended.out for ended in said if ended.out)


def test_a_reader_that_stops_reading_is_no_error(shop: Shop, queues: Run) -> None:
    shop.charge.send_many([(f"o-{number}",) for number in range(2_000)])

    with subprocess.Popen(
        [*CLI, "locks", "--limit", "2000", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.read(10)
        process.stdout.close()
        error = process.stderr.read()

    assert (error, process.returncode) == (b"", 0)


def test_help_tells_the_exit_statuses(queues: Run) -> None:
    ended = queues("--help")

    assert ended.code == 0
    assert "exit status:" in ended.out


@pytest.mark.parametrize(("no_color", "has_colour"), [("", True), ("1", False)])
def test_colours_are_for_terminals_without_no_color(shop: Shop, queues: Run, no_color: str, has_colour: bool) -> None:
    handle = shop.charge.send("o-1")

    said = _in_terminal(["explain", handle.id], {"NO_COLOR": no_color, "TERM": "xterm"})

    assert ("\x1b[1mshop.charge is queued" in said) is has_colour
    assert ("\x1b" in said) is has_colour


@pytest.mark.parametrize("columns", ["60", "120", "200"])
def test_a_table_on_a_terminal_keeps_whole_ids(shop: Shop, queues: Run, columns: str) -> None:
    handle = shop.charge.send("o-1")

    said = _in_terminal(["locks"], {"TERM": "xterm", "COLUMNS": columns, "NO_COLOR": ""})

    assert handle.id in said


@pytest.mark.parametrize(("answer", "state"), [("y\n", "failed"), ("n\n", "queued"), ("\n", "queued")])
def test_a_person_at_a_terminal_is_asked(shop: Shop, queues: Run, answer: str, state: str) -> None:
    handle = shop.charge.send("o-1")

    said = _in_terminal(["cancel", handle.id], {"TERM": "xterm"}, answer)

    assert "Do it? [y/N]" in said
    assert handle.state.value == state


def _in_terminal(argv: list[str], environment: dict[str, str], answer: str = "") -> str:
    """What the command writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*CLI, *argv], stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **environment}
    )
    os.close(theirs)
    said, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if answer and b"[y/N]" in said:
            os.write(ours, answer.encode())
            answer = ""
        if select.select([ours], [], [], 0.1)[0]:
            try:
                said += os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
    process.wait(60)
    os.close(ours)
    return said.decode()
