"""The supervisor's side of the guardian: starts it, tells it of process groups, replaces it when it dies."""

import asyncio
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

GUARDIAN = Path(__file__).with_name("guardian.py")
LOOK_EVERY_S = 1.0


class Watch:
    """Process groups that end when this process ends, however it ends. Use it as a context manager."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._guardian: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the guardian; None when there is none."""
        return None if self._guardian is None else self._guardian.pid

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the guardian go; it ends what is left."""
        guardian, self._guardian = self._guardian, None
        if guardian is not None and guardian.stdin is not None:
            guardian.stdin.close()
            guardian.wait()

    def add(self, group: int) -> None:
        """Watch over a group."""
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def drop(self, group: int) -> None:
        """The group has ended."""
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    async def keep(self) -> None:
        """Have a new guardian whenever the last one died; goes on until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._guardian is not None and self._guardian.poll() is not None:
                self._start()

    def _start(self) -> None:
        self._guardian = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-I", "-S", str(GUARDIAN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        for group in self._groups:
            self._tell(f"+{group}\n")

    def _tell(self, line: str) -> None:
        if self._guardian is None or self._guardian.stdin is None:
            return
        try:
            self._guardian.stdin.write(line.encode())
        except BrokenPipeError:
            # It has just died: `keep` tells the next one all groups.
            return
