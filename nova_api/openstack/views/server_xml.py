"""What a server looks like in XML: templates over the JSON documents (spec openstack-core.md 8.1)."""

from typing import Any

from nova_api.openstack.xml import COMPUTE_NSMAP, LINKS, Element, Template


def _pairs(data: Any) -> list[tuple[str, Any]]:
    """A mapping as items; ``<metadata/>`` is always there, so nothing counts as an empty one."""
    return list((data or {}).items())


def metadata_element(select: Any = lambda datum: datum.get("metadata") or {}) -> Element:
    """``metadata`` with a ``meta`` per key."""
    return Element(
        "metadata",
        Element("meta", select=_pairs, attributes={"key": lambda pair: pair[0]}, text=lambda pair: pair[1]),
        select=select,
    )


_IP = Element("ip", select=lambda pair: pair[1], attributes=("version", "addr"))
_NETWORKS = Element("network", _IP, select=_pairs, attributes={"id": lambda pair: pair[0]})
ADDRESSES = Element("addresses", _NETWORKS, select="addresses")


def _named(name: str) -> Element:
    """Image or flavor of a server; a server without an image has none."""
    return Element(name, LINKS, select=lambda datum: datum.get(name) or None, attributes=("id",))


_FAULT = Element(
    "fault",
    Element("message", text="message"),
    Element("details", text=lambda fault: fault.get("details")),
    select="fault",
    attributes=("code", "created"),
)
_ATTRIBUTES = {
    "id": "id",
    "name": "name",
    "userId": "user_id",
    "tenantId": "tenant_id",
    "created": "created",
    "updated": "updated",
    "hostId": "hostId",
    "accessIPv4": "accessIPv4",
    "accessIPv6": "accessIPv6",
    "status": "status",
    "progress": "progress",
    "adminPass": "adminPass",
}
_GROUPS = Element(
    "security_groups",
    Element("security_group", select=lambda groups: groups, attributes=("name",)),
    select=lambda datum: [datum["security_groups"]] if datum.get("security_groups") else None,
)
_CHILDREN = (_named("image"), _named("flavor"), _FAULT, metadata_element(), ADDRESSES, _GROUPS, LINKS)

ONE = Template(Element("server", *_CHILDREN, select="server", attributes=_ATTRIBUTES), COMPUTE_NSMAP)
DETAIL = Template(
    Element("servers", Element("server", *_CHILDREN, select="servers", attributes=_ATTRIBUTES)), COMPUTE_NSMAP
)


def _next(data: Any) -> Any:
    return data.get("servers_links")


INDEX = Template(
    Element(
        "servers",
        Element("server", LINKS, select="servers", attributes=("id", "name")),
        Element(LINKS.tag, select=_next, attributes=("rel", "type", "href")),
    ),
    COMPUTE_NSMAP,
)
