"""`queues bench`: task systems side by side."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from queues.bench.catalogue import catalogue
from queues.bench.contenders import CONTENDERS
from queues.bench.machine import described
from queues.bench.measure import Sample
from queues.bench.party import BenchError
from queues.bench.report import document, missed, tables
from queues.bench.run import run
from queues.commands.session import Exit, Session
from queues.errors import InvalidOptionError

T = TypeVar("T")
MISSED = 1
INVALID = 2
QUICK_ROUNDS = 1


def bench(arguments: argparse.Namespace, session: Session) -> int:
    """Measure, print, and keep what was asked for; 1 when a target is missed, 2 when work was lost or doubled.

    Raises:
        InvalidOptionError: no such scenario or contender.
    """
    del session  # it measures with a server of its own
    scenarios = _chosen(catalogue(is_quick=arguments.quick), arguments.scenario)
    contenders = _chosen({contender.name: contender for contender in CONTENDERS}, arguments.contender)
    rounds = QUICK_ROUNDS if arguments.quick else arguments.rounds
    samples: list[Sample] = []
    told = Console(stderr=True, highlight=False)
    with told.status("starts") as status:
        try:
            run([*scenarios], [*contenders], rounds, lambda text: _tell(told, status.update, text), samples)
            code = int(Exit.DONE)
        except KeyboardInterrupt:
            code = int(Exit.INTERRUPTED)
        except BenchError as exc:
            told.print(f"invalid: {exc}", markup=False)
            code = INVALID
    if arguments.json:
        sys.stdout.write(document(samples, described()) + "\n")
    else:
        tables(samples, Console(highlight=False))
    if arguments.keep is not None:
        Path(arguments.keep).write_text(document(samples, described()), "utf-8")
    return code or (MISSED if missed(samples) and not arguments.quick else code)


def _tell(told: Console, update: object, text: str) -> None:
    if told.is_terminal and callable(update):
        update(text)
    else:
        told.print(text)


def _chosen(named: dict[str, T], texts: list[str] | None) -> Iterable[T]:
    if not texts:
        return named.values()
    found = {name: value for name, value in named.items() if any(text in name for text in texts)}
    if not found:
        msg = f"none has {' or '.join(map(repr, texts))} in its name: {', '.join(named)}"
        raise InvalidOptionError(msg)
    return found.values()
