"""Runs Celery's own integration tests against a worker process: a shim worker, or, with `--real`, a Celery worker.

    python -m tests.compat.celery_suite PATH_TO_SDIST [--real] [--compare] [--embedded] [-k EXPRESSION] [FILE ...]

The tests stay where they are; the application that they get is made by `compat.celery.Celery`, and the worker that they
share is `python -m compat.celery worker`. `--compare` runs both sides and lists what passes on Celery and fails here.
The last line is `celery suite: PASSED/TOTAL`; skipped tests are not counted. The broker and the results are in a Valkey
that is started for it. Some of the tests look into Celery's own worker object, which must then be in their process:
`--embedded` starts the worker there, as `celery.contrib.testing` does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.servers import ValkeyServer

INTEGRATION = "t/integration"
ROOT = Path(__file__).parents[2]


def main() -> int:
    """Run the suite; exit status 0 when nothing failed, or, comparing, when nothing failed here alone."""
    options = _parser().parse_intermixed_args()
    sdist = options.sdist.resolve()
    if not (sdist / INTEGRATION / "tasks.py").exists():
        sys.stderr.write(
            f"{sdist} is not an unpacked source distribution of Celery: it has no {INTEGRATION}/tasks.py\n"
        )
        return 64
    sides = ["real", "shim"] if options.compare else ["real" if options.real else "shim"]
    outcomes = {side: run(sdist, side, options) for side in sides}
    for side, found in outcomes.items():
        report(side, found)
    if options.compare:
        return _difference(outcomes["real"], outcomes["shim"])
    found = outcomes[sides[0]]
    passed = sum(outcome == "passed" for outcome in found.values())
    print(f"celery suite: {passed}/{len(found)}")
    return int(passed != len(found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.compat.celery_suite", description=__doc__.partition("\n")[0])
    parser.add_argument("sdist", type=Path, help="Celery's source distribution, unpacked")
    parser.add_argument("files", nargs="*", help="of t/integration, such as test_canvas.py; all of them by default")
    parser.add_argument("--real", action="store_true", help="a Celery worker, for the baseline")
    parser.add_argument("--compare", action="store_true", help="both, and the difference")
    parser.add_argument("--embedded", action="store_true", help="the worker in the test process")
    parser.add_argument("-k", metavar="EXPRESSION", default="", help="which tests, as pytest has it")
    parser.add_argument("--timeout", type=int, default=60, metavar="SECONDS", help="for each test")
    return parser


def run(sdist: Path, side: str, options: argparse.Namespace) -> dict[str, str]:
    """The outcome of each test: passed or failed. Each file has a worker and a server of its own."""
    files = options.files or sorted(path.name for path in (sdist / INTEGRATION).glob("test_*.py"))
    outcomes: dict[str, str] = {}
    for file in files:
        outcomes |= run_file(sdist, side, file, options)
    return outcomes


def run_file(sdist: Path, side: str, file: str, options: argparse.Namespace) -> dict[str, str]:
    """The outcome of each test of a file; none when the file cannot be imported here."""
    with tempfile.TemporaryDirectory(prefix="celery-suite-") as folder, ValkeyServer(Path(folder, "valkey")) as server:
        home = Path(folder, "home")
        home.mkdir()
        # Not the distribution itself: its own `celery` would be imported in place of the installed one.
        (home / "t").symlink_to(sdist / "t")
        (home / "pytest.ini").write_text("[pytest]\npython_classes = test_*\n")
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(home), str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TEST_BROKER": server.url,
            "TEST_BACKEND": server.url,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(server.port),
            "SUITE_SIDE": side,
            "WORKER_LOGLEVEL": "INFO",  # as Celery's own CI has it; some tests read the log
            "SUITE_FOLDER": folder,
            "SUITE_TIMEOUT_S": str(options.timeout),
            "SUITE_EMBEDDED": "yes" if options.embedded else "",
        }
        chosen = ["-k", options.k] if options.k else []
        arguments = [
            "-p",
            "tests.compat.suite_plugin",
            "-p",
            "celery.contrib.pytest",
            "-p",
            "no:cacheprovider",
            "-q",
            "--tb=short",
            "-W",
            "ignore",
        ]
        command = [sys.executable, "-m", "pytest", *arguments, *chosen, f"{INTEGRATION}/{file}"]
        subprocess.run(command, cwd=home, env=environment, check=False)
        found = Path(folder, "outcomes")
        lines = found.read_text().splitlines() if found.exists() else []
    return {name: outcome for name, outcome in map(json.loads, lines) if outcome != "skipped"}


def report(side: str, outcomes: dict[str, str]) -> None:
    """Print the figures of one side, by file."""
    total, passed = Counter[str](), Counter[str]()
    for name, outcome in outcomes.items():
        file = name.partition("::")[0].rpartition("/")[2]
        total[file] += 1
        passed[file] += outcome == "passed"
    print(f"\n{side}:")
    for file in sorted(total):
        print(f"  {file:48} {passed[file]:4}/{total[file]}")


def _difference(real: dict[str, str], shim: dict[str, str]) -> int:
    worse = [name for name, outcome in real.items() if outcome == "passed" and shim.get(name) != "passed"]
    better = [name for name, outcome in shim.items() if outcome == "passed" and real.get(name) != "passed"]
    print("\npass on Celery, fail on the shim:", *worse or ["none"], sep="\n  ")
    print("\nfail on Celery, pass on the shim:", *better or ["none"], sep="\n  ")
    print(f"celery suite: {sum(outcome == 'passed' for outcome in shim.values())}/{len(shim)}")
    return int(bool(worse))


if __name__ == "__main__":
    sys.exit(main())
