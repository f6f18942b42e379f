"""A Celery application whose tasks are `IdempotentTask`s, with its queues on RabbitMQ and its records in Redis."""

from collections.abc import Callable
from pathlib import Path

import pytest
from celery import chord

from tests.integration.workers.native import native_app
from tests.servers import ValkeyServer

WAIT_S = 60


@pytest.mark.rabbitmq
@pytest.mark.slow
def test_it_guards_on_rabbitmq_too(
    roomy_valkey: ValkeyServer, rabbit_vhost: Callable[[], str], tmp_path: Path, name: str
):
    url = f"{roomy_valkey.url.removesuffix('/0')}/901"
    with native_app("celery", "native_celery", url, tmp_path, environment={"CELERY_BROKER_URL": rabbit_vhost()}) as app:
        results = [app.module.add.delay(name, 1, 2) for _ in range(2)]
        total = chord([app.module.add.s(name, 1, 2)] * 2)(app.module.total.s(f"{name}-total"))

        assert [result.get(WAIT_S) for result in results] == [3, 3]
        assert total.get(WAIT_S) == 6
        assert app.notes(name) == ["1+2"]
        app.module.app.close()
        app.module.app.backend.client.close()
