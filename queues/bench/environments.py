"""An environment of its own for each peer, made when it is first measured and kept for the next time."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

INSTALL_WITHIN_S = 600.0


class InstallError(RuntimeError):
    """What a peer needs could not be installed; the text carries the end of what pip said."""


def folder() -> Path:
    """Where the environments are: `onceq-bench` in the user's cache folder."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if named.startswith("/") else Path.home() / ".cache") / "onceq-bench"


def interpreter(name: str, requirements: Sequence[str], tell: Callable[[str], None]) -> str:
    """The Python of an environment that has exactly these requirements; made when there is none.

    Raises:
        InstallError: pip, with the user's own configuration, could not install them.
    """
    text = "\n".join([sys.version, sys.executable, *requirements])
    place = folder() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    python, stamp = place / "bin" / "python", place / "installed"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _alone(place.with_suffix(".lock")):
            if not stamp.exists():
                tell(f"{name}: is installed into {place} (once)")
                # What an earlier run left half-made.
                shutil.rmtree(place, ignore_errors=True)
                _run([sys.executable, "-m", "venv", str(place)])
                pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
                _run([*pip, *requirements])
                stamp.write_text("\n".join(requirements) + "\n", "utf-8")
    except OSError as exc:
        msg = f"{place} cannot be made: {exc}"
        raise InstallError(msg) from exc
    return str(python)


def _run(command: Sequence[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(  # noqa: S603 - pip, with requirements that are written in this package
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        msg = f"{command[-1]} was not installed in {INSTALL_WITHIN_S:g} s"
        raise InstallError(msg) from exc
    if done.returncode:
        raise InstallError(done.stdout[-600:].strip())


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
