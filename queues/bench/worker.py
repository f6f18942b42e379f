"""The processes of one worker: a group of their own, so that all can be stopped, counted and killed together.

They end with the benchmark, whatever that dies of: while others are measured they are stopped, and would never end.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from queues.bench.machine import family, family_cpu_s, family_memory_bytes, family_peak_bytes
from queues.bench.tether import Tether

STOP_WITHIN_S = 10.0


class Worker:
    """A worker that was started.

    Args:
        log: a file that its output is added to; its folder is the worker's, as many look for modules there first.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - what the program said
                command,
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        self._tether = Tether(self.pgid)

    @property
    def pgid(self) -> int:
        """The process group."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether its first process has."""
        return self._process.poll() is not None

    @property
    def cpu_s(self) -> float:
        """What its living processes have computed so far."""
        return family_cpu_s(self.pgid)

    @property
    def memory_bytes(self) -> int:
        """What it takes of the machine's memory: pages that processes share are counted once."""
        return family_memory_bytes(self.pgid)

    @property
    def peak_memory_bytes(self) -> int:
        """The most that each living process has had, added up; pages that they share count for each."""
        return family_peak_bytes(self.pgid)

    def pause(self) -> None:
        """Stop every process where it is, so that it takes nothing from the others."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End every process at once, as `kill -9` does."""
        self._signal(signal.SIGKILL)
        self._process.wait(STOP_WITHIN_S)
        self._tether.loosen()

    def stop(self) -> None:
        """End it and all that it started, at once: what it still would do says nothing any more."""
        for pid in family(self.pgid):
            with suppress(ProcessLookupError):  # it has ended
                os.kill(pid, signal.SIGKILL)
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(self.pgid, number)
