"""Keys: the first one, scopes, limits, and what nobody without one sees."""

import asyncio

import pytest

from tests.integration.api.service import run, serving


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic abc", "Bearer ", "bearer\tx"])
@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1", "/api/v1/", "/api/v1/nothing"])
def test_without_a_key_nothing_is_shown(place, header, path):
    async def scenario(service):
        headers = {} if header is None else {"Authorization": header}
        service.client.headers.pop("Authorization")
        return await service.client.get(path, headers=headers)

    answer = run(place, scenario)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_first_start_makes_one_key_and_shows_it_once(place):
    async def scenario():
        async with serving(place, api_key=None) as one, serving(place, api_key=None) as two:
            announced = [*one.announced, *two.announced]
            headers = {"Authorization": f"Bearer {announced[0]}"}
            answers = [await each.client.get("/api/v1/tasks", headers=headers) for each in (one, two)]
            stored = (await one.context.stores.api_keys.list("default")).items
        async with serving(place, api_key=None) as later:
            return announced, answers, stored, later.announced

    announced, answers, stored, later = asyncio.run(scenario())

    assert (len(announced), later) == (1, [])
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(announced[0]) > 40
    assert announced[0] not in repr(stored)


def test_processes_that_start_at_once_make_one_key_together(place):
    async def start():
        async with serving(place, api_key=None) as service:
            return service.announced

    async def scenario():
        return await asyncio.gather(*(start() for _ in range(4)))

    assert sum(len(announced) for announced in asyncio.run(scenario())) == 1


def test_a_preset_key_opens_and_no_other_is_made(place):
    async def scenario(service):
        count = await service.context.stores.api_keys.count()
        return (await service.client.get("/api/v1/tasks")).status_code, count, service.announced

    assert run(place, scenario) == (200, 0, [])


def test_a_revoked_key_opens_nothing(place):
    async def scenario(service):
        headers = await service.key_of("other")
        stored = (await service.context.stores.api_keys.list("other")).items[0]
        await service.context.stores.api_keys.revoke("other", stored.id)
        return (await service.client.get("/api/v1/tasks", headers=headers)).status_code

    assert run(place, scenario) == 401


def test_a_reading_key_cannot_write(place):
    async def scenario(service):
        headers = {**(await service.key_of("other", ("read",))), "Idempotency-Key": "k"}
        reads = (await service.client.get("/api/v1/tasks", headers=headers)).status_code
        files, data = {"file": ("a.txt", b"x")}, {"chatbot_id": "b"}
        return reads, [
            await service.client.post("/api/v1/documents", files=files, data=data, headers=headers),
            await service.client.post("/api/v1/reports", json={"chatbot_id": "b"}, headers=headers),
            await service.client.post("/api/v1/tasks/cleanup_old_data", json={}, headers=headers),
            await service.client.post("/api/v1/reports", content=b"no JSON", headers=headers),
            await service.client.delete("/api/v1/sources/x", headers=headers),
        ]

    reads, writes = run(place, scenario)

    assert reads == 200
    assert {(answer.status_code, answer.json()["code"]) for answer in writes} == {(403, "insufficient-scope")}


def test_only_an_admin_may_clean_up_for_everyone(place):
    async def scenario(service):
        headers = {**(await service.key_of("other")), "Idempotency-Key": "k"}
        path = "/api/v1/tasks/cleanup_old_data"
        refused = await service.client.post(path, json={}, headers=headers)
        allowed = await service.client.post(path, json={}, headers={"Idempotency-Key": "k"})
        return refused.status_code, allowed.status_code

    assert run(place, scenario) == (403, 202)


def test_a_key_for_one_chatbot_touches_no_other(place):
    async def scenario(service):
        mine = await service.upload(b"text of one", "one.txt", "bot_1")
        headers = await service.key_of("default", chatbot_id="bot_2")
        own = await service.upload(b"text of two", "two.txt", "bot_2", headers=headers)
        await service.work()
        foreign = await service.upload(b"text", "three.txt", "bot_1", headers=headers)
        sources = (await service.client.get("/api/v1/sources", headers=headers)).json()["items"]
        hits = (await service.client.get("/api/v1/search?q=text", headers=headers)).json()["hits"]
        hidden = [
            (await service.client.get(mine.json()["links"][name], headers=headers)).status_code
            for name in ("self", "source")
        ]
        return own.status_code, foreign.status_code, [each["name"] for each in sources], hits, hidden

    own, foreign, names, hits, hidden = run(place, scenario)

    assert (own, foreign, names, hidden) == (202, 403, ["two.txt"], [404, 404])
    assert [hit["citation"]["name"] for hit in hits] == ["two.txt"]


def test_too_many_requests_are_told_when_to_come_back(place):
    async def scenario(service):
        answers = [await service.client.get("/api/v1/tasks") for _ in range(4)]
        return answers, await service.client.get("/api/health")

    answers, health = run(place, scenario, rate_limit_per_minute=3)

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 0 < int(answers[3].headers["retry-after"]) <= 60
    assert answers[0].headers["ratelimit"].startswith('"requests";r=2;t=')
    assert answers[3].headers["ratelimit-policy"] == '"requests";q=3;w=60'
    assert health.status_code != 429
