"""The commands that people type, beside `make run`."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pymongo
import pytest

import app
from app.settings import Settings
from tests.integration.running.running import processes, running

TASKS = {
    "app.tasks.process_document",
    "app.tasks.scrape_website",
    "app.tasks.send_notification",
    "app.tasks.cleanup_old_data",
    "app.tasks.generate_analytics_report",
}


def test_celery_inspect_reaches_the_running_worker_with_the_environment_that_run_writes(tmp_path):
    with running("celery", tmp_path / "data") as service:
        written = (service.folder / "run.env").read_text("utf-8").splitlines()
        named = dict(shlex.split(line)[0].partition("=")[::2] for line in written)
        ended = subprocess.run(
            [sys.executable, "-m", "celery", "-A", "app.celery_app", "inspect", "registered", "--timeout", "10"],
            env=os.environ | named,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert ended.returncode == 0, ended.stderr
    assert all(name in ended.stdout for name in TASKS)
    assert "1 node online" in ended.stdout


def test_servers_that_are_given_are_used_and_none_is_started(
    valkey_url, mongo_url, key_prefix, database_name, tmp_path
):
    given = {
        "REDIS_URL": valkey_url,
        "MONGO_URL": mongo_url,
        "DB_NAME": database_name,
        "QUEUES_PREFIX": key_prefix,
    }
    with running("dramatiq", tmp_path / "data", given) as service:
        outcome = service.outcome(service.submit("hours.txt", b"Open from seven to four.")["id"])
        commands = [command for pid, _, command in processes() if pid in service.tree()]
    with pymongo.MongoClient(mongo_url) as client:
        stored = client[database_name]["chunks"].count_documents({})

    assert outcome["state"] == "completed"
    assert stored == 1
    assert not [command for command in commands if "valkey-server" in command or "embedded.mongo" in command]


@pytest.mark.slow
def test_the_demo_runs_each_document_once_on_both_backends():
    ended = subprocess.run([sys.executable, "-m", "app.demo"], capture_output=True, text=True, timeout=280, check=False)

    assert ended.stdout.splitlines()[-1] == "demo: 16 documents, 16 runs, 0 lost, 0 repeated", ended.stdout
    assert ended.returncode == 0
    assert len(re.findall(r"replayed +│", ended.stdout)) == 16  # the fourth submission of each document


def test_the_example_of_an_environment_names_every_setting_and_no_other():
    text = (Path(app.__file__).parents[1] / "deploy" / "env.example").read_text("utf-8")
    named = [line.partition("=")[0] for line in text.splitlines() if line and not line.startswith("#")]

    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)


def test_a_setting_that_cannot_be_used_is_named():
    ended = subprocess.run(
        [sys.executable, "-m", "app.run"],
        env=os.environ | {"PORT": "many", "QUEUES_BACKEND": "rq"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 2
    assert "onceq: PORT: " in ended.stderr
    assert "onceq: QUEUES_BACKEND: " in ended.stderr


def test_an_empty_setting_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    defaults = Settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")

    assert Settings() == defaults
    assert Settings().model_fields_set == set()
