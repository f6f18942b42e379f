"""`GET /metrics` of the API: what its submissions came to, for those who may look at the machine."""

import asyncio

import httpx
import pytest

from app.api.routes.metrics import FORWARDED, is_within
from app.main import create_app
from app.settings import Settings
from tests.integration.api.service import KEY, Place, run
from tests.scrape import Scrape


def asked_from(place: Place, host: str, **changes: str) -> httpx.Response:
    """The answer to a caller at that address, who has no key."""

    async def scenario(service):
        transport = httpx.ASGITransport(service.app, client=(host, 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/metrics")

    return run(place, scenario, **changes)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may_read_them_without_a_key(place: Place, host: str):
    answer = asked_from(place, host)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "process_cpu_seconds_total" in Scrape(answer.text).samples


@pytest.mark.parametrize("host", ["10.0.0.1", "192.0.2.7", "2001:db8::1", "::ffff:10.0.0.1", "localhost", ""])
def test_for_all_others_there_is_no_such_page(place: Place, host: str):
    answer = asked_from(place, host)

    assert answer.status_code == 404
    assert answer.json()["code"] == "not-found"


def test_networks_may_be_let_in(place: Place):
    answers = [asked_from(place, host, metrics_networks="10.0.0.0/8") for host in ("10.1.2.3", "127.0.0.1")]

    assert [answer.status_code for answer in answers] == [200, 404]


@pytest.mark.parametrize("header", FORWARDED)
def test_what_a_proxy_forwarded_is_not_answered(place: Place, header: str):
    answer = run(place, lambda service: service.client.get("/metrics", headers={header: "127.0.0.1"}))

    assert answer.status_code == 404


def test_submissions_are_counted_by_decision(place: Place):
    async def scenario() -> list[float]:
        app = create_app(place.settings(), announce=lambda _: None)
        transport, headers = httpx.ASGITransport(app), {"Authorization": f"Bearer {KEY}"}
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client,
        ):
            before = Scrape((await client.get("/metrics")).text)
            for _ in range(2):
                sent = await client.post(
                    "/api/v1/documents", files={"file": ("a.txt", b"some text")}, data={"chatbot_id": "bot_1"}
                )
                assert sent.status_code == 202
            after = Scrape((await client.get("/metrics")).text)
        counted = ("executed", "joined")
        name = "onceq_tasks_submitted_total"
        return [after.total(name, decision=word) - before.total(name, decision=word) for word in counted]

    assert asyncio.run(scenario()) == [1, 1]


@pytest.mark.parametrize("text", ["10.0.0.0/99", "all", "127.0.0.1/8"])
def test_a_network_that_is_none_is_refused_at_the_start(text: str):
    with pytest.raises(ValueError, match="metrics_networks"):
        Settings(metrics_networks=text)


def test_nobody_is_within_no_network():
    assert not is_within("127.0.0.1", Settings(metrics_networks="").metrics_allowed)
