"""The service's part of the benchmark, for the work that it checks."""

import json
from pathlib import Path

import pytest

from app.bench import documents
from queues.cli import main


@pytest.mark.slow
def test_documents_and_requests_are_measured_against_their_ground(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.delenv("BENCH_DOCUMENTS", raising=False)
    monkeypatch.setattr(documents, "PAGES", (1, 3))
    documents.documents(tmp_path)
    monkeypatch.setenv("BENCH_DOCUMENTS", str(tmp_path))
    scenarios = ["--scenario", "folder", "--scenario", "post"]
    contenders = [word for name in ("pypdf", "process_", "notif", "constant") for word in ("--contender", name)]

    code = main(["bench", "--quick", "--with", "app.bench.extension:SERVICE", *scenarios, *contenders, "--json"])

    document = json.loads(capsys.readouterr().out)
    assert (code, document["invalid"]) == (0, [])
    assert {sample["contender"] for sample in document["samples"]} == {
        "process_document, one process",
        "process_document, two processes",
        "a pypdf loop, text alone",
        "a notification",
        "a constant",
    }
    assert [target["what"].partition(":")[0] for target in document["targets"]] == [
        "process_document on a folder",
        "POST /api/v1/tasks",
    ]


def test_only_files_with_text_that_need_no_password_are_read(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("BENCH_DOCUMENTS", raising=False)
    (tmp_path / "made").mkdir()
    monkeypatch.setattr(documents, "PAGES", (2,))
    (made,) = documents.documents(tmp_path / "made")
    (tmp_path / "broken.pdf").write_bytes(made.read_bytes()[:200])
    monkeypatch.setenv("BENCH_DOCUMENTS", str(tmp_path))

    assert documents.documents(tmp_path) == [made]

    made.unlink()
    with pytest.raises(ValueError, match="no PDF with text"):
        documents.documents(tmp_path)
