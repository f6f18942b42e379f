"""What every answer has: problem documents, headers, the description, the page about it, and health."""

import asyncio
import json
import logging
import re

import httpx
import pytest

from tests.integration.api.service import run, serving
from tests.servers import MongoServer, ValkeyServer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/api/nothing", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/docs", 404),
        ("GET", "/api/v1/tasks/", 404),
        ("GET", "/api/health/", 404),
        ("PUT", "/api/v1/tasks", 405),
        ("POST", "/api/health", 405),
        ("GET", "/api/v1/tasks?limit=many", 422),
        ("GET", "/api/v1/sources?kind=x", 422),
        ("GET", "/api/v1/sources/x", 404),
    ],
)
def test_every_error_is_a_problem_document(place, method, path, status):
    answer = run(place, lambda service: service.client.request(method, path))

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"chatbot_id":"\\u0000"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"days":1' + b"0" * 400 + b"}", "application/json", 400),
        (b'{"a":"' + b"x" * 1_100_000 + b'"}', "application/json", 413),
        (b"chatbot_id=b", "application/x-www-form-urlencoded", 415),
        (b'{"chatbot_id":"b"}', "text/plain", 415),
        (b'{"chatbot_id":"b"}', "", 415),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"chatbot_id":"b"}', "application/json; charset=utf-8", 202),
    ],
)
def test_a_body_is_read_within_limits(place, content, content_type, status):
    async def scenario(service):
        headers = {"Content-Type": content_type}
        return await service.client.post("/api/v1/reports", content=content, headers=headers)

    assert run(place, scenario).status_code == status


def test_an_unexpected_error_tells_nothing_but_its_instance(place, caplog):
    async def scenario(service):
        async def fail():
            raise RuntimeError("the password is hunter2")

        service.app.add_api_route("/api/v1/fails", fail)
        return await service.client.get("/api/v1/fails")

    with caplog.at_level(logging.ERROR):
        answer = run(place, scenario)

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "hunter2" not in answer.text
    assert answer.json()["instance"] in caplog.text
    assert "hunter2" in caplog.text


@pytest.mark.parametrize("path", ["/api/health", "/api/docs", "/api/openapi.json", "/api/v1/tasks", "/nothing"])
def test_every_answer_has_the_security_headers(place, path):
    async def scenario(service):
        return await service.client.get(path, headers={"Origin": "https://evil.example"})

    headers = run(place, scenario).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers


def test_the_description_is_complete(place):
    async def scenario(service):
        service.client.headers.pop("Authorization")
        return (await service.client.get("/api/openapi.json")).json()

    api = run(place, scenario)

    operations = {(method, path) for path, item in api["paths"].items() for method in item}
    assert {
        ("post", "/api/v1/documents"),
        ("post", "/api/v1/websites"),
        ("post", "/api/v1/reports"),
        ("post", "/api/v1/notifications"),
        ("post", "/api/v1/tasks/{name}"),
        ("get", "/api/v1/tasks/{task_id}/events"),
        ("get", "/api/v1/search"),
        ("get", "/api/health"),
    } <= operations
    for reference in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(api)):
        assert reference in api["components"]["schemas"]
    for path, item in api["paths"].items():
        for operation in item.values():
            if path.startswith("/api/v1"):
                assert {"401", "404", "429", "503"} <= set(operation["responses"])
                assert "application/problem+json" in operation["responses"]["422"]["content"]
                assert operation["security"]


def test_the_page_loads_nothing_from_outside(place):
    answer = run(place, lambda service: service.client.get("/api/docs"))

    nonce = re.search(r"script-src 'nonce-([\w-]+)'", answer.headers["content-security-policy"])
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert nonce is not None
    assert answer.text.count(f'nonce="{nonce[1]}"') == 2
    assert not re.search(r"https?://|//cdn|@import|innerHTML", answer.text)


