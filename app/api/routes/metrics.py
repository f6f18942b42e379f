"""Metrics of the API process for Prometheus, to those who may look at the machine itself."""

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.api.deps import ContextDep

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
Network = IPv4Network | IPv6Network

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(request: Request, context: ContextDep) -> Response:
    """The metrics, in Prometheus's text format; needs no key.

    Only addresses in METRICS_NETWORKS are answered, by default those of loopback; for all others there is no such
    page. What a proxy forwarded is never answered: it speaks for an address that we do not see.
    """
    host = request.client.host if request.client is not None else ""
    is_forwarded = any(name in request.headers for name in FORWARDED)
    if is_forwarded or not is_within(host, context.settings.metrics_allowed):
        raise HTTPException(404)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


def is_within(host: str, networks: tuple[Network, ...]) -> bool:
    """Whether the text is an address in one of the networks."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
