"""os-floating-ips: public addresses of a project, and the servers they lead to (spec openstack-extensions.md 6.1)."""

from collections.abc import Iterable
from typing import Any

import webob
import webob.exc

from nova_api import errors
from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, number_or_404, text_field
from nova_api.openstack.extensions import ControllerExtension, ExtensionDescriptor, ResourceExtension
from nova_api.openstack.server_input import refuse, storable
from nova_api.openstack.xml import Element, Template

_SHOWN = ("instance_id", "ip", "fixed_ip", "id", "pool")
_ONE = Template(Element("floating_ip", select="floating_ip", attributes=_SHOWN))
_ALL = Template(Element("floating_ips", Element("floating_ip", select="floating_ips", attributes=_SHOWN)))


def _view(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "ip": row.address,
        "pool": row.pool,
        "fixed_ip": row.fixed_address,
        "instance_id": row.instance_uuid,
    }


class FloatingIPController(ExtensionController):
    """``/os-floating-ips``."""

    rule = "floating_ips"

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """The project's addresses."""
        self.authorize(req)
        return {"floating_ips": [_view(row) for row in self.services.network.list(req.context)]}

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One address."""
        self.authorize(req)
        return {"floating_ip": _view(self.services.network.show(req.context, number_or_404(id)))}

    @wsgi.serializers(xml=_ONE)
    def create(self, req: wsgi.Request, body: Any = None) -> dict[str, Any]:
        """Take an address out of a pool; a body that names none is none."""
        self.authorize(req)
        pool = text_field(body, "pool") if isinstance(body, dict) else None
        network = self.services.network
        try:
            address = network.allocate(req.context, pool or None)
        except errors.NoMoreFloatingIps:
            where = f" in pool {pool}." if pool else " available."
            raise refuse(f"No more floating ips{where}") from None
        return {"floating_ip": _view(network.list(req.context, [address])[0])}

    def delete(self, req: wsgi.Request, id: str) -> webob.Response:
        """Return an address to its pool, also one that a server has."""
        self.authorize(req)
        self.services.network.give_back(req.context, number_or_404(id))
        return wsgi.accepted()


class FloatingIPActionController(ExtensionController):
    """``addFloatingIp`` and ``removeFloatingIp``."""

    rule = "floating_ips"

    @wsgi.action("addFloatingIp")
    def _add(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        self.authorize(req)
        given = body["addFloatingIp"]
        address = _address(given)
        fixed = text_field(given, "fixed_address") or None
        try:
            self.services.network.put_on(req.context, id, address, fixed)
        except errors.FixedIpNotFoundForInstance:
            raise refuse("No fixed ips associated to instance") from None
        return wsgi.accepted()

    @wsgi.action("removeFloatingIp")
    def _remove(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        self.authorize(req)
        self.services.network.take_off(req.context, id, _address(body["removeFloatingIp"]))
        return wsgi.accepted()


def _address(given: Any) -> str:
    if not isinstance(given, dict):
        raise refuse("Missing parameter dict")
    if "address" not in given:
        raise refuse("Address not specified")
    if not isinstance(given["address"], str):
        raise webob.exc.HTTPBadRequest
    return storable(given["address"])


class Floating_ips(ExtensionDescriptor):
    """Public addresses of a project."""

    name = "Floating_ips"
    alias = "os-floating-ips"
    namespace = "http://docs.openstack.org/compute/ext/floating_ips/api/v1.1"
    updated = "2011-06-16T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-floating-ips", FloatingIPController())

    def get_controller_extensions(self) -> Iterable[ControllerExtension]:
        yield ControllerExtension(self, "servers", FloatingIPActionController())