def test_health_is_degraded_without_a_worker_and_says_so(place):
    answer = run(place, lambda service: service.client.get("/api/health"))

    body = answer.json()
    assert answer.status_code == 503
    assert body.pop("workers") == {"status": "unhealthy", "count": 0}
    assert body == {
        "status": "degraded",
        "database": "healthy",
        "connection_pool": {"status": "healthy", "max_pool_size": 100, "min_pool_size": 0},
        "scalability": {"concurrent_tasks_limit": 1000, "rate_limit_per_minute": 10_000},
        "redis": "healthy",
        "backend": {"name": "memory", "status": "healthy"},
    }


def test_health_tells_which_server_is_gone_and_when_it_is_back(place, tmp_path):
    async def scenario():
        async with serving(place) as service:
            seen = []
            for server, part in ((valkey, "redis"), (mongo, "database")):
                await asyncio.to_thread(server.kill)
                seen.append((await service.client.get("/api/health")).json()[part])
                await asyncio.to_thread(server.restart)
                async with asyncio.timeout(60):
                    for _ in range(600):
                        if (word := (await service.client.get("/api/health")).json()[part]) == "healthy":
                            break
                        await asyncio.sleep(0.1)
                seen.append(word)
            return seen

    with ValkeyServer(tmp_path / "v") as valkey, MongoServer(tmp_path / "m") as mongo:
        place = place.__class__(tmp_path, valkey.url, mongo.url, place.database, place.prefix)
        seen = asyncio.run(scenario())

    assert seen == ["unhealthy", "healthy", "unhealthy", "healthy"]


def test_without_redis_a_request_is_refused_and_may_be_repeated(place, tmp_path):
    with ValkeyServer(tmp_path / "v") as gone:
        url = gone.url

    async def scenario(service):
        return await service.client.get("/api/v1/tasks")

    place = place.__class__(tmp_path, url, place.mongo_url, place.database, place.prefix)
    answer: httpx.Response = run(place, scenario)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "retry-after" in answer.headers


def test_an_upload_while_the_database_is_gone_is_taken_when_it_is_sent_again(place, tmp_path):
    async def scenario():
        async with serving(place) as service:
            await asyncio.to_thread(mongo.kill)
            refused = await service.upload(b"some text", headers={"Idempotency-Key": "k"})
            await asyncio.to_thread(mongo.restart)
            accepted = await service.upload(b"some text", headers={"Idempotency-Key": "k"})
            await service.work()
            return refused, accepted, (await service.client.get(accepted.json()["links"]["source"])).json()

    with MongoServer(tmp_path / "m") as mongo:
        place = place.__class__(tmp_path, place.valkey_url, mongo.url, place.database, place.prefix)
        refused, accepted, source = asyncio.run(scenario())

    assert (refused.status_code, accepted.status_code) == (503, 202)
    assert refused.headers["retry-after"]
    assert (source["status"], source["chunks_created"]) == ("ready", 1)


def test_a_task_whose_history_could_not_be_written_is_found_by_its_owner_and_written_later(place, tmp_path):
    body = {"user_id": "u", "title": "t", "message": "m"}

    async def scenario():
        async with serving(place) as service:
            await asyncio.to_thread(mongo.kill)
            headers = {"Idempotency-Key": "k"}
            accepted = await service.client.post("/api/v1/notifications", json=body, headers=headers)
            while_down = await service.client.get(accepted.headers["location"])
            await asyncio.to_thread(mongo.restart)
            other = await service.client.get(accepted.headers["location"], headers=await service.key_of("other"))
            async with asyncio.timeout(60):
                for _ in range(600):
                    if listed := (await service.client.get("/api/v1/tasks")).json()["items"]:
                        break
                    await asyncio.sleep(0.1)
            return accepted, while_down, other, listed

    with MongoServer(tmp_path / "m") as mongo:
        place = place.__class__(tmp_path, place.valkey_url, mongo.url, place.database, place.prefix)
        accepted, while_down, other, listed = asyncio.run(scenario())

    assert (accepted.status_code, while_down.status_code, other.status_code) == (202, 200, 404)
    assert while_down.json()["state"] == "queued"
    assert [each["id"] for each in listed] == [accepted.json()["id"]]
