"""What things look like in the 1.0 API, in JSON and XML (spec openstack-core.md 9.2, 9.3)."""

from collections.abc import Mapping, Sequence
from typing import Any

from nova_api import runtime
from nova_api.cloud.image import ImageRecord
from nova_api.context import RequestContext
from nova_api.db.server_lists import ServerList
from nova_api.openstack.views.server_xml import metadata_element
from nova_api.openstack.views.servers import host_id, stamp, status_of
from nova_api.openstack.xml import V1_0_NS, Element, Template

#: Statuses that a client of 1.0 does not know, and the nearest that it does.
_NEAREST = {
    "MIGRATING": "RESIZE",
    "PAUSED": "SUSPENDED",
    "REVERT_RESIZE": "RESIZE",
    "STOPPED": "SHUTOFF",
    "UNKNOWN_STATE": "UNKNOWN",
}
#: State of the catalogue -> status and progress of an image.
_IMAGES: Mapping[str, tuple[str, int]] = {
    "active": ("ACTIVE", 100),
    "queued": ("QUEUED", 25),
    "saving": ("SAVING", 50),
    "killed": ("FAILED", 0),
}


def template(root: Element) -> Template:
    """A document of the 1.0 API."""
    return Template(root, {None: V1_0_NS})


def network_element(name: str) -> Element:
    """``public`` or ``private``, with an ``ip`` per address."""
    return Element(name, Element("ip", select=name, attributes={"addr": lambda address: address}))


def addresses_element() -> Element:
    """The addresses of a server."""
    return Element("addresses", network_element("public"), network_element("private"), select="addresses")


def server_element(select: str) -> Element:
    """A server, or each one of a list, with all there is to say of it."""
    names = ("id", "name", "imageId", "flavorId", "hostId", "status", "progress", "adminPass")
    return Element("server", metadata_element(), addresses_element(), select=select, attributes=names)


def addresses_of(found: ServerList, number: int, shared: Mapping[int, Sequence[str]]) -> dict[str, list[str]]:
    """The addresses of a server: floating ones are public, its own before those that it shares.

    :param number: of the server
    :param shared: addresses by server, of others
    """
    public = found.floating.get(number, [])
    every = [address for labelled in found.addresses.get(number, {}).values() for address in labelled]
    return {
        "public": [*public, *shared.get(number, ())],
        "private": [address for address in every if address not in public],
    }


def server_views(
    services: runtime.Runtime, found: ServerList, shared: Mapping[int, Sequence[str]]
) -> list[dict[str, Any]]:
    """Servers with all there is to say of them."""
    images = services.numbers.of_images(row.image_ref for row in found.rows if row.image_ref)
    flavors = services.numbers.of_flavors(row.flavorid for row in found.rows)
    return [
        {
            **_server_view(row, images, flavors[row.flavorid]),
            "addresses": addresses_of(found, row.id, shared),
            "metadata": found.metadata.get(row.id, {}),
        }
        for row in found.rows
    ]


def new_server_view(services: runtime.Runtime, row: Any, flavorid: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    """A server as it was made, whatever has become of it since."""
    images = services.numbers.of_images([row.image_ref])
    flavor = services.numbers.of_flavors([flavorid])[flavorid]
    addresses: dict[str, list[str]] = {"public": [], "private": []}
    return {**_server_view(row, images, flavor), "addresses": addresses, "metadata": dict(metadata)}


def _server_view(row: Any, images: Mapping[str, int], flavor: int) -> dict[str, Any]:
    """What stands in the row of a server; one without an image has no ``imageId``."""
    status = status_of(row.vm_state, row.task_state)
    image = {"imageId": images[row.image_ref]} if row.image_ref else {}
    return {
        "id": row.id,
        "uuid": row.uuid,
        "name": row.display_name,
        **image,
        "flavorId": flavor,
        "hostId": host_id(row.project_id or "", row.host),
        "status": _NEAREST.get(status, status),
        "progress": 100 if status == "ACTIVE" else row.progress or 0,
    }


def image_views(
    services: runtime.Runtime, context: RequestContext, images: Sequence[ImageRecord]
) -> list[dict[str, Any]]:
    """Images with all there is to say of them; the server that one was made of shows to its own project."""
    numbers = services.numbers.of_images(image.uuid for image in images)
    servers = services.numbers.of_servers(context, [image.instance_uuid for image in images if image.instance_uuid])
    shown = []
    for image in images:
        status, progress = _IMAGES.get(image.status, ("UNKNOWN", 0))
        one = {
            "id": numbers[image.uuid],
            "name": image.name,
            "created": stamp(image.created_at),
            "updated": stamp(image.updated_at or image.created_at),
            "status": status,
            "progress": progress,
        }
        server = servers.get(image.instance_uuid or "")
        shown.append(one if server is None else {**one, "serverId": server})
    return shown


def brief(shown: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Ids and names."""
    return [{name: one[name] for name in ("id", "name")} for one in shown]
