"""A Celery chain or chord one of whose tasks is cancelled ends at once: nothing waits for it for ever."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import chain, chord

from queues import State, errors
from queues.idempotency.state import Cancel
from tests.integration.workers.native import NativeApp, native_app
from tests.servers import ValkeyServer
from tests.stage import eventually

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cancelled canvas")]
WAIT_S = 60


@pytest.fixture(scope="module")
def app(roomy_valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeApp]:
    url = f"{roomy_valkey.url.removesuffix('/0')}/903"
    with native_app("celery", "native_celery", url, tmp_path_factory.mktemp("celery")) as made:
        yield made
        made.module.app.close()
        made.module.app.backend.client.close()


def cancel(app: NativeApp, state: State, task: Any, *args: Any) -> None:
    """Cancel the work of a call once it is in that state."""
    store, digest = task.engine.store, task.generate_task_id(args)
    eventually(lambda: (record := store.read(digest)) is not None and record.state is state, within_s=WAIT_S)
    store.apply(digest, Cancel(60_000))


def cancel_running(app: NativeApp, name: str) -> None:
    cancel(app, State.RUNNING, app.module.nap, name, 30)


def cancel_waiting(app: NativeApp, name: str) -> None:
    cancel(app, State.WAITING, app.module.asks_late, name)


@pytest.mark.parametrize(
    ("member", "args", "cancelled"), [("nap", (30,), cancel_running), ("asks_late", (), cancel_waiting)]
)
def test_a_chord_and_a_chain_end_when_their_task_is_cancelled(
    app: NativeApp, name: str, member: str, args: tuple[Any, ...], cancelled: Callable[[NativeApp, str], None]
):
    task = getattr(app.module, member)
    after = app.module.total.s(f"{name}-total").on_error(app.module.noted_error.s(f"{name}-error"))
    body = chord([task.s(name, *args), app.module.add.s(f"{name}-other", 1, 2)])(after)
    chained = chain(task.s(f"{name}-chain", *args), app.module.noted.s(f"{name}-next"))()
    cancelled(app, name)
    cancelled(app, f"{name}-chain")

    with pytest.raises(Exception, match="cancelled"):
        body.get(WAIT_S)
    with pytest.raises((errors.TaskCancelledError, errors.TaskFailedError), match="cancelled"):
        chained.parent.get(WAIT_S)
    eventually(lambda: app.notes(f"{name}-error"))
    assert app.notes(f"{name}-total") == []
    assert app.notes(f"{name}-next") == []
    assert "done" not in app.notes(name)
