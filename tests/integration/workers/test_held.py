"""Work that is due late, while everything around it is killed and changed."""

import time

import pytest

from queues import State
from tests.integration.workers.conftest import Begin, StageOf
from tests.integration.workers.native import native_app
from tests.servers import ValkeyServer
from tests.stage import eventually

DELAY_S = 6.0


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def test_held_work_outlives_its_workers_and_a_move_to_the_other_backend(
    stage_of: StageOf, begin: Begin, monkeypatch: pytest.MonkeyPatch, name: str, broker: str
):
    monkeypatch.setattr("queues.producer.HOLD_AFTER_MS", 500)
    celery = stage_of("celery", broker)
    killed = begin(celery, "celery")
    due_s = time.time() + DELAY_S
    handles = [celery.program.echo.send_with_options((f"{name}-{n}", n), delay=DELAY_S) for n in range(20)]
    killed.kill()
    dramatiq = stage_of("dramatiq", broker, celery.redis_url)
    if broker == "redis":
        dramatiq.broker_url = celery.broker_url  # in RabbitMQ both declare a queue of that name, and not alike
    begin(dramatiq, "dramatiq")

    results = [handle.result(timeout=60) for handle in handles]

    assert results == list(range(20))
    assert [celery.effects(f"{name}-{n}") for n in range(20)] == [["ran"]] * 20
    assert min(celery.marks(f"{name}-{n}")[0][2] for n in range(20)) >= (due_s - 0.05) * 1e6


@pytest.mark.slow
def test_a_celery_apps_long_countdown_is_held_and_a_chains_is_celerys_own(
    roomy_valkey: ValkeyServer, tmp_path, name: str
):
    url = f"{roomy_valkey.url.removesuffix('/0')}/902"
    with native_app("celery", "native_celery", url, tmp_path) as app:
        add = app.module.add
        held = add.apply_async((name, 1, 2), countdown=3_600)
        linked = add.apply_async((f"{name}-linked", 1, 2), countdown=3_600, link=add.si(f"{name}-after", 1, 1))
        record = add.engine.store.read(held.id[:40])
        eventually(lambda: app.client.hlen("unacked") == 1)

        assert record.is_held
        assert linked.id.encode() in b"".join(app.client.hvals("unacked"))
        assert held.id.encode() not in b"".join(app.client.hvals("unacked"))
        now_ms = time.time_ns() // 1_000_000
        lock, _, leases = add.engine.store.keys.of(held.id[:40])
        app.client.hset(lock, "until", now_ms)
        app.client.zadd(leases, {held.id[:40]: now_ms})
        assert held.get(60) == 3
        assert app.notes(name) == ["1+2"]
        assert add.engine.store.read(held.id[:40]).state is State.COMPLETED
        app.module.app.close()
        app.module.app.backend.client.close()
