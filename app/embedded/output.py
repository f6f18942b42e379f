"""Where the programs' lines go: a rotating log for each, and the terminal, each line with its program's name."""

import logging
import logging.handlers
import os
import re
import sys
from pathlib import Path
from typing import TextIO

MAX_LOG_BYTES = 5 * 1024 * 1024
OLD_LOGS = 3
_COLOURS = (36, 35, 32, 33, 34)
_CONTROL = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x08\x0b-\x1f\x7f]")


class Output:
    """The logs and the terminal.

    Args of the constructor: the folder of the logs, made when missing; the terminal; whether the programs' lines
    are repeated there.
    """

    def __init__(self, folder: Path, terminal: TextIO | None = None, *, is_quiet: bool = False) -> None:
        self.folder = folder
        self._terminal = terminal or sys.stdout
        self._is_quiet = is_quiet
        self._is_coloured = self._terminal.isatty() and not os.environ.get("NO_COLOR")
        self._logs: dict[str, logging.Handler] = {}
        self.secret: str | None = None
        """The last secret line; None when there was none."""

    def log_of(self, name: str) -> Path:
        """The log of a program."""
        return self.folder / f"{name}.log"

    def line(self, name: str, text: str, *, is_secret: bool = False) -> None:
        """Keep a program's line, unless it is secret, and show it."""
        text = _CONTROL.sub("", text)
        if is_secret:
            self.secret = text
        else:
            self._keep(name, text)
        if is_secret or not self._is_quiet:
            self.show(f"{self._prefix(name)} {text}")

    def say(self, text: str) -> None:
        """A line of the supervisor's own: kept and shown."""
        self._keep("supervisor", text)
        self.show(f"{self._prefix('onceq')} {text}")

    def show(self, text: str) -> None:
        """Write to the terminal; when that is gone, go on without it."""
        try:
            self._terminal.write(f"{text}\n")
            self._terminal.flush()
        except (OSError, ValueError):
            self._is_quiet = True

    def close(self) -> None:
        """Close the logs."""
        for log in self._logs.values():
            log.close()

    def _keep(self, name: str, text: str) -> None:
        if name not in self._logs:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            log = logging.handlers.RotatingFileHandler(
                self.log_of(name), maxBytes=MAX_LOG_BYTES, backupCount=OLD_LOGS, encoding="utf-8", errors="replace"
            )
            log.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            self._logs[name] = log
        self._logs[name].emit(logging.LogRecord(name, logging.INFO, "", 0, text, None, None))

    def _prefix(self, name: str) -> str:
        if not self._is_coloured:
            return f"{name:<9} |"
        return f"\x1b[{_COLOURS[sum(name.encode()) % len(_COLOURS)]}m{name:<9} |\x1b[0m"
