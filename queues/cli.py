"""`queues`: what an operator asks of the records in Redis, and of the deployment around them."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from queues.commands import dead_letters
from queues.commands.bench_options import add_bench_options
from queues.commands.changes import cancel, release
from queues.commands.diagnosis import doctor
from queues.commands.explain import explain
from queues.commands.inspect import inspect
from queues.commands.lists import locks, results, stats, workers
from queues.commands.metrics import metrics
from queues.commands.migrate import migrate
from queues.commands.purge import purge
from queues.commands.session import Exit, Session
from queues.errors import BrokerUnavailableError, InvalidOptionError, QueueError, StoreUnavailableError
from queues.redaction import redacted
from queues.settings import Settings
from queues.terminal import Terminal

EPILOG = """
exit status:
  0    done; doctor: nothing found; migrate: nothing is left on the old backend
  1    no such work, or nothing to change; doctor: warnings; migrate: something is left or waits;
       bench: a target is missed, or a figure is worse than in the older run
  2    doctor: the guarantee does not hold; bench: work was lost or done twice
  3    Redis or a broker does not answer, or refuses
  4    a change that was not agreed to, or must not be made
  64   the command line, a URL or a module cannot be used

environment:
  REDIS_URL, QUEUES_PREFIX, NO_COLOR; with MODULE:QUEUE, what `connect` reads
"""
DEFAULT_LIMIT = 50
BROKERS = ("celery", "dramatiq")
Command = Callable[[argparse.Namespace, Session], int]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse would exit with 2, which means another thing here.
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = _Parser(
        prog="queues",
        description="Look at the tasks that Redis knows, change one, and examine the deployment.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    shared = _shared()

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", parents=[shared])
        added.set_defaults(run=run)
        return added

    _add_explain(add("explain", explain, "the story of one task"))
    _add_locks(add("locks", locks, "unfinished work: queued, running or waiting for a retry"))
    _add_limit(_with_no_args(outcomes := add("results", results, "stored outcomes")))
    outcomes.add_argument("--failed", action="store_true", help="failed and dead ones only")
    add("workers", workers, "the workers that were seen in the last half minute")
    add("stats", stats, "how many records there are, by state")
    _add_yes(add("cancel", cancel, "cancel work that has not begun, or ask it to stop"))
    _add_yes(freed := add("release", release, "take the right to run back, so that the work is published again"))
    freed.add_argument("--force", action="store_true", help="even while a living worker holds the lease")
    _add_metrics(add("metrics", metrics, "what only Redis knows, for Prometheus: printed once, or served"))
    _add_doctor(add("doctor", doctor, "what in this deployment breaks the guarantee"))
    add_bench_options(add("bench", _bench, "task systems side by side, with their work verified"), _positive)
    _add_application(add("inspect", inspect, "what the workers do now; with MODULE:QUEUE, what waits for them"), "?")
    _add_purge(add("purge", purge, "cancel what is queued and has not begun"))
    _add_migrate(add("migrate", migrate, "move from one backend to the other, while both work"))
    text = "what came to nothing: look at it, run it again, drop it"
    letters = commands.add_parser("dead-letters", help=text, description=f"{text[0].upper()}{text[1:]}.")
    _add_dead_letters(letters.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser), shared)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status, as `Exit` says."""
    words = sys.argv[1:] if argv is None else argv
    try:
        arguments = parser().parse_args(words)
    except SystemExit as exc:
        return int(exc.code or 0)
    arguments.words = words
    environment = {name: os.environ[name] for name in ("REDIS_URL", "QUEUES_PREFIX") if name in os.environ}
    settings = Settings.from_environment(environment)
    redis_url = arguments.redis_url or settings.redis_url
    prefix = settings.prefix if arguments.prefix is None else arguments.prefix
    try:
        code = int(arguments.run(arguments, Session(redis_url, prefix, Terminal(is_json=arguments.json))))
        sys.stdout.flush()
        return code
    except (StoreUnavailableError, BrokerUnavailableError) as exc:
        return _failed(Exit.NO_REDIS, exc, redis_url)
    except QueueError as exc:
        return _failed(Exit.USAGE, exc, redis_url)
    except BrokenPipeError:
        # The reader has seen enough, as `head` does; what is left must not fail when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _failed(code: Exit, error: QueueError, redis_url: str) -> int:
    # A module's own error may show any URL that it was told.
    told = [value for name, value in os.environ.items() if name.endswith(("_URL", "_BACKEND")) and "://" in value]
    text = " ".join(redacted(str(error), [redis_url, *told]).split())
    sys.stderr.write(f"queues: {text.encode('ascii', 'backslashreplace').decode()}\n")
    return code


def _shared() -> _Parser:
    shared = _Parser(add_help=False)
    shared.add_argument("--redis-url", metavar="URL", help="where the records are; else REDIS_URL")
    shared.add_argument("--prefix", help="before the records' keys; else QUEUES_PREFIX")
    shared.add_argument("--json", action="store_true", help="one JSON document in place of text")
    return shared


def _add_explain(made: argparse.ArgumentParser) -> None:
    made.add_argument("work", metavar="KEY|ID", help="what a handle shows as key or id; with --task, a key of your own")
    made.add_argument("--task", type=_word, metavar="NAME", help="KEY is what was given to this task as `key=`")
    made.add_argument("--scope", default="", help="with --task: what was given as `scope=`")
    made.add_argument("--key-version", default="1", metavar="TEXT", help="with --task: its `Once(version=...)`")
    _with_no_args(made)


