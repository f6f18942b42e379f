"""Redis URLs as kombu wants them, and back: it has schemes of its own for sockets and for sentinels."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode

from queues.errors import InvalidOptionError
from queues.redis_url import Topology, is_redis_url, read

SENTINEL_OPTION = "sentinel_"


def to_kombu(url: str) -> tuple[str, dict[str, Any]]:
    """The broker's URL and transport options for Celery.

    Raises:
        InvalidOptionError: a Redis that can keep records, but no queues of Celery.
    """
    if not is_redis_url(url):
        return url, {}
    parts = read(url)
    login = f"{parts.login}@" if parts.login else ""
    match parts.topology:
        case Topology.SOCKET:
            return f"redis+socket://{login}{quote(parts.path)}?virtual_host={parts.db}", {}
        case Topology.SENTINEL if not parts.is_tls:
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            own = {n.removeprefix(SENTINEL_OPTION): v for n, v in query.items() if n.startswith(SENTINEL_OPTION)}
            places = ";".join(f"sentinel://{login}{_host(host)}:{port}/{parts.db}" for host, port in parts.addresses)
            return places, {"master_name": parts.service, **({"sentinel_kwargs": own} if own else {})}
        case Topology.CLUSTER | Topology.SENTINEL:
            kind = "a cluster" if parts.topology is Topology.CLUSTER else "Sentinel with TLS"
            msg = f"{kind} can keep the records, not Celery's queues: name another broker with CELERY_BROKER_URL"
            raise InvalidOptionError(msg)
        case _:
            return url, {}


def from_kombu(url: str, options: Mapping[str, Any]) -> str | None:
    """The Redis that is Celery's broker, as a URL of this library; None when it is none.

    Args:
        options: the app's `broker_transport_options`.
    """
    if is_redis_url(url):
        return url
    scheme, _, rest = url.partition("://")
    if scheme == "redis+socket":
        place, _, query = rest.partition("?")
        return f"unix://{unquote(place)}?db={parse_qs(query).get('virtual_host', ['0'])[0]}"
    if scheme != "sentinel" or not options.get("master_name"):
        return None
    parts = [part.partition("://")[2].partition("?")[0].partition("/") for part in url.split(";")]
    login = next((place.rpartition("@")[0] for place, _, _ in parts if "@" in place), "")
    hosts = ",".join(place.rpartition("@")[2] for place, _, _ in parts)
    db = next((db for _, _, db in parts if db), "0")
    own = {f"{SENTINEL_OPTION}{name}": value for name, value in (options.get("sentinel_kwargs") or {}).items()}
    service = quote(str(options["master_name"]), safe="")
    query = f"?{urlencode(own)}" if own else ""
    return f"redis+sentinel://{f'{login}@' if login else ''}{hosts}/{service}/{db}{query}"


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
