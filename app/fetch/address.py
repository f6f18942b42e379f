"""Which addresses may be fetched from.

`ipaddress.is_private` and `is_global` are not enough: `is_global` lets through multicast, 6to4, NAT64,
deprecated site-local addresses and Azure's metadata server, and both changed their answers between Python
releases. So the ranges are written out here.

Sources: IANA "IPv4 Special-Purpose Address Registry" and "IPv6 Special-Purpose Address Registry" (each row
names the RFC the registry names), IANA "IPv4 Multicast Address Space Registry", RFC 4291 and RFC 3879 for
what IPv6 retired, and the clouds' own documentation for their metadata servers. A network that translates IPv4
under a prefix of its own cannot be known here; one that uses the well-known prefix for every name (DNS64 without
IPv4) can reach only what the operator allows by name.
"""

import ipaddress
from dataclasses import dataclass

from app.fetch.errors import InvalidUrlError
from app.fetch.url import host_key


@dataclass(frozen=True, slots=True)
class Refusal:
    """A range that may not be reached, what it is for, and who says so."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    name: str
    source: str


def _row(network: str, name: str, source: str) -> Refusal:
    return Refusal(ipaddress.ip_network(network), name, source)


REFUSED: tuple[Refusal, ...] = (
    # Metadata servers first, so that the reason given is the telling one.
    _row("169.254.169.254/32", "cloud metadata", "AWS, GCP, Azure, DigitalOcean, OpenStack"),
    _row("169.254.170.2/32", "cloud metadata", "AWS ECS task credentials"),
    _row("169.254.170.23/32", "cloud metadata", "AWS EKS pod identity"),
    _row("100.100.100.200/32", "cloud metadata", "Alibaba Cloud"),
    _row("168.63.129.16/32", "cloud metadata", "Azure wire server, a public address"),
    _row("192.0.0.192/32", "cloud metadata", "Oracle Cloud classic"),
    _row("fd00:ec2::254/128", "cloud metadata", "AWS"),
    _row("fd00:ec2::23/128", "cloud metadata", "AWS EKS pod identity"),
    _row("fd20:ce::254/128", "cloud metadata", "GCP"),
    _row("0.0.0.0/8", "this network, unspecified", "RFC 791"),
    _row("10.0.0.0/8", "private", "RFC 1918"),
    _row("100.64.0.0/10", "shared by carrier-grade NAT", "RFC 6598"),
    _row("127.0.0.0/8", "loopback", "RFC 1122"),
    _row("169.254.0.0/16", "link-local", "RFC 3927"),
    _row("172.16.0.0/12", "private", "RFC 1918"),
    _row("192.0.0.0/24", "protocol assignments", "RFC 6890"),
    _row("192.0.2.0/24", "documentation", "RFC 5737"),
    _row("192.31.196.0/24", "AS112 sink", "RFC 7535"),
    _row("192.52.193.0/24", "multicast tunnels (AMT)", "RFC 7450"),
    _row("192.88.99.0/24", "6to4 relays, deprecated", "RFC 7526"),
    _row("192.168.0.0/16", "private", "RFC 1918"),
    _row("192.175.48.0/24", "AS112 sink", "RFC 7534"),
    _row("198.18.0.0/15", "benchmarking", "RFC 2544"),
    _row("198.51.100.0/24", "documentation", "RFC 5737"),
    _row("203.0.113.0/24", "documentation", "RFC 5737"),
    _row("224.0.0.0/4", "multicast", "RFC 5771"),
    _row("240.0.0.0/4", "reserved and broadcast", "RFC 1112, RFC 8190"),
    _row("::/128", "unspecified", "RFC 4291"),
    _row("::1/128", "loopback", "RFC 4291"),
    _row("::ffff:0:0/96", "IPv4-mapped", "RFC 4291"),
    _row("::/96", "IPv4-compatible, deprecated", "RFC 4291"),
    _row("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765"),
    _row("64:ff9b::/96", "NAT64", "RFC 6052"),
    _row("64:ff9b:1::/48", "NAT64, local use", "RFC 8215"),
    _row("100::/64", "discard only", "RFC 6666"),
    _row("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    _row("2001::/32", "Teredo", "RFC 4380"),
    _row("2001:2::/48", "benchmarking", "RFC 5180"),
    _row("2001:3::/32", "multicast tunnels (AMT)", "RFC 7450"),
    _row("2001:4:112::/48", "AS112 sink", "RFC 7535"),
    _row("2001:10::/28", "ORCHID, deprecated", "RFC 4843"),
    _row("2001:20::/28", "ORCHIDv2", "RFC 7343"),
    _row("2001:30::/28", "drone identities", "RFC 9374"),
    _row("2001::/23", "protocol assignments", "RFC 2928"),
    _row("2001:db8::/32", "documentation", "RFC 3849"),
    _row("2002::/16", "6to4", "RFC 3056"),
    _row("2620:4f:8000::/48", "AS112 sink", "RFC 7534"),
    _row("3fff::/20", "documentation", "RFC 9637"),
    _row("5f00::/16", "segment routing", "RFC 9602"),
    _row("fc00::/7", "unique-local", "RFC 4193"),
    _row("fe80::/10", "link-local", "RFC 4291"),
    _row("fec0::/10", "site-local, deprecated", "RFC 3879"),
    _row("ff00::/8", "multicast", "RFC 4291"),
)

_GLOBAL_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")


def refusal(address: str) -> str | None:
    """Why an address may not be reached, in a few words; None if it may.

    An IPv4 address inside an IPv6 one is judged too, and named in the reason; the IPv6 form is refused
    either way, because the route it takes (a tunnel, a translator) is not ours to know.

    Args:
        address: IPv4 dotted or IPv6, as `getaddrinfo` returns it. Anything else is refused.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "not an address"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.scope_id is not None:
        return "scoped to an interface"
    for row in REFUSED:
        if row.network.version == parsed.version and parsed in row.network:
            inner = _embedded_v4(parsed)
            within = refusal(str(inner)) if inner is not None else None
            return f"{row.name}, holding {within}" if within else row.name
    # IANA has given out nothing else: RFC 4291, section 2.4, and the IPv6 Address Space registry.
    if isinstance(parsed, ipaddress.IPv6Address) and parsed not in _GLOBAL_UNICAST_V6:
        return "not assigned"
    return None


