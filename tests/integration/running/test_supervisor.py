"""The supervisor over programs that do not behave."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.integration.running.running import TETHER, wait_for

PROGRAM = Path(__file__).with_name("supervised.py")


def test_a_program_that_ignores_sigterm_is_killed_after_its_time(tmp_path):
    with _supervised(tmp_path, "stubborn") as process:
        wait_for(lambda: "all is ready" in _said(tmp_path), 60, "ready")
        asked_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        took_s = time.monotonic() - asked_at

    assert code == 0
    assert "stubborn has not ended: killed" in _said(tmp_path)
    assert 0.4 < took_s < 50


def test_a_program_that_never_is_ready_fails_the_start_with_its_last_words(tmp_path):
    with _supervised(tmp_path, "silent") as process:
        code = process.wait(60)

    assert code == 1
    assert "silent was not ready within 1 s. The end of its log:\n  on my way" in _said(tmp_path)


def test_a_secret_line_is_shown_but_kept_in_no_log_and_a_long_line_is_cut(tmp_path):
    with _supervised(tmp_path, "chatty") as process:
        # It ends at once: by then all has been said.
        wait_for(lambda: "chatty" in _said(tmp_path) and "ended" in _said(tmp_path), 60, "its end")
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    log = (tmp_path / "logs" / "chatty.log").read_text("utf-8")

    assert "oq_secret" in _said(tmp_path)
    assert "oq_secret" not in log
    assert "\x1b" not in log
    assert max(len(line) for line in log.splitlines()) < 10_000


def _supervised(folder: Path, name: str) -> subprocess.Popen[bytes]:
    with (folder / "terminal.txt").open("wb") as terminal:
        tethered = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid())]
        return subprocess.Popen(
            [*tethered, sys.executable, str(PROGRAM), str(folder / "logs"), name],
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=subprocess.STDOUT,
        )


def _said(folder: Path) -> str:
    return (folder / "terminal.txt").read_text("utf-8", "replace")
