"""From the permissions that a caller names to the rules of a security group (spec ec2.md 4.3)."""

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import unquote

from nova_api import errors

PROTOCOLS = ("tcp", "udp", "icmp")
EVERYBODY = "0.0.0.0/0"
#: Every protocol: what such a rule is shown as, and what a group gets that names no protocol.
EVERYTHING = (("icmp", -1, -1), ("tcp", 1, 65535), ("udp", 1, 65535))
_NUMBER = re.compile(r"-?[0-9]{1,9}\Z", re.ASCII)
_NOT_ENOUGH = "Not enough parameters to build a valid rule."


@dataclass(frozen=True, slots=True)
class Source:
    """A group that may come in, as the caller names it.

    :ivar owner: project, or ``user:project``
    """

    name: str | None = None
    group_id: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What a caller asks for; ports are the texts that were sent."""

    protocol: str | None = None
    from_port: str | None = None
    to_port: str | None = None
    cidrs: Sequence[str] = ()
    sources: Sequence[Source] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: either a range or a group. Without a protocol it lets everything in."""

    protocol: str | None = None
    from_port: int | None = None
    to_port: int | None = None
    cidr: str | None = None
    group_id: int | None = None

    def columns(self) -> dict[str, Any]:
        """The rule as columns of its row."""
        return asdict(self)

    def as_2012(self, parent: int) -> str:
        """The rule as 2012.1 printed it in a message."""
        fields: dict[str, object] = {}
        if self.to_port is not None:
            fields["to_port"] = self.to_port
        if self.cidr is not None:
            fields["cidr"] = self.cidr
        if self.from_port is not None:
            fields["from_port"] = self.from_port
        if self.protocol is not None:
            fields["protocol"] = self.protocol
        fields["parent_group_id"] = parent
        if self.group_id is not None:
            fields["group_id"] = self.group_id
        parts = [f"'{name}': {'u' if name == 'cidr' else ''}{value!r}" for name, value in fields.items()]
        return "{" + ", ".join(parts) + "}"


def rules_of(permission: Permission, resolve: Callable[[Source], int]) -> list[Rule]:
    """The rules that a permission makes: one per range and one per group, everybody when it names neither.

    :param resolve: the number of a source group
    :raises InvalidPermission: a range that is none, or one without protocol or ports
    :raises InvalidPortRange: ports out of range
    :raises InvalidParameterValue: protocol or ports of another form
    """
    made = [_with_source(permission, resolve(source)) for source in permission.sources]
    cidrs = permission.cidrs or (() if permission.sources else (EVERYBODY,))
    for text in cidrs:
        made.append(_with_cidr(permission, checked_cidr(text)))
    return list(dict.fromkeys(made))


def server_rule(protocol: str | None, from_port: str | None, to_port: str | None, source: str | int) -> Rule:
    """The one rule that the OpenStack door asks for; unlike EC2's, a group without ports is not let in altogether
    when it names a protocol.

    :param source: a range, or the number of a group
    :raises InvalidPermission: it is not all there
    :raises InvalidPortRange: ports out of range
    :raises InvalidParameterValue: protocol or ports of another form
    """
    kind = (protocol or "").lower()
    whole = from_port is None and to_port is None
    if isinstance(source, str):
        if not kind or from_port is None or to_port is None:
            raise errors.InvalidPermission(_NOT_ENOUGH)
        low, high = _checked_ports(kind, from_port, to_port)
        return Rule(protocol=kind, from_port=low, to_port=high, cidr=source)
    if not kind:
        if not whole:
            raise errors.InvalidPermission(_NOT_ENOUGH)  # 2012.1 let the group in altogether
        return Rule(group_id=source)
    if whole:
        from_port, to_port = ("-1", "-1") if kind == "icmp" else ("1", "65535")
    low, high = _checked_ports(kind, from_port or "", to_port or "")
    return Rule(protocol=kind, from_port=low, to_port=high, group_id=source)


def checked_cidr(text: str) -> str:
    """A network with its prefix, as it was sent, host bits included.

    :raises InvalidPermission: it is none
    """
    cidr = unquote(text)
    address, slash, prefix = cidr.partition("/")
    try:
        # A zone ("fe80::%eth0") may be any text, and names no network.
        if not (slash and prefix.isascii() and prefix.isdigit() and len(cidr) < 50) or "%" in address:
            raise ValueError
        ipaddress.ip_network(f"{address}/{prefix}", strict=False)
    except ValueError:
        raise errors.InvalidPermission("Invalid CIDR") from None
    return cidr


def _with_source(permission: Permission, group: int) -> Rule:
    protocol = (permission.protocol or "").lower()
    if protocol in ("", "-1"):
        return Rule(group_id=group)
    if protocol in PROTOCOLS and permission.from_port is None and permission.to_port is None:
        low, high = (-1, -1) if protocol == "icmp" else (1, 65535)
        return Rule(protocol=protocol, from_port=low, to_port=high, group_id=group)
    if permission.from_port is None or permission.to_port is None:
        return Rule(group_id=group)
    low, high = _checked_ports(protocol, permission.from_port, permission.to_port)
    return Rule(protocol=protocol, from_port=low, to_port=high, group_id=group)


def _with_cidr(permission: Permission, cidr: str) -> Rule:
    protocol = (permission.protocol or "").lower()
    if protocol == "-1":
        return Rule(cidr=cidr)
    if not protocol or permission.from_port is None or permission.to_port is None:
        raise errors.InvalidPermission("[] Not enough parameters to build a valid rule")
    low, high = _checked_ports(protocol, permission.from_port, permission.to_port)
    return Rule(protocol=protocol, from_port=low, to_port=high, cidr=cidr)


def _checked_ports(protocol: str, first: str, last: str) -> tuple[int, int]:
    """Ports, in the order of 2012.1's checks. The protocol is lower case: ``TCP`` was stored and never enforced."""
    if not (_NUMBER.match(first) and _NUMBER.match(last)):
        what = (
            "Type and Code must be integers for ICMP protocol type"
            if protocol == "icmp"
            else ("To and From ports must be integers")
        )
        raise errors.InvalidParameterValue(f"Invalid input received: {what}")
    if protocol not in PROTOCOLS:
        raise errors.InvalidParameterValue(f"Invalid IP protocol {protocol[:40]}.")
    low, high = int(first), int(last)
    if protocol == "icmp":
        if not (-1 <= low <= 255 and -1 <= high <= 255):
            raise errors.InvalidPortRange(low, high, "For ICMP, the type:code must be valid")
        return low, high
    if low > high:
        raise errors.InvalidPortRange(low, high, "Former value cannot be greater than the later")
    if low < 1 or high > 65535:
        raise errors.InvalidPortRange(low, high, "Valid TCP ports should be between 1-65535")
    return low, high
