"""The address is judged where the socket is opened."""

import asyncio
import socket

import httpcore
import pytest

from app.fetch.address import AddressPolicy
from app.fetch.client import Client, FetchLimits
from app.fetch.errors import AddressRefusedError, FetchTimeoutError, UnreachableError


class ChangingNames:
    """A resolver whose answer is another one each time it is asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append((host, port))
        return self.answers.pop(0)


class RecordingNetwork(httpcore.AnyIOBackend):
    """The real network, but what is not loopback is only written down: tests send nothing beyond this machine."""

    def __init__(self):
        self.connected_to = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):  # noqa: ASYNC109 - httpcore's signature
        self.connected_to.append((host, port))
        if not host.startswith("127."):
            raise httpcore.ConnectError
        return await super().connect_tcp(host, port, timeout, local_address, socket_options)


def test_the_address_that_was_judged_is_the_one_connected_to(new_client, failure):
    names = ChangingNames(("93.184.215.14",), ("127.0.0.1",))
    network = RecordingNetwork()

    error = failure(new_client(resolver=names, network=network), "http://rebind.test/")

    assert isinstance(error, UnreachableError)
    assert names.asked == [("rebind.test", 80)]
    assert network.connected_to == [("93.184.215.14", 80)]


def test_a_name_that_turns_to_an_inner_address_is_refused_on_the_next_connection(site, new_client):
    site.answer("/", "x", Connection="close")
    names = ChangingNames(("127.0.0.1",), ("169.254.169.254",))
    network = RecordingNetwork()

    async def run():
        async with new_client(resolver=names, network=network) as client:
            first = await client.fetch(f"http://rebind.test:{site.port}/")
            with pytest.raises(AddressRefusedError) as caught:
                await client.fetch(f"http://rebind.test:{site.port}/")
            return first, caught.value

    first, error = asyncio.run(run())

    assert first.body == b"x"
    assert network.connected_to == [("127.0.0.1", site.port)]
    assert "169.254" not in str(error)


def test_a_public_address_is_refused_on_a_port_that_is_not_listed(new_client, failure):
    network = RecordingNetwork()

    error = failure(new_client(network=network), "http://93.184.215.14:6379/")

    assert isinstance(error, AddressRefusedError)
    assert network.connected_to == []


def test_one_inner_address_among_public_ones_refuses_the_host(new_client, failure):
    names = ChangingNames(("93.184.215.14", "10.0.0.1"))
    network = RecordingNetwork()

    error = failure(new_client(resolver=names, network=network), "http://mixed.test/")

    assert isinstance(error, AddressRefusedError)
    assert network.connected_to == []


def test_the_next_address_is_tried_when_one_does_not_answer(site):
    policy = AddressPolicy.parse(allow=f"two.test:{site.port}")
    site.answer("/", "x")
    network = RecordingNetwork()
    names = ChangingNames(("93.184.215.14", "127.0.0.1"))

    async def run():
        async with Client(policy, resolver=names, network=network) as client:
            return await client.fetch(f"http://two.test:{site.port}/")

    response = asyncio.run(run())

    assert response.body == b"x"
    assert network.connected_to == [("93.184.215.14", site.port), ("127.0.0.1", site.port)]


def test_a_name_with_very_many_addresses_is_tried_four_times(new_client, failure):
    names = ChangingNames(tuple(f"93.184.215.{number}" for number in range(1, 200)))
    network = RecordingNetwork()

    error = failure(new_client(resolver=names, network=network), "http://many.test/")

    assert isinstance(error, UnreachableError)
    assert len(network.connected_to) == 4


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "127.0.0.1.",
        "0",
    ],
)
def test_every_spelling_of_loopback_is_refused(host, failure):
    error = failure(Client(AddressPolicy()), f"http://{host}/")

    assert isinstance(error, AddressRefusedError)
    assert error.code == "address_refused"


def test_an_unknown_name_is_unreachable_for_good(new_client, failure):
    async def unknown(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    error = failure(new_client(resolver=unknown), "http://nowhere.test/")

    assert isinstance(error, UnreachableError)
    assert not error.is_retryable


def test_a_resolver_that_is_down_is_worth_another_try(new_client, failure):
    async def down(host, port):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    error = failure(new_client(resolver=down), "http://somewhere.test/")

    assert isinstance(error, UnreachableError)
    assert error.is_retryable


def test_a_resolver_that_hangs_ends_at_the_connect_time(new_client, failure):
    async def hang(host, port):
        await asyncio.sleep(60)
        return ()

    client = new_client(FetchLimits(connect_s=0.1), resolver=hang)

    error = failure(client, "http://slow.test/")

    assert isinstance(error, FetchTimeoutError)


def test_a_name_without_addresses_is_unreachable(new_client, failure):
    error = failure(new_client(resolver=ChangingNames(())), "http://empty.test/")

    assert isinstance(error, UnreachableError)
