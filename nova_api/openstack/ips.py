"""Addresses of servers (spec openstack-core.md 6.4)."""

import json
from typing import Any

import webob.exc

from nova_api import errors
from nova_api.openstack import wsgi
from nova_api.openstack.metadata_input import not_found
from nova_api.openstack.services import ServicesController
from nova_api.openstack.views.server_xml import ADDRESSES
from nova_api.openstack.views.servers import addresses_text
from nova_api.openstack.xml import COMPUTE_NS, Element, Template

_ALL = Template(ADDRESSES, {None: COMPUTE_NS})


def _network(data: dict[str, Any]) -> dict[str, Any]:
    """The one network of a document: its label is the only key."""
    label, addresses = next(iter(data.items()))
    return {"id": label, "addresses": addresses}


_ONE = Template(
    Element(
        "network",
        Element("ip", select="addresses", attributes=("version", "addr")),
        select=_network,
        attributes=("id",),
    ),
    {None: COMPUTE_NS},
)


class IPsController(ServicesController):
    """``/servers/ID/ips``."""

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request, server_id: str) -> dict[str, Any]:
        """Addresses by network."""
        return {"addresses": self._read(req, server_id)}

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, server_id: str, id: str) -> dict[str, Any]:
        """Addresses of one network, by its label."""
        found = self._read(req, server_id)
        if id not in found:
            raise not_found("Instance is not a member of specified network")
        return {id: found[id]}

    def create(self, *args: Any, **kwargs: Any) -> None:
        """The 1.0 API shares addresses; this one does not."""
        raise webob.exc.HTTPNotImplemented

    def delete(self, *args: Any, **kwargs: Any) -> None:
        """As :meth:`create`."""
        raise webob.exc.HTTPNotImplemented

    def _read(self, req: wsgi.Request, server: str) -> dict[str, Any]:
        try:
            found = self.services.servers.get(req.context, server)
        except errors.InstanceNotFound:
            raise not_found("Instance does not exist") from None
        text = addresses_text(found.addresses.get(found.rows[0].id))
        return dict(json.loads(text))


def create_resource() -> wsgi.Resource:
    """The resource of the routers."""
    return wsgi.Resource(IPsController())
