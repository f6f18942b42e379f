"""What the whole service tells of its tasks: in logs (`LOG_FORMAT=json`) and in metrics."""

import json
from pathlib import Path

from tests.integration.running.running import running
from tests.ports import free_port
from tests.scrape import scraped
from tests.stage import eventually

SECRET = "hunter2"
TIME_CHARS = len("2026-11-25 16:35:18,875 ")


def lines(folder: Path, program: str) -> list[dict[str, object]]:
    """What a program logged, after the supervisor's own time; what it prints, as Celery's banner, is no JSON."""
    text = (folder / "logs" / f"{program}.log").read_text("utf-8")
    return [json.loads(line[TIME_CHARS:]) for line in text.splitlines() if line[TIME_CHARS:].startswith("{")]


def test_logs_name_the_task_and_metrics_count_it(backend: str, tmp_path: Path):
    folder, port = tmp_path / "data", free_port()
    options = {"LOG_FORMAT": "json", "QUEUES_METRICS_PORT": str(port), "TMPDIR": str(tmp_path)}
    with running(backend, folder, options) as service:
        sent = service.submit(f"{SECRET}.txt", f"The password is {SECRET}.".encode())
        service.outcome(sent["id"])
        key = service.task(sent["id"])["key"]
        ran = {"task": "app.tasks.process_document", "outcome": "completed"}
        eventually(lambda: scraped(port).total("onceq_tasks_executed_total", **ran) == 1, within_s=60)
        submitted = scraped(service.port).total("onceq_tasks_submitted_total", task=ran["task"], decision="executed")

    run = next(line for line in lines(folder, "worker") if line["logger"] == "app.worker")
    asked = [line for line in lines(folder, "api") if line["logger"] == "uvicorn.access" and "POST" in line["message"]]
    about = {"task": "app.tasks.process_document", "task_id": sent["id"], "key": key}
    assert about.items() <= run.items()
    assert (run["attempt"], run["backend"]) == (1, backend)
    assert run["token"] > 0
    assert about.items() <= asked[0].items()
    assert lines(folder, "scheduler")
    assert submitted == 1
    assert SECRET not in "".join(file.read_text("utf-8") for file in (folder / "logs").glob("*.log"))
