"""`python -m app.run`: the whole service from one command; the servers that are not given are started too."""

import argparse
import asyncio
import http.client
import json
import os
import secrets
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from app.embedded.mongo.folder import FolderInUseError, lock_folder
from app.embedded.output import Output
from app.embedded.ports import PortError, check_port, free_port
from app.embedded.program import Program
from app.embedded.services import mongo_program, service_programs
from app.embedded.supervisor import Supervisor
from app.embedded.valkey import valkey_program, valkey_url
from app.settings import Settings

HEALTHY_WITHIN_S = 20.0
SHOWN_ENVIRONMENT = "run.env"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run."""

    settings: Settings
    servers: Sequence[Program]
    services: Sequence[Program]
    environment: dict[str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service until Ctrl-C or SIGTERM.

    Returns:
        0 after an orderly stop; 1 when it could not start; 2 for a setting that cannot be used.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = Settings()
    except ValidationError as exc:
        for error in exc.errors():
            _complain(f"{'.'.join(map(str, error['loc'])).upper()}: {error['msg']}")
        return 2
    settings = settings.model_copy(update={"data_dir": settings.data_dir.absolute()})
    output = Output(settings.data_dir / "logs", is_quiet=options.quiet)
    try:
        with lock_folder(settings.data_dir):
            settings = settings.model_copy(update={"port": settings.port or free_port()})
            check_port(settings.host, settings.port)
            plan = make_plan(settings)
            return asyncio.run(_run(plan, output))
    except FolderInUseError as exc:
        _complain(f"{exc}: end that one first, or choose another folder with DATA_DIR=...")
    except (PortError, OSError) as exc:
        _complain(str(exc))
    finally:
        output.close()
    return 1


def make_plan(settings: Settings) -> Plan:
    """The programs to run, with a server of our own for each that no URL is given for.

    Raises:
        OSError: the data folder cannot be written.
        PortError: there is no free port.
    """
    folder, given = settings.data_dir, settings.model_fields_set
    servers: list[Program] = []
    chosen = [settings.port]
    environment = {
        "QUEUES_BACKEND": settings.queues_backend,
        "DATA_DIR": str(folder),
        "HOST": settings.host,
        "PORT": str(settings.port),
    }
    if "redis_url" not in given:
        port, password = free_port(*chosen), secrets.token_urlsafe(24)
        chosen.append(port)
        servers.append(valkey_program(folder / "valkey", port, password))
        environment["REDIS_URL"] = valkey_url(port, password)
    if "mongo_url" not in given:
        port = free_port(*chosen)
        servers.append(mongo_program(folder / "mongo", port))
        environment["MONGO_URL"] = f"mongodb://127.0.0.1:{port}"
    return Plan(settings, servers, service_programs(settings, environment), environment)


async def _run(plan: Plan, output: Output) -> int:
    settings = plan.settings
    _write_environment(settings.data_dir / SHOWN_ENVIRONMENT, plan.environment)

    async def on_ready() -> None:
        health = await asyncio.to_thread(wait_until_healthy, settings.host, settings.port, HEALTHY_WITHIN_S)
        for line in _banner(plan, health, output.secret):
            output.show(line)

    return await Supervisor(plan.servers, plan.services, output).run(on_ready)


def wait_until_healthy(host: str, port: int, within_s: float) -> dict[str, object]:
    """What `/api/health` answers: as soon as it says `running`, or what it said last; empty without an answer."""
    deadline = time.monotonic() + within_s
    answer: dict[str, object] = {}
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(_reachable(host), port, timeout=5)
        try:
            connection.request("GET", "/api/health")
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            answer = {}
        finally:
            connection.close()
        if answer.get("status") == "running":
            break
        time.sleep(0.1)
    return answer


def _banner(plan: Plan, health: dict[str, object], key_line: str | None) -> list[str]:
    settings = plan.settings
    host = _reachable(settings.host)
    root = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    key = "the one in API_KEY"
    if key_line is not None:
        key = f"{key_line.split()[-1]} (shown only this once: keep it)"
    elif settings.api_key is None:
        key = "made at the first start and shown only then; API_KEY=... sets another one"
    status = str(health.get("status", "no answer"))
    if status != "running":
        status = f"{status}: {json.dumps(health)}"
    facts = {
        "backend": settings.queues_backend,
        "API": f"{root}/api/v1",
        "docs": f"{root}/api/docs",
        "health": f"{root}/api/health ({status})",
        "API key": key,
        "data": f"{settings.data_dir} (logs in logs/, the servers' addresses in {SHOWN_ENVIRONMENT})",
        "stop": "Ctrl-C",
    }
    return ["", "onceq is ready", *(f"  {name:<8} {text}" for name, text in facts.items()), ""]


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - translated


def _write_environment(file: Path, environment: dict[str, str]) -> None:
    """For other commands on the same servers: `set -a; . .data/run.env; celery -A app.celery_app inspect active`."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.writelines(f"{name}={shlex.quote(value)}\n" for name, value in environment.items())


def _complain(text: str) -> None:
    sys.stderr.write(f"onceq: {text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.run",
        description="Run the service: servers that are not given, API, worker and scheduler. "
        "Settings are environment variables; deploy/env.example lists them.",
    )
    parser.add_argument("--quiet", action="store_true", help="do not repeat the programs' lines on the terminal")
    return parser


if __name__ == "__main__":
    sys.exit(main())
