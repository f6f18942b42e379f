"""Where the processor's time goes in each thing that the benchmark compares: `python -m tests.benchmarks.layers`.

py-spy, which is installed into an environment of its own, looks at the running processes some hundred times a second;
what it saw is added up by package, and within this project by module. Each row is microseconds of processor time a
task, of the producer, of the API's process, or of all the processes of a worker; a program that waits is not counted.
Of a worker, whose threads wait for each other, only what holds the interpreter is looked at. Linux asks for root, or
for `sysctl kernel.yama.ptrace_scope=0`, before one process may look at another.
"""

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.bench.extension import API, CONSTANT, SUBMIT
from queues.bench import contenders
from queues.bench.contenders import Contender
from queues.bench.environments import interpreter
from queues.bench.party import Party
from queues.bench.programs import ledger
from queues.bench.scenarios.checking import Numbers, fastest, warm
from queues.bench.server import Server, emptied

LOOKS_A_SECOND = 400
ROWS = 7
PY_SPY = "py-spy==0.4.3"
PLACE = re.compile(r"\((?P<path>[^()]*?):\d+\)$")
WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: the producer's or the worker's processes of a contender, at one of a few kinds of work."""

    work: str
    contender: Contender
    count: int


def _among(work: str, count: int, *those: Contender) -> Iterator[Subject]:
    return (Subject(work, contender, count) for contender in those)


SUBJECTS = (
    *_among("send", 40_000, contenders.REDIS, contenders.DRAMATIQ, contenders.ONCEQ_CELERY, contenders.ONCEQ_DRAMATIQ),
    *_among("send_many", 80_000, contenders.ONCEQ_CELERY, contenders.ONCEQ_DRAMATIQ),
    *_among("repeat", 60_000, contenders.REDIS, contenders.ONCEQ_CELERY),
    *_among("process", 10_000, contenders.DRAMATIQ, contenders.ONCEQ_DRAMATIQ),
    *_among("process", 8_000, contenders.CELERY_NO_RESULTS, contenders.ONCEQ_CELERY),
    *_among("process", 30_000, contenders.HUEY),
    *_among(API, 10_000, CONSTANT),
    *_among(API, 5_000, SUBMIT),
)
"""In the order in which they are told; looked at for some seconds each."""


def main() -> int:
    """Print a table for each subject whose name has one of the arguments; for all without any."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.layers", description=__doc__)
    parser.add_argument("names", nargs="*", help="only those whose title has one of these")
    names = parser.parse_args().names
    py_spy = Path(interpreter("py-spy", (PY_SPY,), say)).with_name("py-spy")
    with Server() as server:
        for subject in SUBJECTS:
            title = f"{subject.work}: {subject.contender.name}"
            if not names or any(name in title for name in names):
                tell(title, *looked_at(subject, server, py_spy))
    return 0


def say(text: str) -> None:
    """Tell of an installation."""
    sys.stderr.write(f"{text}\n")


def tell(title: str, seen: Counter[str], cpu_us: float) -> None:
    """Print one table."""
    total = seen.total()
    sys.stdout.write(f"\n{title}: {cpu_us:.0f} us\n")
    for layer, count in seen.most_common(ROWS):
        sys.stdout.write(f"  {cpu_us * count / total:6.1f}  {layer}\n")
    rest = total - sum(count for _, count in seen.most_common(ROWS))
    if rest:
        sys.stdout.write(f"  {cpu_us * rest / total:6.1f}  everything else\n")
    sys.stdout.flush()


def looked_at(subject: Subject, server: Server, py_spy: Path) -> tuple[Counter[str], float]:
    """What was seen by layer, and the processor time a task, in us."""
    contender, url = subject.contender, server.database()
    folder = Path(tempfile.mkdtemp(dir=server.folder))
    python = sys.executable
    if contender.is_peer:
        python = interpreter(contender.name, contender.requirements, say)
    party = Party(contender, python, url, url, folder)
    output = folder / "seen.txt"
    try:
        if subject.work == "process":
            cpu_s = _processing(party, subject.count, lambda pid: _looking(py_spy, pid, output, "--gil"))
        elif subject.work == API:
            party.start_worker(1)
            party.ask(do="load", count=200)
            before_s = party.worker_cpu_s
            with _looking(py_spy, party.workers[0].pgid, output):
                party.ask(do="load", count=subject.count)
            cpu_s = party.worker_cpu_s - before_s
        else:
            cpu_s = _sending(party, subject, lambda pid: _looking(py_spy, pid, output))
    finally:
        party.close()
        emptied(url)
    return layers(output.read_text("utf-8").splitlines()), 1e6 * cpu_s / subject.count


Looking = Callable[[int], AbstractContextManager[None]]


def _processing(party: Party, count: int, looking: Looking) -> float:
    numbers = Numbers()
    warm(party, numbers, 2)
    party.pause_workers()
    done, sent = ledger.count(party.ledger), numbers.take(count)
    party.ask(do=fastest(party), kind="noop", start=sent.start, count=count)
    before_s = party.worker_cpu_s
    party.resume_workers()
    with looking(party.workers[0].pgid):
        party.wait_for(done + count, WITHIN_S)
    return party.worker_cpu_s - before_s


def _sending(party: Party, subject: Subject, looking: Looking) -> float:
    party.ask(do="send", kind="noop", start=1, count=200)
    if subject.work == "repeat":
        asked = {"do": "repeat", "kind": "noop", "number": 1, "count": subject.count}
    else:
        asked = {"do": subject.work, "kind": "noop", "start": 1_000, "count": subject.count}
    with looking(party.producer_pid):
        told: dict[str, float] = party.ask(**asked)
    return told["cpu_s"]


@contextmanager
def _looking(py_spy: Path, pid: int, output: Path, *options: str) -> Iterator[None]:
    command = [str(py_spy), "record", *options, "--pid", str(pid), "--subprocesses", "--rate", str(LOOKS_A_SECOND)]
    command += ["--full-filenames", "--format", "raw", "--duration", f"{WITHIN_S:.0f}", "--output", str(output)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(1.0)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=WITHIN_S)[0].decode()
    if not output.exists():
        message = f"py-spy saw nothing: {said[-500:]}"
        raise RuntimeError(message)


def layers(lines: Sequence[str]) -> Counter[str]:
    """How often each layer was at work: the package of the innermost frame, or a module of this project."""
    seen: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        seen[layer(stack.rpartition(";")[2])] += int(count)
    return seen


def layer(frame: str) -> str:
    """The layer of a frame as py-spy writes it: `name (path:line)`."""
    found = PLACE.search(frame)
    path = found["path"] if found else ""
    for own in ("queues/bench/programs/", "app/bench/"):
        if own in path:
            return "the benchmark's own program"
    if "site-packages/" in path:
        return path.rpartition("site-packages/")[2].partition("/")[0].removesuffix(".py")
    for package in ("queues/", "app/", "compat/"):
        if path.startswith(package) or f"/{package}" in path:
            return path[path.rindex(package) :].removesuffix(".py")
    return "Python: " + path.rpartition("/")[2].removesuffix(".py") if path else frame


if __name__ == "__main__":
    sys.exit(main())
