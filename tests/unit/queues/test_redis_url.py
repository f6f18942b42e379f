"""Redis URLs: what is read from them, which of them name one place, and how kombu writes them."""

import pytest

from queues.errors import InvalidOptionError
from queues.kombu_url import from_kombu, to_kombu
from queues.redis_url import Topology, is_same_redis, read
from queues.stores.connection import check_url


@pytest.mark.parametrize(
    ("url", "topology", "addresses", "place"),
    [
        ("redis://", Topology.SERVER, [("127.0.0.1", 6379)], ("", "", 0)),
        ("redis://host", Topology.SERVER, [("host", 6379)], ("", "", 0)),
        ("redis://:p@host:1/3", Topology.SERVER, [("host", 1)], ("", "", 3)),
        ("rediss://[::1]:1/?db=2", Topology.SERVER, [("::1", 1)], ("", "", 2)),
        ("redis://[::1]", Topology.SERVER, [("::1", 6379)], ("", "", 0)),
        ("unix:///run/a%20b.sock?db=4", Topology.SOCKET, [], ("/run/a b.sock", "", 4)),
        ("unix://u:p@/run/redis.sock", Topology.SOCKET, [], ("/run/redis.sock", "", 0)),
        ("redis+sentinel://a,b:2/main", Topology.SENTINEL, [("a", 26379), ("b", 2)], ("", "main", 0)),
        ("redis+sentinel://u:p@a,[::1]:2/main/7", Topology.SENTINEL, [("a", 26379), ("::1", 2)], ("", "main", 7)),
        ("rediss+cluster://a:1,b", Topology.CLUSTER, [("a", 1), ("b", 6379)], ("", "", 0)),
        ("redis+cluster://a:1/0", Topology.CLUSTER, [("a", 1)], ("", "", 0)),
    ],
)
def test_the_parts_of_a_url_are_read(url, topology, addresses, place):
    parts = read(url)

    assert (parts.topology, [*parts.addresses]) == (topology, addresses)
    assert (parts.path, parts.service, parts.db) == place
    assert parts.is_tls == url.startswith("rediss")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://hunter2", "begins with none of redis://"),
        ("hunter2", "begins with none of redis://"),
        ("redis://:hunter2@host:0", "the port is no number"),
        ("redis://:hunter2@host:65536", "the port is no number from 1 to 65535"),
        ("redis://:hunter2@host:notaport/0", "the port is no number"),
        ("redis://:hunter2@host/name", "the database is no number"),
        ("redis://:hunter2@host?db=xx", "the database is no number"),
        ("redis://:hunter2/0", "the port is no number"),
        ("redis://user:hunter2", "the port is no number"),
        ("redis://user/hunter2", "the database is no number"),
        ("redis://:hunter2?x@host:6379/0", "is written as %2F, %3F"),
        ("redis://:hunter2/x@host:6379/0", "in a user or password is written as %2F"),
        ("redis://:hunter2@host?ssl_ca_certs=/etc/ca.pem", r"ssl_ca_certs: ssl_\* options need rediss://"),
        ("redis://:hunter2@a,b", "more than one host"),
        ("redis+sentinel://:hunter2@a:1", "names its service"),
        ("redis+sentinel://:hunter2@a:1/", "names its service"),
        ("redis+cluster://:hunter2@a:1/2", "database 0 only"),
        ("redis+cluster://:hunter2@a:x", "the port is no number"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_it(url, told):
    with pytest.raises(InvalidOptionError, match=told) as caught:
        read(url)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:hunter2@host?socket_timeot=2", "there is no option socket_timeot"),
        ("redis://host?hunter2=1", "there is no such option"),
        ("redis+sentinel://:hunter2@host/main?sentinel_pasword=2", "there is no option sentinel_pasword"),
        ("redis+cluster://:hunter2@host?socket_timeot=2", "there is no option socket_timeot"),
        ("redis://:hunter2@host?socket_timeout=abc", "the value of socket_timeout cannot be used"),
        ("redis://:hunter2@host?decode_responses=yes", "without decode_responses"),
        ("redis://u[ser:hunter2@host", "its user or password cannot be read"),
    ],
)
def test_an_option_that_no_client_can_be_made_with_is_named(url, told):
    with pytest.raises(InvalidOptionError, match=told) as caught:
        check_url(url)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "rediss://host?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=none",
        "redis+sentinel://host/main?sentinel_password=s&sentinel_username=u&sentinel_socket_timeout=1",
        "redis+cluster://host?require_full_coverage=1&socket_timeout=1",
        "redis://host?password=p&health_check_interval=3&max_connections=9&client_name=me",
    ],
)
def test_the_options_of_redis_py_can_be_used(url):
    assert check_url(url)


SAME = [
    ("redis://localhost/0", "redis://:p@127.0.0.1:6379"),
    ("redis://host?socket_timeout=1", "redis://host"),
    ("unix:///run/r.sock", "unix://u:p@/run/r.sock?db=0"),
    ("redis+sentinel://a,b/main/1", "redis+sentinel://b:26379,a/main?db=1"),
]
OTHERS = [
    ("redis://host/0", "redis://host/1"),
    ("redis://host/0", "redis://host?db=1"),
    ("redis://host:1", "redis://host:2"),
    ("redis+sentinel://a/main", "redis+sentinel://a/other"),
    ("redis+sentinel://a:6379/main", "redis://a:6379"),
    ("redis+cluster://a", "redis+cluster://a"),  # two of its keys may lie on two nodes
    ("amqp://host", "amqp://host"),
    ("redis://host:x", "redis://host:x"),
    ("", ""),
]


@pytest.mark.parametrize(("urls", "is_same"), [*((pair, True) for pair in SAME), *((pair, False) for pair in OTHERS)])
def test_two_urls_of_one_place_are_known_as_such(urls, is_same):
    assert is_same_redis(*urls) is is_same


@pytest.mark.parametrize(
    "url",
    [
        "redis://:p@host:1/2",
        "unix:///run/a b.sock?db=3",
        "redis+sentinel://u:p%40@a:1,b:2/my%20main/3?sentinel_password=s%26",
    ],
)
def test_a_redis_that_celery_uses_as_its_broker_is_found_again(url):
    broker_url, options = to_kombu(url)

    assert is_same_redis(from_kombu(broker_url, options), url)
    assert read(from_kombu(broker_url, options)).login == read(url).login


def test_sentinels_are_written_as_kombu_wants_them():
    broker_url, options = to_kombu("redis+sentinel://:p@a:1,b:2/main/3?sentinel_password=s%26&socket_timeout=1")

    assert broker_url == "sentinel://:p@a:1/3;sentinel://:p@b:2/3"
    assert options == {"master_name": "main", "sentinel_kwargs": {"password": "s&"}}


@pytest.mark.parametrize("url", ["redis+cluster://a", "rediss+sentinel://a/main"])
def test_a_redis_that_cannot_hold_celerys_queues_is_refused(url):
    with pytest.raises(InvalidOptionError, match="CELERY_BROKER_URL"):
        to_kombu(url)


@pytest.mark.parametrize("url", ["amqp://host", "sqs://", "sentinel://a:1"])
def test_a_broker_that_is_no_redis_keeps_no_records(url):
    assert from_kombu(url, {}) is None
