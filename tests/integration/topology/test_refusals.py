"""A Redis that is full, read-only, or has changed its password, while a worker has work: nothing is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from queues import Handle
from queues.errors import StoreFullError, StoreReadOnlyError, StoreRefusedError, StoreUnavailableError
from queues.idempotency.state import Kind
from queues.stores.redis import RedisStore
from tests.contract.operations import admit, begin, complete
from tests.integration.topology.conftest import Begun
from tests.servers import ValkeyServer
from tests.stage import Stage, eventually

PATIENCE_S = 60.0
PASSWORD = "records-password"
Call = Callable[[], object]
# It answers, while it loads, after so many bytes each.
LOADS_SLOWLY = ("--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024")


@pytest.fixture
def server(tmp_path):
    with ValkeyServer(tmp_path / "records", fsync=None) as started:
        yield started


def login(server: ValkeyServer) -> str:
    """A user of its own for the worker, so that the test's own client goes on."""
    with redis.Redis.from_url(server.url) as client:
        client.acl_setuser("onceq", enabled=True, passwords=[f"+{PASSWORD}"], keys=["*"], commands=["+@all"])
    return server.url.replace("://", f"://onceq:{PASSWORD}@")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["celery", "dramatiq"])
def test_what_happens_to_the_redis_of_the_records_costs_no_outcome(server: ValkeyServer, begun: Begun, name: str, kind):
    stage, worker = begun(kind, login(server))
    client = redis.Redis.from_url(server.url)

    def refused_while(error: type[StoreUnavailableError], change: Call, back: Call) -> None:
        """A task runs while the server changes; its outcome is stored after the change is taken back."""
        text = f"{name}-{error.__name__}"
        handle = stage.program.kept.send(text, 1.0)
        eventually(lambda: stage.effects(text), within_s=PATIENCE_S)
        change()
        with pytest.raises(error):
            stage.program.echo.send(f"{text}-new", 1)
        eventually(lambda: "done" in stage.effects(text), within_s=PATIENCE_S)
        eventually(lambda: "asking again" in worker.log, within_s=PATIENCE_S)
        back()
        assert handle.result(timeout=PATIENCE_S) == text
        assert stage.program.echo.send(f"{text}-new", 1).result(timeout=PATIENCE_S) == 1
        assert stage.effects(text) == ["began", "done"]
        assert stage.effects(f"{text}-new") == ["ran"]

    refused_while(StoreReadOnlyError, lambda: client.replicaof("127.0.0.1", "1"), lambda: client.replicaof("NO", "ONE"))
    # Connections that are open stay logged in: they are closed, as a restart of the server would.
    refused_while(StoreRefusedError, lambda: _locked_out(client), lambda: login(server))
    assert PASSWORD not in worker.log
    client.close()


def _locked_out(client: redis.Redis) -> None:
    client.acl_setuser("onceq", enabled=True, reset_passwords=True, passwords=["+another"])
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


TEXT = "x" * 20_000


def sent_until_full(stage: Stage, name: str) -> list[Handle]:
    handles = []
    while len(handles) < 200:
        try:
            handles.append(stage.program.echo.send(f"{name}-{len(handles)}", TEXT))
        except StoreFullError:
            return handles
    pytest.fail("the server never was full")


@pytest.mark.slow
def test_what_a_full_redis_accepted_is_done_and_what_it_refused_can_be_sent_again(server, begun: Begun, name: str):
    stage, _ = begun("dramatiq", server.url)
    client = redis.Redis.from_url(server.url)
    running = stage.program.kept.send(name, 1.0)
    eventually(lambda: stage.effects(name), within_s=PATIENCE_S)

    client.config_set("maxmemory", client.info("memory")["used_memory"] + 200_000)
    accepted = sent_until_full(stage, name)
    ended = running.result(timeout=PATIENCE_S)  # while there is no memory
    results = [handle.result(timeout=PATIENCE_S) for handle in accepted]
    locks = [*client.scan_iter("*task_lock*")]
    client.config_set("maxmemory", 0)
    refused = stage.program.echo.send(f"{name}-{len(accepted)}", TEXT)

    assert (ended, locks) == (name, [])  # of the refused one, nothing was written
    assert results == [TEXT] * len(accepted)
    assert (refused.decision, refused.result(timeout=PATIENCE_S)) == ("executed", TEXT)
    assert [stage.effects(f"{name}-{number}") for number in range(len(accepted) + 1)] == [["ran"]] * (len(accepted) + 1)
    client.close()


def refusal(store: RedisStore) -> str:
    """What the store says of a server that does not serve; nothing of one that does."""
    try:
        store.ping()
    except StoreUnavailableError as exc:
        return str(exc)
    return ""


def test_a_script_that_holds_the_server_up_is_told_and_waited_for(server: ValkeyServer):
    store = RedisStore(server.url)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("busy-reply-threshold", 50)
        connection = client.connection_pool.get_connection()
        connection.send_command("EVAL", "while true do end", 0)

        eventually(lambda: "BUSY" in refusal(store), within_s=PATIENCE_S)
        client.execute_command("SCRIPT", "KILL")
        eventually(lambda: not refusal(store), within_s=PATIENCE_S)

        assert store.apply("ab" * 20, admit()).kind is Kind.ADMITTED
        connection.disconnect()


def test_a_server_that_still_loads_its_data_is_told_and_waited_for(tmp_path: Path):
    with ValkeyServer(tmp_path, fsync=None, options=LOADS_SLOWLY) as server:
        store = RedisStore(server.url)
        token = store.apply("ab" * 20, begin()).token
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("DEBUG", "POPULATE", 60_000)
            client.config_set("key-load-delay", 1_000)  # microseconds a key, so that it loads until it is told not to
            connection = client.connection_pool.get_connection()
            connection.send_command("DEBUG", "RELOAD")

            eventually(lambda: client.info("persistence")["loading"], within_s=PATIENCE_S)
            with pytest.raises(StoreUnavailableError, match="loading"):
                store.apply("ab" * 20, complete(token))
            client.config_set("key-load-delay", 0)
            eventually(lambda: not refusal(store), within_s=PATIENCE_S)

            assert store.apply("ab" * 20, complete(token)).kind is Kind.OK
            connection.disconnect()
        store.close()
