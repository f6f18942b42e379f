"""`queues metrics`: what only Redis knows, for Prometheus."""

import argparse
import sys
from dataclasses import asdict

from queues.commands.session import Exit, Session
from queues.errors import InvalidOptionError
from queues.observers.environment import records_module
from queues.stores.redis_census import RedisCensus


def metrics(arguments: argparse.Namespace, session: Session) -> int:
    """Print the metrics once, or serve them until Ctrl-C."""
    census = RedisCensus(session.redis_url, prefix=session.prefix)
    try:
        if arguments.port is None:
            taken = census.taken()
            if session.terminal.is_json:
                session.terminal.document(asdict(taken))
            else:
                for line in records_module().text(lambda: taken).splitlines():
                    session.terminal.line(line)
            return Exit.DONE
        census.taken()  # a URL or a password that is wrong is told now

        def tell() -> None:
            session.terminal.line(f"metrics of {session.place} at http://{arguments.host}:{arguments.port}/metrics")
            sys.stdout.flush()

        try:
            records_module().serve(census.taken, arguments.host, arguments.port, tell)
        except OSError as exc:
            msg = f"--port {arguments.port} of {arguments.host} cannot be had: {exc}"
            raise InvalidOptionError(msg) from exc
        return Exit.DONE
    finally:
        census.close()
