"""The shim's result backend on Redis keeps what Celery's keeps, in fewer round trips."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import celery
import pytest
import redis

from compat.celery import Celery
from compat.celery.results import RedisBackend
from tests.servers import ValkeyServer
from tests.stage import eventually

SIDES = {"celery": celery.Celery, "shim": Celery}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Celery's own calls of redis-py
EXPIRES_S, FAILURE_EXPIRES_S = 5000, 300


@pytest.fixture(params=SIDES)
def make(request: pytest.FixtureRequest, roomy_valkey: ValkeyServer) -> Iterator[Callable[..., Any]]:
    """Makes the backend of one side."""
    url = f"{roomy_valkey.url.removesuffix('/0')}/195"
    apps = []

    def backend(**settings: Any) -> Any:
        app = SIDES[request.param]("results", broker=url, backend=url, set_as_current=False)
        app.conf.update(result_expires=EXPIRES_S, result_failure_expires=FAILURE_EXPIRES_S, **settings)
        apps.append(app)
        return app.backend

    yield backend
    for app in apps:
        app.close()


def test_the_backend_of_an_application_on_dramatiq_is_ours() -> None:
    app = Celery("results", backend="redis://", set_as_current=False)
    untouched = celery.Celery("untouched", backend="redis://", set_as_current=False)

    assert isinstance(app.backend, RedisBackend)
    assert not isinstance(untouched.backend, RedisBackend)
    app.close()
    untouched.close()


def test_a_success_is_not_hidden_by_what_comes_later(make: Callable[..., Any], name: str) -> None:
    backend = make()
    backend.store_result(name, 1, "SUCCESS")

    backend.store_result(name, ValueError("late"), "FAILURE")
    backend.store_result(name, 2, "SUCCESS")

    assert (backend.get_state(name), backend.get_result(name)) == ("SUCCESS", 1)


@pytest.mark.parametrize("before", ["STARTED", "RETRY", "FAILURE"])
def test_what_came_before_a_success_is_replaced(make: Callable[..., Any], name: str, before: str) -> None:
    backend = make()
    backend.store_result(name, ValueError("early") if before != "STARTED" else {"pid": 1}, before)

    backend.store_result(name, 3, "SUCCESS")

    assert (backend.get_task_meta(name)["status"], backend.get_task_meta(name)["result"]) == ("SUCCESS", 3)


@pytest.mark.parametrize(("state", "expires_s"), [("SUCCESS", EXPIRES_S), ("FAILURE", FAILURE_EXPIRES_S)])
def test_it_is_kept_as_long(make: Callable[..., Any], name: str, state: str, expires_s: int) -> None:
    backend = make()

    backend.store_result(name, ValueError("no"), state) if state == "FAILURE" else backend.store_result(name, 1, state)

    assert expires_s - 60 < backend.client.ttl(backend.get_key_for_task(name)) <= expires_s


def test_it_is_kept_for_ever_where_that_is_wanted(make: Callable[..., Any], name: str) -> None:
    backend = make()
    backend.expires = None

    backend.store_result(name, 1, "SUCCESS")

    assert backend.client.ttl(backend.get_key_for_task(name)) == -1


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_who_waits_is_told_of_each_state_once(make: Callable[..., Any], name: str, serializer: str) -> None:
    backend = make(result_serializer=serializer, accept_content=["json", "pickle"])
    told: list[str] = []
    with redis.Redis.from_url(backend.url) as client, client.pubsub() as listener:
        listener.subscribe(backend.get_key_for_task(name))
        listener.get_message(timeout=10)

        for state, value in (("STARTED", {"pid": 1}), ("SUCCESS", "grün"), ("SUCCESS", "again")):
            backend.store_result(name, value, state)

        def heard() -> bool:
            message = listener.get_message(ignore_subscribe_messages=True, timeout=1)
            if message is not None:
                told.append(backend.decode_result(message["data"])["status"])
            return len(told) >= 2

        eventually(heard, within_s=60)
        assert listener.get_message(ignore_subscribe_messages=True, timeout=0.5) is None
    assert told == ["STARTED", "SUCCESS"]


def test_the_stored_document_is_celerys(make: Callable[..., Any], name: str) -> None:
    backend = make()

    backend.store_result(name, [1, None, "ß"], "SUCCESS")

    document = json.loads(backend.client.get(backend.get_key_for_task(name)))
    assert {key: value for key, value in document.items() if key != "date_done"} == {
        "status": "SUCCESS",
        "result": [1, None, "ß"],
        "traceback": None,
        "children": None,
        "task_id": name,
    }
