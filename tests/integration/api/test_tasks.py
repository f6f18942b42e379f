"""Submitting by name, reading, listing and cancelling tasks; and whose they are."""

import asyncio

import pytest

from tests.integration.api.service import run

NOTIFY = {"user_id": "u1", "title": "Ready", "message": "All is read."}


def keyed(key):
    return {"headers": {"Idempotency-Key": key}}


async def notify(service, key="n1", **changes):
    return await service.client.post("/api/v1/notifications", json={**NOTIFY, **changes}, **keyed(key))


def test_a_notification_is_stored_once_however_often_it_is_submitted(place):
    async def scenario(service):
        answers = [await notify(service, key) for key in ("a", "b")]
        await service.work()
        answers.append(await notify(service, "c"))
        stored = await service.context.stores.notifications.list("default")
        return answers, stored.items

    answers, stored = run(place, scenario)

    assert [answer.json()["decision"] for answer in answers] == ["executed", "joined", "replayed"]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [(each.user_id, each.title) for each in stored] == [("u1", "Ready")]


def test_the_short_and_the_full_name_and_the_own_route_are_the_same_work(place):
    async def scenario(service):
        own = await service.client.post("/api/v1/reports", json={"chatbot_id": "bot_1"})
        body = {"args": ["bot_1"], "kwargs": {"days": 7}}
        paths = ["generate_analytics_report", "app.tasks.generate_analytics_report"]
        named = [await service.client.post(f"/api/v1/tasks/{path}", json=body, **keyed(path)) for path in paths]
        await service.work()
        return [own, *named], (await service.client.get(own.headers["location"])).json()

    answers, task = run(place, scenario)

    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert len({answer.json()["key"] for answer in answers}) == 1
    assert (task["state"], task["result"]["days"], task["submissions"]) == ("completed", 7, 3)


@pytest.mark.parametrize(
    ("name", "body", "pointers"),
    [
        ("send_notification", {"args": [1]}, ["/args/0", "/kwargs/title", "/kwargs/message"]),
        ("send_notification", {"kwargs": {**NOTIFY, "kind": "loud"}}, ["/kwargs/kind"]),
        ("send_notification", {"kwargs": {**NOTIFY, "tenant": "other"}}, ["/kwargs/tenant"]),
        ("send_notification", {"kwargs": {**NOTIFY, "title": "a\r\nBcc: b"}}, ["/kwargs/title"]),
        ("send_notification", {"args": ["u"], "kwargs": NOTIFY}, ["/kwargs/user_id"]),
        ("send_notification", {"args": ["u"] * 20}, ["/args"]),
        ("generate_analytics_report", {"args": ["bot_1", True]}, ["/args/1"]),
        ("generate_analytics_report", {"args": ["bot_1", "7"]}, ["/args/1"]),
        ("cleanup_old_data", {"args": [0]}, ["/args/0"]),
        ("scrape_website", {"args": ["file:///etc/passwd", "bot_1"]}, ["/args/0"]),
        ("scrape_website", {"args": ["http://u:p@host/", "bot_1"]}, ["/args/0"]),
        ("scrape_website", {"args": ["http://host/", "bot_1", 501]}, ["/args/2"]),
        ("send_notification", {"kwargs": NOTIFY, "delay": -1}, ["/delay"]),
        ("send_notification", {"kwargs": NOTIFY, "delay": 31 * 86_400}, ["/delay"]),
        ("send_notification", {"kwargs": NOTIFY, "eta": "2031-03-01T09:00:00"}, ["/eta"]),
        ("send_notification", {"kwargs": NOTIFY, "eta": "2999-03-01T09:00:00Z"}, ["/eta"]),
        ("send_notification", {"kwargs": NOTIFY, "delay": 5, "eta": "2001-03-01T09:00:00Z"}, ["/eta"]),
        ("send_notification", {"kwargs": NOTIFY, "expires": 0}, ["/expires"]),
        ("send_notification", {"kwargs": NOTIFY, "priority": 10}, ["/priority"]),
        ("send_notification", {"kwargs": NOTIFY, "retries": 10}, ["/retries"]),
    ],
)
def test_arguments_that_do_not_fit_are_named(place, name, body, pointers):
    async def scenario(service):
        answer = await service.client.post(f"/api/v1/tasks/{name}", json=body, **keyed("k"))
        return answer, (await service.client.get("/api/v1/tasks")).json()["items"]

    answer, submitted = run(place, scenario)

    assert (answer.status_code, submitted) == (422, [])
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/etc/passwd", "missing.txt", "", ".", "\u202e", ".incoming/../../x", "a" * 1025]
)
def test_no_file_outside_of_the_uploads_can_be_named(place, path):
    async def scenario(service):
        body = {"args": ["doc_123", path, "bot_1"]}
        return await service.client.post("/api/v1/tasks/process_document", json=body, **keyed("k"))

    answer = run(place, scenario)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] in {"/kwargs/path", "/args/1"}


