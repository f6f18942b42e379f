"""A worker is killed in the middle of a document: one outcome, no chunk twice and none missing."""

import os
import signal
import time

import pymongo

from tests.integration.running.running import Running, running

LEASE_S = 2.0
OVER_S = 40.0
"""Above the lease: a new worker starts, and reads the document again, on a busy machine."""
PAGES = 19
TRIES = 8


def test_a_worker_killed_in_the_middle_of_19_pages_leaves_one_outcome(backend, tmp_path, long_pdf):
    with running(backend, tmp_path / "data", {"LEASE_S": str(LEASE_S)}) as service:
        undisturbed = service.submit("undisturbed.pdf", long_pdf)
        expected = service.outcome(undisturbed["id"])["result"]

        killed, killed_at = _submit_and_kill(service, long_pdf)
        outcome = service.outcome(killed["id"])
        took_s = time.monotonic() - killed_at
        again = service.submit(outcome["arguments"]["path"].split("/")[-1], long_pdf)

        tokens = service.runs(killed["id"])
        assert (outcome["state"], again["decision"], again["id"]) == ("completed", "replayed", killed["id"])
        assert len(tokens) == 2
        assert tokens[0] < tokens[1]
        assert _counts(outcome["result"]) == _counts(expected)
        assert _texts(service, killed["source_id"]) == _texts(service, undisturbed["source_id"])
        assert _stored_tokens(service, killed["source_id"]) == [tokens[1]] * expected["chunks_created"]
        assert took_s < LEASE_S + OVER_S


def _submit_and_kill(service: Running, content: bytes) -> tuple[dict, float]:
    """Submit until a worker could be killed while it was reading; the answer, and when that was."""
    part = "celery_app worker" if service.health()["backend"]["name"] == "celery" else "dramatiq app"
    group = service.pid_of(part)
    for number in range(TRIES):
        answer = service.submit(f"killed-{number}.pdf", content)
        while (task := service.task(answer["id"]))["state"] in {"queued", "running"}:
            if task["progress"] and 0 < task["progress"]["done"] < PAGES:
                # Held still, so that it cannot finish between this look and the kill.
                os.killpg(group, signal.SIGSTOP)
                if service.task(answer["id"])["state"] == "running":
                    os.killpg(group, signal.SIGKILL)
                    return answer, time.monotonic()
                os.killpg(group, signal.SIGCONT)
            time.sleep(0.01)
    raise AssertionError("the document was always read before the worker could be killed")


def _counts(result: dict) -> dict:
    return {name: result[name] for name in ("status", "chunks_created", "pages", "characters")}


def _texts(service: Running, source_id: str) -> list[tuple]:
    return [(chunk["position"], chunk["place"], chunk["text"]) for chunk in service.chunks(source_id)]


def _stored_tokens(service: Running, source_id: str) -> list[int]:
    """The tokens of all chunks in the database, also of those that the API does not show."""
    written = (service.folder / "run.env").read_text("utf-8").splitlines()
    url = next(line.partition("=")[2] for line in written if line.startswith("MONGO_URL="))
    with pymongo.MongoClient(url) as client:
        return [chunk["token"] for chunk in client["onceq"]["chunks"].find({"source_id": source_id})]
