"""os-interface: the network cards of a server with their addresses (of later releases than 2012.1; to look at only)."""

from collections.abc import Iterable
from typing import Any

import webob.exc

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension


class InterfaceAttachmentController(ExtensionController):
    """``/servers/{server_id}/os-interface``."""

    rule = "attach_interfaces"

    def index(self, req: wsgi.Request, server_id: str) -> dict[str, Any]:
        """All cards."""
        return {"interfaceAttachments": self._cards(req, server_id)}

    def show(self, req: wsgi.Request, server_id: str, id: str) -> dict[str, Any]:
        """One card."""
        for card in self._cards(req, server_id):
            if card["port_id"] == id:
                return {"interfaceAttachment": card}
        raise webob.exc.HTTPNotFound

    def _cards(self, req: wsgi.Request, server: str) -> list[dict[str, Any]]:
        self.authorize(req)
        return [
            {
                "port_id": card.uuid,
                "port_state": "ACTIVE",
                "net_id": card.network,
                "mac_addr": card.mac,
                # A subnet is the network itself here.
                "fixed_ips": [{"ip_address": address, "subnet_id": card.network} for address in addresses],
            }
            for card, addresses in self.services.networks.cards(req.context, server)
        ]


class Attach_interfaces(ExtensionDescriptor):
    """Network cards of servers with their addresses."""

    name = "AttachInterfaces"
    alias = "os-attach-interfaces"
    namespace = "http://docs.openstack.org/compute/ext/interfaces/api/v1.1"
    updated = "2012-07-22T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        parent = {"member_name": "server", "collection_name": "servers"}
        yield ResourceExtension("os-interface", InterfaceAttachmentController(), parent)