def test_an_uploaded_document_can_be_processed_by_name(place):
    async def scenario(service):
        upload = await service.client.post(
            "/api/v1/documents", files={"file": ("a.txt", b"some text")}, data={"chatbot_id": "bot_1"}
        )
        source = (await service.client.get(upload.json()["links"]["source"])).json()
        body = {"args": [source["id"], source["path"]], "kwargs": {"chatbot_id": "bot_1"}}
        named = await service.client.post("/api/v1/tasks/process_document", json=body, **keyed("k"))
        other = {"args": [source["id"], source["path"], "bot_2"]}
        wrong = await service.client.post("/api/v1/tasks/process_document", json=other, **keyed("l"))
        return upload.json(), named.json(), wrong

    upload, named, wrong = run(place, scenario)

    assert (named["id"], named["decision"]) == (upload["id"], "joined")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/kwargs/chatbot_id")


def test_a_delayed_task_waits(place):
    async def scenario(service):
        body = {"kwargs": NOTIFY, "delay": 3600}
        accepted = await service.client.post("/api/v1/tasks/send_notification", json=body, **keyed("k"))
        await service.work()
        return (await service.client.get(accepted.headers["location"])).json()["state"]

    assert run(place, scenario) == "queued"


def test_a_task_that_is_late_expires_and_its_eta_may_be_past(place):
    async def scenario(service):
        late = {"kwargs": NOTIFY, "eta": "2001-03-01T09:00:00Z", "expires": 0.001}
        accepted = await service.client.post("/api/v1/tasks/send_notification", json=late, **keyed("k"))
        await asyncio.sleep(0.01)
        await service.work()
        return (await service.client.get(accepted.headers["location"])).json()

    task = run(place, scenario)

    assert (task["state"], task["error"]["code"], task["attempt"]) == ("failed", "expired", 0)


def test_a_website_that_was_removed_is_read_again(place):
    async def scenario(service):
        body = {"url": "HTTP://Example.org:80/#top", "chatbot_id": "bot_1"}
        first = (await service.client.post("/api/v1/websites", json=body)).json()
        same = (await service.client.post("/api/v1/websites", json={**body, "url": "http://example.org/"})).json()
        await service.client.delete(first["links"]["source"])
        again = (await service.client.post("/api/v1/websites", json=body)).json()
        return first, same, again

    first, same, again = run(place, scenario)

    assert (same["id"], same["source_id"], same["decision"]) == (first["id"], first["source_id"], "joined")
    assert (again["decision"], again["id"] != first["id"]) == ("executed", True)


def test_a_queued_task_is_cancelled_once_and_for_all(place):
    async def scenario(service):
        link = (await notify(service)).headers["location"]
        cancelled = await service.client.post(f"{link}/cancel")
        again = await service.client.delete(link)
        await service.work()
        stored = await service.context.stores.notifications.list("default")
        return cancelled, again, (await service.client.get(link)).json(), stored.items

    cancelled, again, task, stored = run(place, scenario)

    assert (cancelled.status_code, again.status_code) == (202, 202)
    assert (task["state"], stored) == ("failed", ())


def test_a_task_that_has_ended_cannot_be_cancelled(place):
    async def scenario(service):
        link = (await notify(service)).headers["location"]
        await service.work()
        return await service.client.post(f"{link}/cancel")

    answer = run(place, scenario)

    assert (answer.status_code, answer.json()["code"]) == (409, "already-ended")


