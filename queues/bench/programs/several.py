"""`python several.py COUNT COMMAND...`: the same command several times, until this one is told to end."""

import signal
import subprocess
import sys


def main() -> int:
    """Start them, and pass SIGTERM on."""
    processes = [subprocess.Popen(sys.argv[2:]) for _ in range(int(sys.argv[1]))]  # noqa: S603 - our own command

    def end(*_: object) -> None:
        for process in processes:
            process.terminate()

    signal.signal(signal.SIGTERM, end)
    return max(process.wait() for process in processes)


if __name__ == "__main__":
    sys.exit(main())
