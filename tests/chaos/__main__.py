"""`python -m tests.chaos`: thousands of tasks under faults, and a count of what was lost or done twice."""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.chaos.options import Options
from tests.chaos.picture import draw
from tests.chaos.run import Ended, run
from tests.chaos.screen import SHOWN, Screen, last_line, report, slowest
from tests.servers import ServerStartError
from tests.workers import WorkerStartError

MINUTES, SOAK_MINUTES = 3.0, 60.0
TASKS_PER_SECOND, SOAK_TASKS_PER_SECOND = 12.0, 8.0
CONTROLS = ("", "skip", "two-leases")


def main(arguments: list[str] | None = None) -> int:
    """0 when nothing was lost or doubled, 1 when something was; 2 when there was no run to judge, 130 after Ctrl-C."""
    chosen = _parser().parse_args(arguments)
    options = _options(chosen)
    folder = Path(tempfile.mkdtemp(prefix="onceq-chaos-"))
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{options.backend} on {options.broker}, {options.minutes:g} minutes, seed {options.seed}")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with Screen(options) as screen:
            ended = run(options, folder, screen)
    except (ServerStartError, WorkerStartError) as exc:
        console.print(f"{exc}\nkept: {folder}", markup=False)
        return 2
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        console.print("interrupted")
        return 130
    _tell(ended, console, chosen.picture or folder.with_suffix(".html"))
    is_good = not (ended.verdict.lost or ended.verdict.doubled)
    if is_good and ended.verdict.tasks and not chosen.keep:
        shutil.rmtree(folder)
    else:
        console.print(f"kept: {folder}", markup=False)
    print(last_line(ended.verdict, ended.faults), flush=True)
    if not ended.verdict.tasks:
        return 2
    return 0 if is_good else 1


def _options(chosen: argparse.Namespace) -> Options:
    minutes = SOAK_MINUTES if chosen.soak and chosen.minutes is None else chosen.minutes or MINUTES
    return Options(
        backend=chosen.backend,
        broker=chosen.broker,
        minutes=minutes,
        seed=chosen.seed,
        lease_s=chosen.lease,
        control=chosen.control,
        quiet_s=chosen.quiet,
        per_second=SOAK_TASKS_PER_SECOND if chosen.soak else TASKS_PER_SECOND,
    )


def _tell(ended: Ended, console: Console, picture: Path) -> None:
    report(ended.verdict, ended.faults, ended.tally, console)
    slowest(ended.verdict, ended.faults, ended.start_ms, console)
    for text, count in ended.strange.most_common(SHOWN):
        console.print(f"strange  {count} times: {text}", markup=False)
    picture.write_text(draw(ended), "utf-8")
    console.print(f"timeline: {picture}", markup=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--backend", choices=("celery", "dramatiq"), default="celery")
    parser.add_argument("--broker", choices=("valkey", "rabbitmq"), default="valkey")
    parser.add_argument("--minutes", type=float, help="of faults; 3, or 60 with --soak")
    parser.add_argument("--seed", type=int, default=1, help="of the faults and of the tasks")
    parser.add_argument("--soak", action="store_true", help="an hour")
    parser.add_argument("--lease", type=float, default=Options().lease_s, help="seconds, of every task")
    parser.add_argument("--quiet", type=float, default=Options().quiet_s, help="seconds to wait for the last outcomes")
    parser.add_argument("--control", choices=CONTROLS, default="", help="break the library on purpose")
    parser.add_argument("--picture", type=Path, help="where the timeline goes")
    parser.add_argument("--keep", action="store_true", help="keep data, logs and ledgers also when all is well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
