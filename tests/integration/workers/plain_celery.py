"""The two workers of `programs/plain_celery.py`, bare and guarded, and what their tasks noted."""

from collections.abc import Iterator

import pytest
from celery.result import AsyncResult

from tests.integration.workers.native import NativeApp, native_app
from tests.servers import ValkeyServer
from tests.stage import eventually

GUARDS = ("bare", "IdempotentTask")
WAIT_S = 60


@pytest.fixture(scope="module", params=GUARDS)
def plain_app(
    request: pytest.FixtureRequest, roomy_valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NativeApp]:
    """The program, with a worker; a test that takes it runs on both."""
    url = f"{roomy_valkey.url.removesuffix('/0')}/{960 + GUARDS.index(request.param)}"
    folder = tmp_path_factory.mktemp("plain")
    with native_app("celery", "plain_celery", url, folder, environment={"PLAIN_GUARD": request.param}) as made:
        yield made
        made.module.app.close()
        made.module.app.backend.client.close()


def noted(app: NativeApp, name: str, count: int) -> list[str]:
    """The notes, once there are so many; what comes too much has the time of another message to come."""
    eventually(lambda: len(app.notes(name)) >= count, within_s=WAIT_S)
    app.module.give.delay(f"{name}-after", count).get(WAIT_S)
    return app.notes(name)


def state_of(result: AsyncResult) -> str:
    """Its state, once there is an outcome."""
    eventually(lambda: result.state not in ("PENDING", "STARTED", "RETRY"), within_s=WAIT_S)
    return result.state
