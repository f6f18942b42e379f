"""`Idempotency-Key` through the whole API."""

import asyncio

import pytest

from tests.integration.api.service import run

BODY = {"user_id": "u1", "title": "Ready", "message": "All is read."}
PATH = "/api/v1/notifications"


def post(service, key, body=BODY, path=PATH, **headers):
    return service.client.post(path, json=body, headers={"Idempotency-Key": key, **headers})


@pytest.mark.parametrize("path", [PATH, "/api/v1/tasks/send_notification"])
def test_a_missing_key_is_refused_where_it_is_required(place, path):
    answer = run(place, lambda service: service.client.post(path, json=BODY if path == PATH else {"kwargs": BODY}))

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-missing")


@pytest.mark.parametrize("path", [PATH, "/api/v1/reports", "/api/v1/websites"])
def test_a_malformed_key_is_refused_everywhere(place, path):
    body = {"url": "http://a.b/", "chatbot_id": "b"} if path == "/api/v1/websites" else {"chatbot_id": "b"}

    answer = run(place, lambda service: post(service, "two words", BODY if path == PATH else body, path))

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-malformed")


def test_the_first_answer_is_replayed_also_when_the_task_has_gone_on(place):
    async def scenario(service):
        first = await post(service, "k")
        await service.work()
        return first, await post(service, '"k"')

    first, again = run(place, scenario)

    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")


def test_another_spelling_of_the_same_body_is_the_same_payload(place):
    async def scenario(service):
        await post(service, "k")
        spelled = {**dict(reversed(BODY.items())), "kind": "info"}
        return await post(service, "k", spelled)

    assert run(place, scenario).headers["idempotency-replayed"] == "true"


def test_another_body_under_the_same_key_is_refused(place):
    async def scenario(service):
        await post(service, "k")
        return await post(service, "k", {**BODY, "title": "Other"})

    answer = run(place, scenario)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")


def test_another_task_under_the_same_key_is_refused(place):
    async def scenario(service):
        await post(service, "k", {"args": ["b"]}, "/api/v1/tasks/generate_analytics_report")
        return await post(service, "k", {"args": ["b"]}, "/api/v1/tasks/process_document")

    assert run(place, scenario).status_code == 422


def test_another_route_and_another_principal_have_keys_of_their_own(place):
    async def scenario(service):
        other = await service.key_of("default")
        return [
            await post(service, "k"),
            await post(service, "k", {"chatbot_id": "b"}, "/api/v1/reports"),
            await post(service, "k", {**BODY, "title": "Other"}, **other),
        ]

    answers = run(place, scenario)

    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert all("idempotency-replayed" not in answer.headers for answer in answers)


def test_while_the_first_runs_the_second_is_told_to_come_back(place):
    async def scenario(service):
        entered, held = asyncio.Event(), asyncio.Event()

        async def slow_count():
            entered.set()
            await held.wait()
            return 0

        service.context.places._unfinished = slow_count
        first = asyncio.create_task(post(service, "k"))
        await asyncio.wait_for(entered.wait(), 5)
        busy = await post(service, "k")
        held.set()
        return busy, await first

    busy, first = run(place, scenario)

    assert (busy.status_code, busy.json()["code"]) == (409, "idempotency-key-in-use")
    assert int(busy.headers["retry-after"]) > 0
    assert first.status_code == 202


def test_of_many_at_once_all_accepted_ones_have_one_task(place):
    async def scenario(service):
        answers = await asyncio.gather(*(post(service, "k") for _ in range(8)))
        return answers, await post(service, "k")

    answers, later = run(place, scenario)

    assert {answer.status_code for answer in answers} <= {202, 409}
    assert {answer.json()["id"] for answer in answers if answer.status_code == 202} == {later.json()["id"]}


@pytest.mark.parametrize("wrong", [{"user_id": "u"}, {**BODY, "kind": "loud"}])
def test_after_a_refusal_the_same_key_may_be_used_with_the_corrected_body(place, wrong):
    async def scenario(service):
        return await post(service, "k", wrong), await post(service, "k")

    refused, accepted = run(place, scenario)

    assert (refused.status_code, accepted.status_code) == (422, 202)


def test_after_a_limit_the_same_key_may_be_used_again(place):
    async def scenario(service):
        await post(service, "a")
        refused = await post(service, "k", {**BODY, "title": "Other"})
        await service.work()
        return refused, await post(service, "k", {**BODY, "title": "Other"})

    refused, accepted = run(place, scenario, concurrent_tasks_limit=1)

    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-tasks")
    assert accepted.status_code == 202
