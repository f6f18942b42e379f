"""What a program of the service needs around it: a database, and settings for its process."""

import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import IO

STARTS = b"mongo: ready on "


def mongo() -> str:
    """The URL of a MongoDB subset of its own, which ends with this process.

    Raises:
        OSError: it did not start.
    """
    folder = Path(os.environ["BENCH_LEDGER"]).with_name("mongo")
    command = [sys.executable, "-m", "app.embedded.mongo", "--data", str(folder), "--port", "0", "--with-parent"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)  # noqa: S603 - our own
    output: IO[bytes] | None = process.stdout
    for line in output or ():
        if line.startswith(STARTS):
            return f"mongodb://{line.removeprefix(STARTS).decode().strip()}"
    message = "the embedded MongoDB did not start"
    raise OSError(message)


def settings() -> dict[str, str]:
    """The service's settings, as its environment, for servers and data of the benchmark's own."""
    return {
        "REDIS_URL": os.environ["BENCH_REDIS_URL"],
        "MONGO_URL": mongo(),
        "DATA_DIR": str(Path(os.environ["BENCH_LEDGER"]).with_name("data")),
        "DB_NAME": "bench",
        "API_KEY": secrets.token_urlsafe(24),
        "RATE_LIMIT_PER_MINUTE": "1000000000",
        "CONCURRENT_TASKS_LIMIT": "1000000000",
    }


def command(environment: dict[str, str], *arguments: str) -> list[str]:
    """A command that runs with these settings too."""
    return ["env", *(f"{name}={value}" for name, value in environment.items()), sys.executable, *arguments]