def _add_locks(made: argparse.ArgumentParser) -> None:
    made.add_argument("--task", type=_word, metavar="NAME", help="of this task only")
    made.add_argument("--state", choices=("running", "waiting", "queued"))
    made.add_argument("--overdue", action="store_true", help="only what should have gone on by now")
    _add_limit(_with_no_args(made))


def _with_no_args(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
    made.add_argument("--no-args", action="store_true", help="leave out arguments, results and texts of tasks")
    return made


def _add_limit(made: argparse.ArgumentParser) -> None:
    made.add_argument("--limit", type=_positive, default=DEFAULT_LIMIT, metavar="N", help="at most N rows (50)")


def _add_yes(made: argparse.ArgumentParser) -> None:
    made.add_argument("work", metavar="KEY|ID", help="what a handle shows as key or id")
    made.add_argument("--yes", action="store_true", help="agree; needed without a terminal")


def _add_metrics(made: argparse.ArgumentParser) -> None:
    made.add_argument("--port", type=_port, metavar="N", help="serve at this port until Ctrl-C")
    made.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="to serve at (127.0.0.1)")


def _add_doctor(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "application",
        type=_word,
        nargs="?",
        metavar="MODULE:QUEUE",
        help="what `connect` returned, or a Celery app or Dramatiq broker with guarded tasks; it is imported",
    )


def _add_application(made: argparse.ArgumentParser, nargs: str | None = None) -> None:
    help_ = "what `connect` returned; it is imported"
    made.add_argument("application", type=_word, nargs=nargs, metavar="MODULE:QUEUE", help=help_)


def _add_purge(made: argparse.ArgumentParser) -> None:
    _add_application(made)
    made.add_argument("--task", type=_word, metavar="NAME", help="of this task")
    made.add_argument("--queue", type=_word, metavar="NAME", help="of this queue")
    made.add_argument("--all", action="store_true", help="of every task of the application")
    made.add_argument("--dry-run", action="store_true", help="only count")
    made.add_argument("--yes", action="store_true", help="agree; needed without a terminal")


def _add_migrate(made: argparse.ArgumentParser) -> None:
    _add_application(made)
    made.add_argument("--from", dest="source", required=True, choices=BROKERS, help="the backend to be left")
    made.add_argument("--to", dest="target", required=True, choices=BROKERS, help="the backend to go on with")
    made.add_argument("--move", action="store_true", help="move what is queued; else wait until its workers ended it")
    made.add_argument("--timeout", type=_positive, metavar="S", help="end after so many seconds, done or not")
    made.add_argument("--dry-run", action="store_true", help="only count")


def _bench(arguments: argparse.Namespace, session: Session) -> int:
    try:
        from queues.commands.bench import bench  # noqa: PLC0415 - its packages are an extra
    except ModuleNotFoundError as exc:
        msg = f"bench needs its packages: pip install 'onceq[bench]' ({exc})"
        raise InvalidOptionError(msg) from exc
    return bench(arguments, session)


def _add_dead_letters(commands: Any, shared: _Parser) -> None:
    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", parents=[shared]
        )
        added.set_defaults(run=run)
        return added

    def agreed(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
        made.add_argument("--yes", action="store_true", help="agree; needed without a terminal")
        return made

    _add_limit(_with_no_args(listed := add("list", dead_letters.list_, "dead letters, the newest first")))
    listed.add_argument("--task", type=_word, metavar="NAME", help="of this task only")
    listed.add_argument("--before", type=_word, metavar="ID", help="older than this letter: the next page")
    _with_no_args(shown := add("show", dead_letters.show, "one of them: message, error, traceback, attempts"))
    replayed = agreed(add("replay", dead_letters.replay, "run its work again, once, with all its attempts"))
    dropped = agreed(add("drop", dead_letters.drop, "remove one"))
    for made in (shown, replayed, dropped):
        made.add_argument("letter", type=_word, metavar="ID", help="of the message, as `list` shows it")
    replayed.add_argument(
        "--app", type=_word, metavar="MODULE:QUEUE", help="what `connect` returned; for --args and --kwargs"
    )
    replayed.add_argument("--release-key", action="store_true", help="a stored outcome of its key gives way")
    replayed.add_argument("--args", metavar="JSON", help="a list, in place of its positional arguments")
    replayed.add_argument("--kwargs", metavar="JSON", help="an object, in place of its named arguments")
    replayed.add_argument("--dry-run", action="store_true", help="say what would happen, and change nothing")
    purged = agreed(add("purge", dead_letters.purge, "remove many"))
    purged.add_argument("--task", type=_word, metavar="NAME", help="of this task only")
    purged.add_argument("--older-than", type=_seconds, default=0.0, metavar="TIME", help="as 12h or 3d")


def _word(text: str) -> str:
    if not text:
        msg = "an empty string names nothing"
        raise argparse.ArgumentTypeError(msg)
    return text


def _seconds(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
    number, unit = (text[:-1], text[-1:]) if text[-1:] in units else (text, "s")
    if not number.isascii() or not number.isdecimal() or len(number) > 9:
        msg = f"{text[:20]!r} is not a time, as 90s, 15m, 12h or 3d"
        raise argparse.ArgumentTypeError(msg)
    return float(int(number) * units[unit])


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) == 0:
        msg = f"{text[:20]!r} is not a number from 1 up"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _port(text: str) -> int:
    number = _positive(text)
    if number > 65_535:
        msg = f"{number} is not a port"
        raise argparse.ArgumentTypeError(msg)
    return number


if __name__ == "__main__":
    raise SystemExit(main())
