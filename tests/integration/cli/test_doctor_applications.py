"""`queues doctor MODULE:QUEUE`: what an application's settings do to the guarantee."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from queues.idempotency.state import Begin
from queues.message import Message
from tests.integration.cli.conftest import Run, Shop
from tests.sentinels import Sentinels

Examine = Callable[..., dict[str, str]]
TASKS = """
from queues import Backoff, Once, Tasks, connect
tasks = Tasks(namespace="shop")

@tasks.task(once=Once({once}), backoff=Backoff({backoff}), max_retries=3)
def charge(order: str) -> str:
    return order
"""
CELERY = """
queue = connect(tasks, backend="celery", broker_url={broker!r}, result_backend={result!r})
app = queue.backend.app
"""
DRAMATIQ = """
queue = connect(tasks, backend="dramatiq", broker_url={broker!r})
broker = queue.backend.broker
actor = broker.actors["shop.charge"]
"""
EARLY = "app.conf.task_annotations = {'*': {'acks_late': False}}\napp.tasks['shop.charge'].annotate()"
RABBIT = "amqp://guest:guest@127.0.0.1:1//"
FOREIGN_CELERY = """
import os
from celery import Celery
from queues.backends.celery import IdempotentTask
app = Celery("own", broker=os.environ["REDIS_URL"], set_as_current=False)
app.conf.idempotency_prefix = os.environ["QUEUES_PREFIX"]

@app.task(base=IdempotentTask, name="own.charge", shared=False, **{options})
def charge(order):
    return order
"""
FOREIGN_DRAMATIQ = """
import os
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from queues.backends.dramatiq import Idempotency
broker = RedisBroker(url=os.environ["REDIS_URL"])
broker.add_middleware(Idempotency(os.environ["REDIS_URL"], prefix=os.environ["QUEUES_PREFIX"]))

@dramatiq.actor(broker=broker, actor_name="own.charge", **{options})
def charge(order):
    return order
"""


@pytest.fixture
def examine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queues: Run) -> Examine:
    """The severity of each finding of an application that is written into a module of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(text: str, name: str = "queue") -> dict[str, str]:
        module = f"application_{uuid.uuid4().hex}"
        (tmp_path / f"{module}.py").write_text(text)
        ended = queues("doctor", f"{module}:{name}", "--json")
        assert ended.err == ""
        return {finding["check"]: finding["severity"] for finding in ended.document["findings"]}

    return run


def celery(more: str = "", *, once: str = "ttl=7200", backoff: str = "60", broker: str = "", result: str = "") -> str:
    made = TASKS.format(once=once, backoff=backoff) + CELERY.format(broker=broker or None, result=result or None)
    return made + more


def dramatiq(more: str = "", *, once: str = "ttl=7200", broker: str = "") -> str:
    return TASKS.format(once=once, backoff="60") + DRAMATIQ.format(broker=broker or None) + more


@pytest.mark.parametrize("text", [celery(), dramatiq()])
def test_a_queue_of_connect_is_found_sound(examine: Examine, text: str) -> None:
    found = examine(text)

    assert not {check for check, severity in found.items() if severity in ("broken", "warning")}
    assert found["broker"] == "good"