@pytest.mark.parametrize("task_id", ["x", "0" * 40 + "-" + "0" * 12, "%00", "..", "a" * 2000])
def test_an_id_that_is_none_is_not_found(place, task_id):
    async def scenario(service):
        link = f"/api/v1/tasks/{task_id}"
        return [
            (await service.client.get(link)).status_code,
            (await service.client.get(f"{link}/events")).status_code,
            (await service.client.post(f"{link}/cancel", headers={"Idempotency-Key": "k"})).status_code,
        ]

    # ".." is resolved by the client: it asks for another path.
    assert set(run(place, scenario)) <= {404, 405, 422} if task_id == ".." else {404}


def test_pages_of_a_list_hold_each_task_once(place):
    async def scenario(service):
        for number in range(7):
            await notify(service, str(number), title=f"number {number}")
        pages, cursor = [], ""
        while cursor is not None:
            query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
            page = (await service.client.get("/api/v1/tasks", params=query)).json()
            pages.append([item["arguments"]["title"] for item in page["items"]])
            cursor = page["next_cursor"]
        return pages

    pages = run(place, scenario)

    assert [len(page) for page in pages] == [3, 3, 1]
    assert sorted(title for page in pages for title in page) == [f"number {number}" for number in range(7)]


def test_a_cursor_serves_only_its_own_list(place):
    async def scenario(service):
        for number in range(2):
            await notify(service, str(number), title=f"number {number}")
        cursor = (await service.client.get("/api/v1/tasks?limit=1")).json()["next_cursor"]
        tampered = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
        other = await service.key_of("other")
        asked = [
            service.client.get("/api/v1/tasks", params={"cursor": cursor}),
            service.client.get("/api/v1/tasks", params={"cursor": tampered}),
            service.client.get("/api/v1/sources", params={"cursor": cursor}),
            service.client.get("/api/v1/tasks", params={"cursor": cursor, "chatbot_id": "bot_1"}),
            service.client.get("/api/v1/tasks", params={"cursor": cursor}, headers=other),
        ]
        return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert run(place, scenario) == [200, 400, 400, 400, 400]


def test_what_is_another_tenants_is_not_there(place):
    async def scenario(service):
        other = await service.key_of("other")
        upload = await service.client.post(
            "/api/v1/documents", files={"file": ("a.txt", b"some text")}, data={"chatbot_id": "bot_1"}
        )
        await service.work()
        task, source = upload.json()["links"]["self"], upload.json()["links"]["source"]
        asked = [
            await service.client.get(task, headers=other),
            await service.client.get(f"{task}/events", headers=other),
            await service.client.post(f"{task}/cancel", headers=other),
            await service.client.get(source, headers=other),
            await service.client.get(f"{source}/chunks", headers=other),
            await service.client.delete(source, headers=other),
        ]
        lists = [await service.client.get(f"/api/v1/{name}", headers=other) for name in ("tasks", "sources")]
        found = await service.client.get("/api/v1/search?q=text", headers=other)
        path = (await service.client.get(source)).json()["path"]
        body = {"args": [upload.json()["source_id"], path, "bot_1"]}
        headers = {**other, "Idempotency-Key": "k"}
        stolen = await service.client.post("/api/v1/tasks/process_document", json=body, headers=headers)
        return asked, lists, found.json(), stolen, (await service.client.get(source)).status_code

    asked, lists, found, stolen, mine = run(place, scenario)

    assert {answer.status_code for answer in asked} == {404}
    assert [answer.json()["items"] for answer in lists] == [[], []]
    assert (found["hits"], stolen.status_code, mine) == ([], 422, 200)


def test_two_tenants_asking_the_same_get_work_of_their_own(place):
    async def scenario(service):
        headers = {**(await service.key_of("other")), "Idempotency-Key": "n1"}
        mine = (await notify(service, "n1")).json()
        theirs = (await service.client.post("/api/v1/notifications", json=NOTIFY, headers=headers)).json()
        await service.work()
        owners = [
            len((await service.context.stores.notifications.list(tenant)).items) for tenant in ("default", "other")
        ]
        return mine, theirs, owners

    mine, theirs, owners = run(place, scenario)

    assert (theirs["decision"], mine["key"] != theirs["key"], owners) == ("executed", True, [1, 1])
