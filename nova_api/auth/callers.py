"""Who asks: the peer, or the address that a trusted proxy reports."""

import ipaddress
from collections.abc import Iterable
from typing import Any

from nova_api.errors import ConfigError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: Iterable[str]) -> list[Network]:
    """Addresses and networks as an option names them.

    :raises ConfigError: one of them is neither
    """
    try:
        return [ipaddress.ip_network(text, strict=False) for text in texts]
    except ValueError as error:
        raise ConfigError(f"trusted_proxies: {error}") from error


def caller(environ: dict[str, Any], *, forwarded: bool, trusted: Iterable[Network]) -> str | None:
    """The address of the caller.

    ``X-Forwarded-For`` counts only when the peer is a trusted proxy, and then only up to the last hop that is not one:
    what stands before it was written by the caller and may say anything (spec ec2.md 5.2, fix; 9, row 26).

    :param forwarded: whether the header is looked at
    :returns: None when there is no peer address
    """
    peer: str | None = environ.get("REMOTE_ADDR") or None
    header = environ.get("HTTP_X_FORWARDED_FOR")
    if peer is None or not forwarded or not header or not _is_trusted(peer, trusted):
        return peer
    for hop in reversed([part.strip() for part in header.split(",")]):
        peer = hop
        if not _is_trusted(hop, trusted):
            break
    return peer


def _is_trusted(address: str, trusted: Iterable[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted if network.version == parsed.version)