@pytest.mark.parametrize(
    ("text", "check", "severity"),
    [
        (celery(EARLY), "acks-late", "broken"),
        (celery("app.tasks['shop.charge'].reject_on_worker_lost = False"), "reject-on-worker-lost", "broken"),
        (celery("app.conf.task_always_eager = True"), "always-eager", "broken"),
        (celery("app.conf.worker_pool = 'gevent'"), "green-threads", "broken"),
        (celery("app.conf.worker_prefetch_multiplier = 4"), "prefetch", "warning"),
        (celery("app.conf.worker_prefetch_multiplier = 0"), "prefetch", "warning"),
        (celery("app.conf.accept_content = ['json', 'pickle']"), "pickle", "warning"),
        (celery("app.conf.task_time_limit = 60"), "time-limit", "note"),
        (celery(once="ttl=7200", result="cache+memory://"), "result-expires", "warning"),
        (celery(once="ttl=60", result="cache+memory://"), "result-expires", "good"),
        (celery(once="ttl=60"), "visibility-ttl", "warning"),
        (
            celery("app.conf.broker_transport_options = {'visibility_timeout': 3600}", once="ttl=3600"),
            "visibility-ttl",
            "note",
        ),
        (celery(once="ttl=9000, lease=3600, lock_ttl=9000"), "visibility-lease", "warning"),
        (celery("app.conf.broker_transport_options = {'visibility_timeout': 50}"), "visibility-delay", "warning"),
        (celery(backoff="3600, max_s=7200", once="ttl=7200"), "visibility", "good"),
        (celery("app.conf.broker_transport_options = {'visibility_timeout': 20}"), "visibility-lease", "warning"),
        (celery(broker="redis://127.0.0.1:1/0"), "broker", "broken"),
        (celery("app.conf.broker_transport_options = {}", broker=RABBIT), "confirm-publish", "broken"),
        (celery(broker=RABBIT), "consumer-timeout", "unseen"),
        (celery(once="fail_open=True, ttl=7200"), "fail-open", "note"),
        (celery(once="lossy=True, ttl=7200"), "lossy", "note"),
        (celery("@tasks.task(once=None)\ndef each(a): ..."), "every-message", "note"),
        (celery("@tasks.task()\ndef clean(): ..."), "same-key", "note"),
        ("from queues import Tasks, connect\nqueue = connect(Tasks(), backend='celery')", "no-tasks", "warning"),
    ],
)
def test_a_setting_of_celery_is_judged(examine: Examine, text: str, check: str, severity: str) -> None:
    assert examine(text)[check] == severity


@pytest.mark.parametrize(
    ("text", "check", "severity"),
    [
        (dramatiq("broker.heartbeat_timeout = 5_000"), "heartbeat-timeout", "warning"),
        (dramatiq(once="ttl=30"), "heartbeat-ttl", "warning"),
        (dramatiq("broker.maintenance_chance = 0"), "maintenance", "warning"),
        (dramatiq("actor.options['max_retries'] = 3"), "max-retries", "warning"),
        (dramatiq("actor.options['time_limit'] = 5_000"), "time-limit", "warning"),
        (dramatiq("actor.options['max_age'] = 5_000"), "age-limit", "broken"),
        (dramatiq(broker="redis://127.0.0.1:1/0"), "broker", "broken"),
        (dramatiq("broker.confirm_delivery = False", broker="amqp://127.0.0.1:1/"), "confirm-publish", "broken"),
        (dramatiq(broker="amqp://127.0.0.1:1/"), "broker", "broken"),
    ],
)
def test_a_setting_of_dramatiq_is_judged(examine: Examine, text: str, check: str, severity: str) -> None:
    assert examine(text)[check] == severity


def test_a_celery_app_with_guarded_tasks_is_examined(examine: Examine) -> None:
    text = FOREIGN_CELERY.replace("{options}", "{'acks_late': False}")

    found = examine(text, "app")

    assert (found["acks-late"], found["reject-on-worker-lost"], found["prefetch"]) == ("broken", "good", "warning")


def test_a_dramatiq_broker_with_the_middleware_is_examined(examine: Examine) -> None:
    found = examine(FOREIGN_DRAMATIQ.replace("{options}", "{'max_age': 1000, 'time_limit': 1000}"), "broker")

    assert (found["age-limit"], found["time-limit"], found["broker"]) == ("broken", "warning", "good")
    assert "max-retries" not in found


def test_a_backend_in_memory_is_broken(examine: Examine) -> None:
    assert examine("from queues import Tasks, connect\nqueue = connect(Tasks(), backend='memory')") == {
        "memory": "broken"
    }


