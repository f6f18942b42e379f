"""Other ways to a Redis than a plain port: Unix sockets, TLS with certificates, users, sentinels."""

import asyncio
import re
import shlex
import ssl
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from queues.doctor.finding import Severity
from queues.doctor.server_checks import server_findings
from queues.errors import InvalidOptionError, StoreRefusedError, StoreUnavailableError
from queues.idempotency.state import Kind
from queues.stores import scripts
from queues.stores.redis import RedisStore
from queues.stores.redis_async import AsyncRedisStore
from queues.stores.redis_listing import RedisListing
from queues.stores.redis_server import seen
from queues.stores.scripts import Keys
from tests.certificates import Authority
from tests.contract.conftest import PASSWORD, ROOT
from tests.contract.operations import admit, begin, complete, play
from tests.proxy import Proxy
from tests.sentinels import Sentinels, SentinelServer
from tests.servers import ValkeyServer


def used(url: str, digest: str, prefix: str) -> None:
    """Every kind of client that a process has does its work at the URL."""

    async def admitted() -> Kind:
        store = AsyncRedisStore(url, prefix=prefix)
        try:
            return (await store.apply_many([(digest, admit())]))[0].kind
        finally:
            await store.close()

    store, listing = RedisStore(url, prefix=prefix), RedisListing(url, prefix=prefix)
    assert asyncio.run(admitted()) is Kind.ADMITTED
    assert [found for found, _ in listing.live()] == [digest]
    token = store.apply(digest, begin()).token
    assert store.apply(digest, complete(token)).kind is Kind.OK
    assert [*listing.finished()] == [digest]
    store.announce("celery@host:1")
    assert [worker.name for worker in listing.workers()] == ["celery@host:1"]
    assert (store.take_turn("t", 1000), store.due(0, 9), store.unfinished()) == (True, [], 0)
    assert seen(url)[0].text("role") == "master"
    listing.close()
    store.close()


def test_a_unix_socket_serves_as_a_port_does(tmp_path, digest):
    path = tmp_path / "a redis.sock"
    with ValkeyServer(tmp_path / "data", fsync=None, options=("--unixsocket", str(path))):
        used(f"unix://{quote(str(path))}?db=3", digest, "")


@pytest.fixture(scope="module")
def secured(tmp_path_factory) -> Iterator[tuple[int, str, ssl.SSLContext]]:
    """A port with TLS before a server, the options of a client that it lets in, and what it asks of one.

    The Valkey of the tests is built without TLS, so a proxy ends it.
    """
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    certificate, key = authority.issue("client")
    own = f"ssl_ca_certs={authority.file}&ssl_certfile={certificate}&ssl_keyfile={key}"
    with ValkeyServer(folder / "data", fsync=None) as server, Proxy(server.port, context) as proxy:
        yield proxy.port, own, context


def test_tls_with_an_authority_and_a_certificate_of_the_users_own(secured, digest, key_prefix):
    port, own, _ = secured

    used(f"rediss://127.0.0.1:{port}/0?{own}", digest, key_prefix)


def test_sentinels_and_the_master_that_they_name_are_reached_with_tls(secured, tmp_path, digest):
    port, own, context = secured
    # Sentinels without TLS would find the port that asks for it down: this one is not in a hurry to.
    lines = [f"sentinel monitor main 127.0.0.1 {port} 1", "sentinel down-after-milliseconds main 600000"]
    with SentinelServer(tmp_path / "sentinel", lines) as sentinel, Proxy(sentinel.port, context) as proxy:
        used(f"rediss+sentinel://127.0.0.1:{proxy.port}/main/2?{own}", digest, "")
        with pytest.raises(StoreUnavailableError, match="no master"):
            RedisStore(f"redis+sentinel://127.0.0.1:{proxy.port}/main/2").ping()


def test_a_certificate_that_nobody_vouches_for_is_refused(secured, digest):
    with pytest.raises(StoreRefusedError, match="ssl_ca_certs"):
        RedisStore(f"rediss://127.0.0.1:{secured[0]}/0").apply(digest, begin())


def test_a_command_or_key_that_is_forbidden_is_told_as_such(user_url, digest, key_prefix):
    store = RedisStore(user_url, prefix="others:")

    with pytest.raises(StoreRefusedError, match=r"users\.acl"):
        store.apply(digest, begin())
    with pytest.raises(StoreRefusedError, match=r"users\.acl"):
        store.take_turn("t", 1000)


def test_the_user_of_the_records_may_do_what_the_library_does(user_url, digest, key_prefix):
    url = f"{user_url.removesuffix('/0')}/3"
    store = RedisStore(url, prefix=key_prefix)

    used(url, digest, key_prefix)

    assert store.read(digest).state.is_live is False


def test_the_user_of_the_records_may_do_what_the_scripts_do():
    allowed = set(re.findall(r"\+([a-z]+)", (ROOT / "deploy/redis/users.acl").read_text()))
    called = {name for source in scripts.sources() for name in re.findall(r"redis\.call\('([A-Z]+)'", source)}

    assert {name.lower() for name in called} <= allowed


def test_a_forbidden_command_inside_a_script_is_told_as_such(tmp_path, digest):
    with ValkeyServer(tmp_path, fsync=None) as server:
        rules = {"enabled": True, "passwords": [f"+{PASSWORD}"], "keys": ["*"], "commands": ["+@all", "-time"]}
        RedisStore(server.url)._client.acl_setuser("short", **rules)
        with pytest.raises(StoreRefusedError) as caught:
            RedisStore(server.url.replace("://", f"://short:{PASSWORD}@")).apply(digest, begin())

    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("prefix", ["{app}:", "a{b", "a}b"])
def test_a_prefix_with_a_brace_is_refused(prefix):
    with pytest.raises(InvalidOptionError, match="brace"):
        Keys(prefix)


def test_sentinels_are_asked_for_the_master_and_refuse_a_wrong_password(tmp_path, digest, clock):
    with Sentinels(tmp_path, password=PASSWORD, sentinel_password="sentinels-password") as sentinels:
        used(sentinels.url, digest, "")
        wrong = RedisStore(sentinels.url.replace("sentinels-password", "another-password"))
        with pytest.raises(StoreRefusedError, match="sentinel_password") as refused:
            wrong.ping()
        with pytest.raises(StoreUnavailableError, match="no master") as unknown:
            RedisStore(sentinels.url.replace("/main/", "/other/")).ping()
        answers = play(RedisStore(sentinels.url, now_ms=clock.now_ms), clock, "ab" * 20, [admit(), begin(), complete])

    assert [answer.kind for answer in answers] == [Kind.ADMITTED, Kind.RUN, Kind.OK]
    for caught in (refused, unknown):
        assert "-password" not in str(caught.value)


def test_the_configuration_of_deploy_keeps_what_the_doctor_asks_for(tmp_path):
    settings = (ROOT / "deploy/redis/valkey.conf").read_text().splitlines()
    kept = [line for line in settings if line and not line.startswith(("#", "port"))]
    options = [word for line in kept for word in (f"--{line.split()[0]}", *shlex.split(line)[1:])]

    with ValkeyServer(tmp_path, options=tuple(options)) as server:
        found = {f.check: f.severity for f in server_findings(seen(server.url)[0], "records")}

    assert set(found.values()) == {Severity.GOOD}
