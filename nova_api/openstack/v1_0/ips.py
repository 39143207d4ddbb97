"""Addresses of servers (spec openstack-core.md 9.3)."""

from typing import Any

import webob.exc

from nova_api.openstack import wsgi
from nova_api.openstack.services import ServicesController
from nova_api.openstack.v1_0.views import addresses_element, addresses_of, network_element, template

_ALL = template(addresses_element())


class _One:
    """The document of one network, which is named by its only member."""

    @staticmethod
    def serialize(data: dict[str, Any]) -> bytes:
        """The document."""
        (name,) = data
        return template(network_element(name)).serialize(data)


class IPsController(ServicesController):
    """``/servers/ID/ips``."""

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request, server_id: str) -> dict[str, Any]:
        """Addresses, public and private ones."""
        return {"addresses": self._read(req, server_id)}

    @wsgi.serializers(xml=_One)
    def show(self, req: wsgi.Request, server_id: str, id: str) -> dict[str, Any]:
        """Those of one kind."""
        found = self._read(req, server_id)
        if id not in found:
            raise webob.exc.HTTPNotFound(explanation="Only private and public networks available")
        return {id: found[id]}

    def _read(self, req: wsgi.Request, server: str) -> dict[str, list[str]]:
        found = self.services.servers.get(req.context, server)
        number = found.rows[0].id
        return addresses_of(found, number, self.services.shared_ip_groups.addresses([number]))


def create_resource() -> wsgi.Resource:
    """The resource of the router."""
    return wsgi.Resource(IPsController())