def _embedded_v4(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a translator or a tunnel would reach; None where there is none."""
    if isinstance(address, ipaddress.IPv4Address) or int(address) in (0, 1):
        return None
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _LAST_32_BITS):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


_LAST_32_BITS = tuple(
    ipaddress.IPv6Network(network)
    for network in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/96")
)


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What may be reached: public addresses on some ports, and the operator's exceptions.

    Args:
        ports: ports that may be fetched from at public addresses.
        allow: pairs of host and port that may be reached whatever their address is. The host is a name (then
            every address of it is trusted) or an address.
    """

    ports: frozenset[int] = frozenset({80, 443})
    allow: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def parse(cls, ports: str = "80,443", allow: str = "") -> "AddressPolicy":
        """The policy that the settings `fetch_ports` and `fetch_allow` spell.

        Args:
            ports: numbers separated by commas.
            allow: `host:port` separated by commas; IPv6 addresses in brackets.

        Raises:
            ValueError: a port is not a number from 1 to 65,535, or a pair has no host; names the entry.
        """
        pairs = (entry.strip().rpartition(":") for entry in allow.split(",") if entry.strip())
        return cls(
            ports=frozenset(_port(entry) for entry in ports.split(",") if entry.strip()),
            allow=frozenset((_host(host), _port(port)) for host, _, port in pairs),
        )

    def permits(self, host: str, port: int, address: str) -> bool:
        """Whether `address`, which `host` resolved to, may be connected to on `port`."""
        if (host, port) in self.allow or (address, port) in self.allow:
            return True
        return port in self.ports and refusal(address) is None


def _port(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= 65_535):
        msg = f"{text!r} is not a port"
        raise ValueError(msg)
    return int(text)


def _host(text: str) -> str:
    try:
        return host_key(text)
    except InvalidUrlError as exc:
        msg = f"{text!r} is not a host; write host:port, or [address]:port for IPv6"
        raise ValueError(msg) from exc
