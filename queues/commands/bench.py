"""`queues bench`: task systems side by side."""

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from queues.bench import compare
from queues.bench.catalogue import QUICK, catalogue
from queues.bench.contenders import CONTENDERS
from queues.bench.extension import Extension, extension
from queues.bench.machine import described
from queues.bench.measure import Results
from queues.bench.page import page
from queues.bench.picture import picture
from queues.bench.report import document, markdown, missed, tables, unmeasured
from queues.bench.run import Outcome, Plan, run
from queues.bench.targets import TARGETS, Target, needed
from queues.commands.session import Exit, Session
from queues.errors import InvalidOptionError
from queues.redaction import redacted

T = TypeVar("T")
MISSED = 1
INVALID = 2
QUICK_ROUNDS = 1
WIDTH = 120


def bench(arguments: argparse.Namespace, session: Session) -> int:
    """Measure, print, and keep what was asked for; 1 when a target is missed or a figure is worse, 2 for bad work.

    Raises:
        InvalidOptionError: no such scenario or contender, none that go together, a file that cannot be read or written,
            no RabbitMQ.
    """
    del session  # it measures with a server of its own
    extensions = [extension(text) for text in arguments.extensions]
    targets = [*TARGETS, *(target for each in extensions for target in each.targets)]
    plan = _plan(arguments, extensions, targets)
    old = compare.read(arguments.compare) if arguments.compare else None
    for path in filter(None, (arguments.keep, arguments.html, arguments.picture, arguments.markdown)):
        _check_writable(path)
    outcome, code = Outcome(), int(Exit.DONE)
    # They are of one round trip to a Redis that is both.
    targets = targets if plan.broker == "redis" else []
    try:
        with ending_at_signals() as check, _Screen(Console(stderr=True, highlight=False), check) as screen:
            run(plan, screen, outcome)
    except KeyboardInterrupt:
        code = int(Exit.INTERRUPTED)
        sys.stderr.write(f"queues: interrupted; {'this is what' if outcome.samples else 'nothing'} was measured\n")
    machine = {**described(), "broker": plan.broker, **_peers(plan, outcome)}
    command = redacted(shlex.join(["queues", *arguments.words]), arguments.words)
    results = Results(outcome.samples, machine, outcome.invalid, command, f"{datetime.now(UTC):%Y-%m-%d}")
    if not (results.samples or results.invalid):
        return _nothing(code)
    _tell(arguments, results, targets, plan)
    is_worse = old is not None and _compared(old, results, _console(to_stderr=arguments.json))
    if code or results.invalid:
        return code or INVALID
    return MISSED if is_worse or (missed(results.samples, targets) and not arguments.quick) else code


def _nothing(code: int) -> int:
    """Say that there is nothing to tell; files that an older run may have written stay as they are."""
    if code:
        return code
    msg = "nothing was measured: none of the contenders can do any of the scenarios, or none could be installed"
    raise InvalidOptionError(msg)


def _tell(arguments: argparse.Namespace, results: Results, targets: Sequence[Target], plan: Plan) -> None:
    text = document(results, targets)
    if arguments.json:
        sys.stdout.write(text + "\n")
    else:
        tables(results, targets, _console())
        left_out = unmeasured(results.samples, targets) if arguments.targets else []
        _console().print(*(f"not measured: {what}" for what in left_out), sep="\n", end="\n" * bool(left_out))
    if arguments.keep:
        Path(arguments.keep).write_text(text, "utf-8")
    if arguments.html:
        Path(arguments.html).write_text(page(results, targets, plan.contenders), "utf-8")
    if arguments.markdown:
        Path(arguments.markdown).write_text(markdown(results, targets), "utf-8")
    if arguments.picture:
        Path(arguments.picture).write_text(picture(results, plan.contenders), "utf-8")


