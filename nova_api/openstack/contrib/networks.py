"""os-networks: the operator's view of networks (spec openstack-extensions.md 6.4). In XML a child per member."""

from collections.abc import Iterable
from typing import Any

import webob
import webob.exc

from nova_api.cloud.networks import NetworkRecord
from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, row_time
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.server_input import refuse

#: What 2012.1 told of networks that this cloud does not have: IPv6, VPN, VLAN, hosts of their own.
_NOTHING = (
    "bridge_interface",
    "vlan",
    "vpn_public_address",
    "vpn_public_port",
    "vpn_private_address",
    "cidr_v6",
    "gateway_v6",
    "netmask_v6",
    "deleted_at",
)


def _view(network: NetworkRecord) -> dict[str, Any]:
    return {
        # The list of 2012.1 told a number here that no address led to.
        "id": network.uuid,
        "label": network.label,
        "cidr": network.cidr,
        "netmask": network.netmask,
        "broadcast": network.broadcast,
        "gateway": network.gateway,
        "dhcp_start": network.dhcp_start,
        "dns1": network.dns1,
        "bridge": network.bridge,
        "project_id": network.project_id,
        "host": network.host,
        "multi_host": False,
        "injected": False,
        "deleted": False,
        "created_at": row_time(network.created_at),
        "updated_at": row_time(network.updated_at),
        **dict.fromkeys(_NOTHING),
    }


class NetworkController(ExtensionController):
    """``/os-networks``."""

    rule = "networks"

    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """All networks."""
        self.authorize(req)
        return {"networks": [_view(one) for one in self.services.networks.list(req.context)]}

    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One network, by its UUID."""
        self.authorize(req)
        return {"network": _view(self.services.networks.get(req.context, _uuid(id)))}

    def delete(self, req: wsgi.Request, id: str) -> webob.Response:
        """End a network that no server is on."""
        self.authorize(req)
        self.services.networks.delete(req.context, _uuid(id))
        return wsgi.accepted()

    def create(self, req: wsgi.Request, body: Any = None) -> None:
        """Networks are made by ``nova-manage``.

        :raises HTTPBadRequest: always, as in 2012.1
        """
        self.authorize(req)
        raise webob.exc.HTTPBadRequest

    def action(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        """``disassociate`` takes a network from its project."""
        self.authorize(req)
        if not isinstance(body, dict) or not body:
            raise refuse("Invalid request body")
        for name in body:
            if name != "disassociate":
                raise refuse(f"Network does not have {name[:40]} action")
        self.services.networks.disassociate(req.context, _uuid(id))
        return wsgi.accepted()


def _uuid(text: str) -> str:
    if not text.isprintable():
        raise webob.exc.HTTPNotFound
    return text


class Networks(ExtensionDescriptor):
    """Networks, for administrators."""

    name = "Networks"
    alias = "os-networks"
    namespace = "http://docs.openstack.org/compute/ext/networks/api/v1.1"
    updated = "2011-12-23T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-networks", NetworkController(), member_actions={"action": "POST"})
