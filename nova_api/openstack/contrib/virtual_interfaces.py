"""virtual_interfaces: the network cards of a server (spec openstack-extensions.md 3)."""

from collections.abc import Iterable
from typing import Any

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, page_by_offset
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.xml import COMPUTE_NS, Element, Template

_ALL = Template(
    Element(
        "virtual_interfaces",
        Element("virtual_interface", select="virtual_interfaces", attributes=("id", "mac_address")),
    ),
    {None: COMPUTE_NS},
)


class ServerVirtualInterfaceController(ExtensionController):
    """``/servers/{server_id}/os-virtual-interfaces``."""

    rule = "virtual_interfaces"

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request, server_id: str) -> dict[str, Any]:
        """UUID and hardware address of each card."""
        self.authorize(req)
        found = self.services.networks.interfaces(req.context, server_id)
        page = page_by_offset(req, found, self.services.config.osapi_max_limit)
        return {"virtual_interfaces": [{"id": row.uuid, "mac_address": row.mac} for row in page]}


class Virtual_interfaces(ExtensionDescriptor):
    """Network cards of servers."""

    name = "VirtualInterfaces"
    alias = "virtual_interfaces"
    namespace = "http://docs.openstack.org/compute/ext/virtual_interfaces/api/v1.1"
    updated = "2011-08-17T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        parent = {"member_name": "server", "collection_name": "servers"}
        yield ResourceExtension("os-virtual-interfaces", ServerVirtualInterfaceController(), parent)