def _plan(arguments: argparse.Namespace, extensions: Sequence[Extension], targets: Sequence[Target]) -> Plan:
    contenders = [*CONTENDERS, *(contender for each in extensions for contender in each.contenders)]
    _check_names([contender.name for contender in contenders])
    offered = {each.name: each for each in contenders if not (each.is_peer and arguments.no_peers)}
    broker = "rabbitmq" if arguments.rabbitmq_url else arguments.broker
    only = needed(targets) if arguments.targets else {}
    part = QUICK if arguments.quick else 1.0
    scenarios = catalogue(part)
    added = [scenario for each in extensions for scenario in each.scenarios(part)]
    _check_names([*scenarios, *(scenario.name for scenario in added)])
    scenarios |= {scenario.name: scenario for scenario in added}
    if only:
        scenarios = {name: scenario for name, scenario in scenarios.items() if name in only}
    return Plan(
        [*_chosen(scenarios, arguments.scenario)],
        [*_chosen(offered, arguments.contender)],
        QUICK_ROUNDS if arguments.quick else arguments.rounds,
        broker,
        arguments.rabbitmq_url,
        only,
    )


def _peers(plan: Plan, outcome: Outcome) -> dict[str, str]:
    """What was installed for those that were measured."""
    measured = {sample.contender for sample in outcome.samples}
    found = [contender for contender in plan.contenders if contender.is_peer and contender.name in measured]
    return {contender.name: ", ".join(contender.requirements).replace("==", " ") for contender in found}


def _compared(old: Results, new: Results, to: Console) -> bool:
    """Print both; whether anything is worse."""
    to.print(compare.table(old, new))
    return any(change.is_worse for change in compare.changes(old.samples, new.samples))


@contextmanager
def ending_at_signals() -> Iterator[Callable[[], None]]:
    """SIGTERM and SIGHUP are told as Ctrl-C is: else the workers, which may be stopped, would outlive the run.

    Yields:
        What raises KeyboardInterrupt if there was such a signal. Python drops what a handler raises while an object
        is finalized, as clients are in each round: without another look the run would go on.
    """
    asked: list[int] = []

    def end(number: int, _: object) -> None:
        asked.append(number)
        raise KeyboardInterrupt

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _console(*, to_stderr: bool = False) -> Console:
    """Wide enough for whole names where it is no terminal: rich would take that for one of eighty columns."""
    made = Console(stderr=to_stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=to_stderr, highlight=False, width=WIDTH)


class _Screen:
    """A progress bar on a terminal, lines elsewhere."""

    def __init__(self, console: Console, check: Callable[[], None]) -> None:
        self._console = console
        self._check = check
        self._begun_s = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
        self._bar = Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("starts", total=1.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, text: str, done: float) -> None:
        """What is being done; ends the run if that was asked for."""
        self._check()
        if self._console.is_terminal:
            self._bar.update(self._task, description=text, completed=done)
        else:
            seconds = round(time.monotonic() - self._begun_s)
            clock = f"{seconds // 60:3d}:{seconds % 60:02d}"
            self._console.print(f"{done:4.0%} {clock} {text}", markup=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """What the reader must know."""
        self._console.print(text, markup=False)


def _check_names(names: Sequence[str]) -> None:
    """Two of one name could not be told apart."""
    for name in names:
        if names.count(name) > 1:
            msg = f"there are two of the name {name!r}: an extension brings one that is there already"
            raise InvalidOptionError(msg)


def _check_writable(path: str) -> None:
    """Before the measuring, not after it."""
    folder = Path(path).absolute().parent
    if Path(path).is_dir() or not os.access(Path(path) if Path(path).exists() else folder, os.W_OK):
        msg = f"{path} cannot be written"
        raise InvalidOptionError(msg)


def _chosen(named: dict[str, T], texts: list[str] | None) -> Iterable[T]:
    if not texts:
        return named.values()
    found = {name: value for name, value in named.items() if any(text.lower() in name.lower() for text in texts)}
    if not found:
        msg = f"none has {' or '.join(map(repr, texts))} in its name: {', '.join(named)}"
        raise InvalidOptionError(msg)
    return found.values()
