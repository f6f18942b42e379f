"""Uploading documents: once, again, at the same time, wrong, and half."""

import asyncio
import hashlib

import pytest

from tests.integration.api.service import eventually, run

TEXT = b"Goods may be returned within thirty days.\n\nShipping takes two days.\n"


def drafts(service):
    folder = service.context.uploads.root / ".incoming"
    return list(folder.iterdir()) if folder.exists() else []


def files(service):
    return [path for path in service.context.uploads.root.rglob("*") if path.is_file()]


def test_an_upload_becomes_a_task_a_source_and_chunks(place):
    async def scenario(service):
        accepted = await service.upload(TEXT)
        before = (await service.client.get(f"/api/v1/sources/{accepted.json()['source_id']}")).json()
        await service.work()
        task = (await service.client.get(accepted.headers["location"])).json()
        source = (await service.client.get(f"/api/v1/sources/{accepted.json()['source_id']}")).json()
        chunks = (await service.client.get(f"/api/v1/sources/{source['id']}/chunks")).json()
        return accepted, before, task, source, chunks

    accepted, before, task, source, chunks = run(place, scenario)

    assert accepted.status_code == 202
    assert accepted.json()["decision"] == "executed"
    assert accepted.headers["location"] == f"/api/v1/tasks/{accepted.json()['id']}"
    assert before["status"] == "pending"
    assert (task["state"], task["result"]["status"], task["attempt"]) == ("completed", "success", 1)
    assert (source["status"], source["name"], source["content_hash"]) == (
        "ready",
        "notes.txt",
        hashlib.sha256(TEXT).hexdigest(),
    )
    assert "thirty days" in chunks["items"][0]["text"]


def test_three_uploads_of_one_file_at_once_are_one_run(place):
    async def scenario(service):
        answers = await asyncio.gather(*(service.upload(TEXT) for _ in range(3)))
        await service.work()
        again = await service.upload(TEXT)
        sources = (await service.client.get("/api/v1/sources")).json()["items"]
        return answers, again, sources, len(files(service)), service.queue.backend.depth_messages()

    answers, again, sources, file_count, depth = run(place, scenario)

    assert {answer.status_code for answer in [*answers, again]} == {202}
    assert len({answer.json()["id"] for answer in [*answers, again]}) == 1
    assert sorted(answer.json()["decision"] for answer in answers) == ["executed", "joined", "joined"]
    assert (again.json()["decision"], again.json()["state"]) == ("replayed", "completed")
    assert (len(sources), file_count, depth) == (1, 1, 0)


def test_another_chatbot_gets_a_document_of_its_own(place):
    async def scenario(service):
        return [(await service.upload(TEXT, chatbot_id=bot)).json()["source_id"] for bot in ("bot_1", "bot_2")]

    one, two = run(place, scenario)

    assert one != two


def test_a_removed_document_can_be_uploaded_again(place):
    async def scenario(service):
        first = (await service.upload(TEXT)).json()
        await service.work()
        removed = await service.client.delete(f"/api/v1/sources/{first['source_id']}")
        gone = await service.client.get(f"/api/v1/sources/{first['source_id']}")
        second = (await service.upload(TEXT)).json()
        await service.work()
        source = (await service.client.get(f"/api/v1/sources/{second['source_id']}")).json()
        return first, removed.status_code, gone.status_code, second, source

    first, removed, gone, second, source = run(place, scenario)

    assert (removed, gone) == (204, 404)
    assert first["id"] != second["id"]
    assert (second["decision"], source["status"]) == ("executed", "ready")


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        ("program.exe", b"MZ", 415, "unsupported-type"),
        ("report.pdf", b"this is no PDF", 415, "unsupported-type"),
        ("report.docx", b"PK\x03\x04 no archive", 202, None),
        ("notes.txt", b"", 422, "empty-file"),
        ("notes.txt", b"\xef\xbb\xbf", 422, "empty-file"),
        ("..", b"text", 422, "invalid-request"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_leaves_nothing(place, name, data, status, code):
    async def scenario(service):
        answer = await service.upload(data, name)
        sources = (await service.client.get("/api/v1/sources")).json()["items"]
        return answer, sources, drafts(service), files(service)

    answer, sources, half, kept = run(place, scenario)

    assert answer.status_code == status
    assert half == []
    if code is not None:
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["code"], sources, kept) == (code, [], [])


