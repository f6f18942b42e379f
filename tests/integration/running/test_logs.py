"""The whole service with `LOG_FORMAT=json`: its lines are JSON, and say which task they are about."""

import json
from pathlib import Path

from tests.integration.running.running import running

SECRET = "hunter2"
TIME_CHARS = len("2026-11-25 16:35:18,875 ")


def lines(folder: Path, program: str) -> list[dict[str, object]]:
    """What a program logged, after the supervisor's own time; what it prints, as Celery's banner, is no JSON."""
    text = (folder / "logs" / f"{program}.log").read_text("utf-8")
    return [json.loads(line[TIME_CHARS:]) for line in text.splitlines() if line[TIME_CHARS:].startswith("{")]


def test_every_program_of_the_service_logs_json_that_names_the_task(backend: str, tmp_path: Path):
    folder = tmp_path / "data"
    with running(backend, folder, {"LOG_FORMAT": "json"}) as service:
        sent = service.submit(f"{SECRET}.txt", f"The password is {SECRET}.".encode())
        service.outcome(sent["id"])
        key = service.task(sent["id"])["key"]

    run = next(line for line in lines(folder, "worker") if line["logger"] == "app.worker")
    asked = [line for line in lines(folder, "api") if line["logger"] == "uvicorn.access" and "POST" in line["message"]]
    about = {"task": "app.tasks.process_document", "task_id": sent["id"], "key": key}
    assert about.items() <= run.items()
    assert (run["attempt"], run["backend"]) == (1, backend)
    assert run["token"] > 0
    assert about.items() <= asked[0].items()
    assert lines(folder, "scheduler")
    assert SECRET not in "".join(file.read_text("utf-8") for file in (folder / "logs").glob("*.log"))
