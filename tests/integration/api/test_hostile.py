"""Hostile values in every place that a client fills: a clear refusal or an honest answer, never a 500."""

import asyncio
import json
import random
import time
from urllib.parse import quote

import pytest

from app.api import bodies
from tests.integration.api.service import run

TEXTS = [
    "",
    " ",
    "\x00",
    "../..",
    "a" * 3000,
    "\U0001f600",
    "null",
    "-1",
    "1e400",
    "NaN",
    "$where",
    '{"$gt":""}',
    "http://[::1]/",
    "http://" + "a" * 5000,
    "\u202e",
    "\r\nX: y",
    "0" * 40 + "-" + "0" * 12,
]
VALUES = [None, True, -1, 2**63 - 1, 1.5, 1e308, [], {}, {"$gt": 1}, [[[]]], *TEXTS]
GOOD = {
    "scrape_website": {"url": "http://a.b/", "chatbot_id": "b", "max_pages": 1, "max_depth": 0},
    "process_document": {"document_id": "d", "path": "a.txt", "chatbot_id": "b"},
    "send_notification": {"user_id": "u", "title": "t", "message": "m", "kind": "info"},
    "generate_analytics_report": {"chatbot_id": "b", "days": 1},
    "cleanup_old_data": {"days": 1},
}


def refused(answers):
    """Those that are neither an answer nor a problem document."""
    return [
        (answer.request.method, str(answer.request.url)[:200], answer.status_code)
        for answer in answers
        if answer.status_code >= 500
        or (answer.status_code >= 400 and answer.headers["content-type"] != "application/problem+json")
    ]


def test_in_paths_and_queries(place):
    async def scenario(service):
        answers = []
        for text in TEXTS:
            part = quote(text, safe="")
            for method, path in (
                ("GET", "tasks/{}"),
                ("GET", "tasks/{}/events"),
                ("POST", "tasks/{}/cancel"),
                ("GET", "sources/{}"),
                ("GET", "sources/{}/chunks"),
                ("DELETE", "sources/{}"),
            ):
                answers.append(await service.client.request(method, "/api/v1/" + path.format(part)))
            for name in ("chatbot_id", "source_id", "limit", "cursor", "kind", "status", "q"):
                params = {"q": "x", name: text}
                for path in ("tasks", "sources", "search"):
                    answer = await service.client.get(f"/api/v1/{path}", params=params)
                    answers.append(answer)
        return answers

    assert refused(run(place, scenario)) == []


@pytest.mark.parametrize("name", GOOD)
def test_in_the_arguments_of_a_task(place, name):
    async def scenario(service):
        answers = []
        for parameter in [*GOOD[name], "tenant"]:
            for number, value in enumerate(VALUES):
                body = json.dumps({"kwargs": {**GOOD[name], parameter: value}}).encode()
                headers = {"Content-Type": "application/json", "Idempotency-Key": f"{parameter}-{number}"}
                answers.append(await service.client.post(f"/api/v1/tasks/{name}", content=body, headers=headers))
        return answers

    answers = run(place, scenario)

    assert refused(answers) == []
    assert {answer.status_code for answer in answers[-len(VALUES) :]} <= {400, 422}


def test_in_the_headers(place):
    async def scenario(service):
        answers = []
        for text in TEXTS:
            value = text.replace("\x00", "").replace("\r\n", "").encode()
            for name in ("Idempotency-Key", "Last-Event-ID", "Content-Type", "Authorization"):
                body = {"chatbot_id": "b"}
                answers.append(await service.client.post("/api/v1/reports", json=body, headers={name: value}))
        return answers

    assert refused(run(place, scenario)) == []


def test_in_the_bytes_of_an_upload(place):
    chance = random.Random(7)
    whole = (
        b'--e\r\nContent-Disposition: form-data; name="chatbot_id"\r\n\r\nb\r\n'
        b'--e\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--e--\r\n'
    )

    def damaged():
        body = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            place_in = chance.randrange(len(body))
            body[place_in : place_in + chance.randint(0, 5)] = chance.choice(
                [b"\r\n", b"--e", b'"', b"\x00", b";", b""]
            )
        return bytes(body)

    async def scenario(service):
        headers = {"Content-Type": "multipart/form-data; boundary=e"}
        post = service.client.post
        answers = [await post("/api/v1/documents", content=damaged(), headers=headers) for _ in range(150)]
        incoming = service.context.uploads.root / ".incoming"
        return answers, list(incoming.iterdir())

    answers, left = run(place, scenario)

    assert (refused(answers), left) == ([], [])


def test_a_body_that_stops_on_its_way_is_given_up(place, monkeypatch):
    monkeypatch.setattr(bodies, "SILENCE_S", 1.5)

    async def pieces():
        for piece in (b'{"chatbot_id"', b":", b'"b"'):
            await asyncio.sleep(0.6)  # all of them take longer than the limit, and each stays within it
            yield piece
        await asyncio.sleep(300)

    async def scenario(service):
        headers = {"Content-Type": "application/json"}
        begun_s = time.monotonic()
        answer = await service.client.post("/api/v1/reports", content=pieces(), headers=headers)
        return answer, time.monotonic() - begun_s

    answer, took_s = run(place, scenario)

    assert (answer.status_code, answer.json()["code"], answer.headers["connection"]) == (408, "too-slow", "close")
    assert 3.0 < took_s < 120
