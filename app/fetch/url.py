"""URLs in one spelling, so that the same page is asked for once and its host is judged as it will be used."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx
import idna

from app.fetch.errors import InvalidUrlError

MAX_URL_CHARS = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)", re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{0,5}))?")
_ASCII_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
# WHATWG URL, "ends in a number": such a host is an IPv4 address in some spelling, or nothing.
_NUMBER_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom a URL asks: scheme, host (no brackets, no trailing dot) and port."""

    scheme: str
    host: str
    port: int


def normalize(url: str) -> str:
    """The one spelling of a URL: small scheme and host, no default port, no fragment, ASCII only.

    Path and query keep their order and case. IPv4 addresses in other notations (`0x7f.1`, `2130706433`,
    `0177.0.0.1`) are written out, as browsers do.

    Raises:
        InvalidUrlError: not http or https, credentials in it, no usable host or port, control characters,
            or longer than 2,048 characters.
    """
    url = url.strip(" \t\r\n\f")
    if len(url) > MAX_URL_CHARS:
        raise InvalidUrlError(url, f"longer than {MAX_URL_CHARS:,} characters")
    if re.search(r"[\x00-\x1f\x7f]", url):
        raise InvalidUrlError(re.sub(r"[\x00-\x1f\x7f]", "?", url), "control characters in the URL")
    match = _URL.fullmatch(url.partition("#")[0])
    if match is None or match["scheme"].lower() not in _DEFAULT_PORTS:
        raise InvalidUrlError(url, "only http and https URLs can be fetched")
    scheme = match["scheme"].lower()
    authority = match["authority"]
    if "@" in authority:
        raise InvalidUrlError(url, "user names and passwords in a URL are not accepted")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None or _CONTROL.search(authority):
        raise InvalidUrlError(url, "no usable host")
    port = int(parts["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port <= 65_535:
        raise InvalidUrlError(url, "no usable port")
    host = _normalize_host(parts["host"], url)
    shown_port = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    rest = match["rest"] if match["rest"].startswith("/") else f"/{match['rest']}"
    try:
        return str(httpx.URL(f"{scheme}://{host}{shown_port}{rest}"))
    except (httpx.InvalidURL, UnicodeError) as exc:
        raise InvalidUrlError(url, "not a valid URL") from exc


def join(page_url: str, reference: str) -> str:
    """The normal URL that a reference (a link, a Location header) on a page means.

    Raises:
        InvalidUrlError: as `normalize`.
    """
    reference = re.sub(r"[\t\r\n]", "", reference.strip())
    if len(reference) > MAX_URL_CHARS:
        raise InvalidUrlError(reference, f"longer than {MAX_URL_CHARS:,} characters")
    try:
        return normalize(urljoin(page_url, reference))
    except ValueError as exc:
        raise InvalidUrlError(reference, "not a valid URL") from exc


def origin(url: str) -> Origin:
    """Whom a URL that came from `normalize` asks."""
    parsed = httpx.URL(url)
    host = parsed.raw_host.decode("ascii")
    return Origin(parsed.scheme, host, parsed.port or _DEFAULT_PORTS[parsed.scheme])


def host_key(host: str) -> str:
    """A host as `normalize` would write it, without brackets.

    Raises:
        InvalidUrlError: not a host.
    """
    return _normalize_host(host, host).strip("[]")


def _normalize_host(host: str, url: str) -> str:
    if host.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ipaddress.AddressValueError as exc:
            raise InvalidUrlError(url, "not a valid IPv6 address") from exc
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError as exc:
            raise InvalidUrlError(url, "not a valid international host name") from exc
    host = host.lower().removesuffix(".")
    if not _ASCII_HOST.fullmatch(host):
        raise InvalidUrlError(url, "no usable host")
    if _NUMBER_LABEL.fullmatch(host.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(socket.inet_aton(host)))
        except OSError as exc:
            raise InvalidUrlError(url, "not a valid IPv4 address") from exc
    return host
