"""Every range of the registries is refused at both of its ends, and their neighbours are not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.fetch.address import REFUSED, AddressPolicy, refusal


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: str(row.network))
def test_both_ends_of_a_refused_range_are_refused(row):
    ends = (row.network[0], row.network[-1])

    assert all(refusal(str(end)) for end in ends)


# The list that the registries give, once more and by hand: a row that is lost from the table shows here.
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("0.0.0.0", "this network"),
        ("0.1.2.3", "this network"),
        ("10.20.30.40", "private"),
        ("100.64.0.1", "carrier-grade"),
        ("100.127.255.255", "carrier-grade"),
        ("100.100.100.200", "metadata"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("168.63.129.16", "metadata"),
        ("169.254.0.1", "link-local"),
        ("169.254.169.254", "metadata"),
        ("169.254.170.2", "metadata"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.1", "protocol"),
        ("192.0.0.170", "protocol"),
        ("192.0.0.192", "metadata"),
        ("192.0.2.1", "documentation"),
        ("192.31.196.1", "AS112"),
        ("192.52.193.1", "AMT"),
        ("192.88.99.1", "6to4"),
        ("192.168.1.1", "private"),
        ("192.175.48.1", "AS112"),
        ("198.18.0.1", "benchmarking"),
        ("198.19.255.255", "benchmarking"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::7f00:1", "IPv4-compatible, deprecated, holding loopback"),
        ("::ffff:127.0.0.1", "IPv4-mapped, holding loopback"),
        ("::ffff:8.8.8.8", "IPv4-mapped"),
        ("::ffff:0:127.0.0.1", "IPv4-translated, holding loopback"),
        ("64:ff9b::8.8.8.8", "NAT64"),
        ("64:ff9b::a9fe:a9fe", "NAT64, holding cloud metadata"),
        ("64:ff9b:1::a00:1", "NAT64, local use, holding private"),
        ("64:ff9b:1:ffff::1", "NAT64, local use"),
        ("100::1", "discard"),
        ("100:0:0:1::1", "dummy"),
        ("2001::1", "Teredo"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo, holding documentation"),
        ("2001:2::1", "benchmarking"),
        ("2001:3::1", "AMT"),
        ("2001:4:112::1", "AS112"),
        ("2001:10::1", "ORCHID"),
        ("2001:20::1", "ORCHIDv2"),
        ("2001:30::1", "drone"),
        ("2001:1ff::1", "protocol"),
        ("2001:db8::1", "documentation"),
        ("2002:7f00:1::1", "6to4, holding loopback"),
        ("2002:808:808::1", "6to4"),
        ("2620:4f:8000::1", "AS112"),
        ("3fff::1", "documentation"),
        ("4000::1", "not assigned"),
        ("5f00::1", "segment routing"),
        ("fc00::1", "unique-local"),
        ("fd00:ec2::254", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("fdff::1", "unique-local"),
        ("fe80::1", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
        ("fe80::1%eth0", "scoped"),
        ("2606:4700::1%1", "scoped"),
        ("", "not an address"),
        ("example.com", "not an address"),
        ("127.1", "not an address"),
    ],
)
def test_an_address_that_is_not_public_is_refused_with_its_reason(address, reason):
    assert reason in (refusal(address) or "")


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2003::1",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "3ffe:ffff::1",
    ],
)
def test_a_public_address_is_not_refused(address):
    assert refusal(address) is None


@settings(deadline=None)
@given(st.ip_addresses())
def test_nothing_that_the_standard_library_calls_not_global_gets_through(address):
    # An independent list: whichever of the two knows more, the address is refused.
    is_refused = refusal(str(address)) is not None

    assert is_refused or (address.is_global and not address.is_multicast and not address.is_reserved)


def test_a_public_address_is_permitted_on_listed_ports_only():
    policy = AddressPolicy.parse(ports="80, 443,8443")

    assert policy.permits("example.com", 8443, "93.184.215.14")
    assert not policy.permits("example.com", 8080, "93.184.215.14")


def test_an_exception_holds_for_its_host_and_its_port_only():
    policy = AddressPolicy.parse(allow="127.0.0.1:8000, Demo.Local.:9000,[::1]:7000")

    assert policy.permits("127.0.0.1", 8000, "127.0.0.1")
    assert policy.permits("localhost", 8000, "127.0.0.1")
    assert policy.permits("demo.local", 9000, "10.0.0.5")
    assert policy.permits("::1", 7000, "::1")
    assert not policy.permits("127.0.0.1", 8001, "127.0.0.1")
    assert not policy.permits("127.0.0.2", 8000, "127.0.0.2")
    assert not policy.permits("other.local", 9000, "10.0.0.5")


def test_without_settings_only_the_webs_own_ports_are_open():
    assert AddressPolicy.parse() == AddressPolicy(frozenset({80, 443}), frozenset())


@pytest.mark.parametrize("ports", ["http", "0", "65536", "-1", "80;443", "99999999999", "²"])
def test_ports_that_are_none_are_refused(ports):
    with pytest.raises(ValueError, match="is not a port"):
        AddressPolicy.parse(ports=ports)


@pytest.mark.parametrize("allow", ["localhost", "localhost:", ":80", "::1:80", "host:http", "a b:80", "http://h:80"])
def test_exceptions_that_are_not_host_and_port_are_refused(allow):
    with pytest.raises(ValueError, match=r"is not a (host|port)"):
        AddressPolicy.parse(allow=allow)