def test_another_redis_that_holds_the_queues_is_examined_too(
    examine: Examine, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = valkey_url.removesuffix("/0") + "/1"

    assert examine(celery(broker=other))["broker-eviction"] == "good"
    assert examine(dramatiq(broker=other))["broker-eviction"] == "good"


@pytest.mark.parametrize("make", [celery, dramatiq])
def test_the_master_behind_sentinels_that_holds_the_queues_is_examined(tmp_path: Path, examine: Examine, make) -> None:
    with Sentinels(tmp_path / "sentinels", password="p@ss/word", sentinel_password="other") as sentinels:
        with redis.Redis(port=sentinels.master.port, password="p@ss/word") as master:
            master.config_set("maxmemory-policy", "allkeys-lru")
        found = examine(make(broker=sentinels.url))

    assert (found["broker"], found["broker-role"], found["broker-persistence"]) == ("good", "good", "good")
    assert (found["broker-eviction"], found["records-eviction"]) == ("warning", "good")
    assert "broker-server" not in found


def test_work_of_tasks_that_the_application_does_not_know_is_told(examine: Examine, shop: Shop) -> None:
    digest = "cd" * 20
    message = Message(f"{digest}-{'0' * 12}", "warehouse.pick", "default", digest)
    shop.store.apply(digest, Begin("", message.id, message.encoded(), "x", 0, 30_000, 3, 60_000))

    assert examine(celery())["unknown-tasks"] == "warning"


def test_workers_of_the_other_backend_alone_are_told(examine: Examine, shop: Shop) -> None:
    shop.store.announce("dramatiq@host:1")

    assert examine(celery())["worker-backend"] == "warning"
    assert "worker-backend" not in examine(dramatiq())


@pytest.mark.parametrize(("name", "is_advised"), [("queue", True), ("app", False)])
def test_a_migration_is_advised_to_a_queue_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queues: Run, shop: Shop, name: str, is_advised: bool
) -> None:
    for backend in ("celery", "dramatiq"):
        shop.store.announce(f"{backend}@host:1")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / f"application_{uuid.uuid4().hex}.py"
    module.write_text(celery() if name == "queue" else FOREIGN_CELERY.format(options={}))

    ended = queues("doctor", f"{module.stem}:{name}", "--json")

    mends = [f["mend"] for f in ended.document["findings"] if f["check"] == "worker-backend"]
    assert ["queues migrate" in mend for mend in mends] == [is_advised]


def test_a_run_that_was_not_renewed_is_told(examine: Examine, shop: Shop) -> None:
    handle = shop.charge.send("o-1")
    shop.begin(handle, lease_ms=5_000)

    assert examine(celery(once="lease=30, ttl=7200"))["late-heartbeat"] == "warning"


def test_a_brokers_password_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queues: Run) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for number, broker in enumerate(("redis://:hunter2@127.0.0.1:1/0", "amqp://me:hunter2@127.0.0.1:1//")):
        (tmp_path / f"secretive_{number}.py").write_text(celery(broker=broker))

        ended = [queues("doctor", f"secretive_{number}:queue", *more) for more in ([], ["--json"])]

        assert [e.code for e in ended] == [2, 2]
        assert all("hunter2" not in e.out + e.err for e in ended)


def test_a_modules_own_error_shows_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queues: Run) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://me:hunter2@host//")
    (tmp_path / "talkative.py").write_text("import os\nraise ValueError(os.environ['CELERY_BROKER_URL'])")

    assert "hunter2" not in queues("doctor", "talkative").err


@pytest.mark.parametrize("text", ["1 / 0", "import nothing_of_that_name", "queue = 7", "raise RuntimeError('x\\ny')"])
def test_a_module_that_cannot_be_used_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queues: Run, text: str
) -> None:
    module = f"unusable_{uuid.uuid4().hex}"
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"{module}.py").write_text(text)

    ended = queues("doctor", module)

    assert ended.code == 64
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "name", "kind"), [(FOREIGN_CELERY, "app", "Celery"), (FOREIGN_DRAMATIQ, "broker", "Dramatiq")]
)
@pytest.mark.parametrize(
    "command", [["purge", "--all"], ["migrate", "--from", "celery", "--to", "dramatiq"], ["inspect"]]
)
def test_what_needs_a_queue_refuses_an_application_of_its_own_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queues: Run, text: str, name: str, kind: str, command: list[str]
) -> None:
    module = f"own_{uuid.uuid4().hex}"
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"{module}.py").write_text(text.replace("{options}", "{}"))

    ended = queues(command[0], f"{module}:{name}", *command[1:])

    assert (ended.code, ended.out) == (64, "")
    assert f"is a {kind} " in ended.err
    assert "what `connect` returned is expected" in ended.err
