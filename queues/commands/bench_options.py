"""What `queues bench` can be asked for; apart from it, because its packages are an extra."""

import argparse
from collections.abc import Callable


def add_bench_options(made: argparse.ArgumentParser, positive: Callable[[str], int]) -> None:
    """Add them; `positive` reads a number from 1 up."""
    made.add_argument("--quick", action="store_true", help="one short round of each: checks the work, not the time")
    made.add_argument("--rounds", type=positive, default=5, metavar="N", help="of each scenario (5)")
    made.add_argument("--scenario", action="append", metavar="TEXT", help="only those whose name has it; repeatable")
    made.add_argument("--contender", action="append", metavar="TEXT", help="only those whose name has it; repeatable")
    made.add_argument("--targets", action="store_true", help="only what the targets compare")
    made.add_argument("--no-peers", action="store_true", help="without what needs an environment of its own")
    made.add_argument(
        "--with",
        action="append",
        default=[],
        dest="extensions",
        metavar="MODULE:NAME",
        help="an Extension or a Contender of another package, as compat.bench.extension:SHIM; repeatable",
    )
    made.add_argument("--broker", choices=("redis", "rabbitmq"), default="redis", help="of those that can use both")
    made.add_argument("--rabbitmq-url", metavar="URL", help="a RabbitMQ that runs; else one is started")
    made.add_argument("--keep", metavar="FILE", help="write every sample there, as JSON")
    made.add_argument("--html", metavar="FILE", help="draw the run there, as one page")
    made.add_argument("--picture", metavar="FILE", help="draw its main figures there, as one SVG")
    made.add_argument("--markdown", metavar="FILE", help="write the table of targets there")
    made.add_argument("--compare", metavar="FILE", help="with a run that --keep wrote; 1 when a figure is worse")
