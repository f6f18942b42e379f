"""`python -m app.embedded.mongo --data DIR --port N`: the embedded server as a process."""

import argparse
import asyncio
import ipaddress
import logging
import os
import signal
import sys
from pathlib import Path

from app.embedded.mongo.engine import DataFormatError
from app.embedded.mongo.folder import FolderInUseError, lock_folder
from app.embedded.mongo.server import Server
from app.embedded.mongo.storage import Storage

PARENT_CHECK_S = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or, with `--with-parent`, the parent's end.

    Returns:
        0 after a clean stop; 1 when the folder or the address cannot be used; 2 for wrong arguments.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="mongo: %(levelname)s %(message)s", stream=sys.stderr)
    if not options.allow_remote and not _is_loopback(options.host):
        print(
            f"mongo: refused to listen on {options.host}: there is no authentication. "
            "Use 127.0.0.1, or --allow-remote on a network where everybody may read and change all data.",
            file=sys.stderr,
        )
        return 2
    parent = os.getppid() if options.with_parent else None
    try:
        with lock_folder(options.data):
            storage = Storage(options.data / "data.sqlite")
            try:
                asyncio.run(_serve(options, storage, parent))
            finally:
                storage.close()
    except (FolderInUseError, DataFormatError, OSError) as exc:
        print(f"mongo: {exc}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: argparse.Namespace, storage: Storage, parent: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(storage, options.expire_every)
    port = await server.start(options.host, options.port)
    print(f"mongo: ready on {options.host}:{port}", flush=True)
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), None if parent is None else PARENT_CHECK_S)
        except TimeoutError:
            # Not the kernel's PDEATHSIG: that fires when the thread that started us ends, not the process.
            if os.getppid() != parent:
                break
    await server.stop()


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65_535:
        msg = "a port is a number from 0 to 65535"
        raise argparse.ArgumentTypeError(msg)
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0.01 <= number <= 86_400:
        msg = "between 0.01 and 86400 seconds"
        raise argparse.ArgumentTypeError(msg)
    return number


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.embedded.mongo",
        description="A subset of MongoDB for one machine, kept in SQLite. No authentication: loopback only.",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the data; made when missing")
    parser.add_argument("--port", type=_port, default=27017, help="port to listen on; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--allow-remote", action="store_true", help="listen on an address that is not loopback")
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started this one ends")
    parser.add_argument(
        "--expire-every", type=_seconds, default=60.0, metavar="SECONDS", help="how often TTL indexes are looked at"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