@pytest.mark.parametrize("extra", [1, 10, 300_000])
def test_a_file_over_the_limit_is_refused_and_leaves_nothing(place, extra):
    async def scenario(service):
        answer = await service.upload(b"x" * (100_000 + extra))
        return answer, drafts(service), files(service)

    answer, half, kept = run(place, scenario, max_upload_bytes=100_000)

    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert "100000 bytes" in answer.json()["detail"]
    assert (half, kept) == ([], [])


def test_a_file_of_exactly_the_limit_is_taken(place):
    async def scenario(service):
        return (await service.upload(b"x" * 100_000)).status_code

    assert run(place, scenario, max_upload_bytes=100_000) == 202


def test_an_endless_upload_is_cut_off_at_the_limit(place):
    sent = 0

    async def endless():
        nonlocal sent
        yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        while True:
            sent += 10_000
            yield b"x" * 10_000

    async def scenario(service):
        headers = {"Content-Type": "multipart/form-data; boundary=edge"}
        answer = await service.client.post("/api/v1/documents", content=endless(), headers=headers)
        return answer, drafts(service)

    answer, half = run(place, scenario, max_upload_bytes=50_000)

    assert (answer.status_code, half) == (413, [])
    assert sent > 50_000


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({}, "/chatbot_id"),
        ({"chatbot_id": "no spaces"}, "/chatbot_id"),
        ({"chatbot_id": "b", "tenant": "x"}, "/tenant"),
    ],
)
def test_wrong_fields_are_named(place, fields, pointer):
    async def scenario(service):
        files = {"file": ("a.txt", TEXT)}
        return await service.client.post("/api/v1/documents", files=files, data=fields)

    answer = run(place, scenario)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_the_same_key_with_another_file_is_refused_and_with_the_same_replayed(place):
    async def scenario(service):
        headers = {"Idempotency-Key": "upload-1"}
        return [await service.upload(data, headers=headers) for data in (TEXT, TEXT, b"other")]

    first, again, other = run(place, scenario)

    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 422)
    assert again.headers["idempotency-replayed"] == "true"
    assert first.json() == again.json()
    assert other.json()["code"] == "idempotency-key-reused"


def test_when_the_task_limit_is_reached_an_upload_leaves_nothing(place):
    async def scenario(service):
        first = await service.upload(TEXT)
        second = await service.upload(b"another text")
        sources = (await service.client.get("/api/v1/sources")).json()["items"]
        count = len(files(service))
        await service.work()
        third = await service.upload(b"another text")
        return first, second, len(sources), count, third

    first, second, sources, count, third = run(place, scenario, concurrent_tasks_limit=1)

    assert (first.status_code, second.status_code, third.status_code) == (202, 429, 202)
    assert int(second.headers["retry-after"]) > 0
    assert (sources, count) == (1, 1)


def test_an_unreadable_document_that_is_uploaded_again_is_answered_without_reading(place):
    async def scenario(service):
        first = (await service.upload(b"%PDF-1.7 broken", "broken.pdf")).json()
        await service.work()
        second = (await service.upload(b"%PDF-1.7 broken", "broken.pdf")).json()
        return first, second

    first, second = run(place, scenario)

    assert (second["decision"], second["id"], second["state"]) == ("replayed", first["id"], "failed")
    assert second["source_id"] == first["source_id"]


def test_a_document_that_cannot_be_read_says_why(place):
    async def scenario(service):
        accepted = (await service.upload(b"%PDF-1.7 broken", "broken.pdf")).json()
        await service.work()
        task = (await service.client.get(accepted["links"]["self"])).json()
        source = await eventually(
            lambda: service.client.get(accepted["links"]["source"]), lambda answer: answer.json()["error"]
        )
        return task, source.json()

    task, source = run(place, scenario)

    assert (task["state"], task["error"]["code"]) == ("failed", "corrupt_file")
    assert (source["status"], source["error"]["code"]) == ("failed", "corrupt_file")
