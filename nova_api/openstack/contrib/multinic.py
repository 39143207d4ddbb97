"""NMN: further fixed addresses of servers (spec openstack-extensions.md 3)."""

from collections.abc import Iterable
from typing import Any

import webob
import webob.exc

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController
from nova_api.openstack.extensions import ControllerExtension, ExtensionDescriptor
from nova_api.openstack.server_input import storable


class MultinicController(ExtensionController):
    """``addFixedIp`` and ``removeFixedIp``."""

    rule = "multinic"

    @wsgi.action("addFixedIp")
    def _add(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        self.authorize(req)
        network = _argument(body, "addFixedIp", "networkId")
        self.services.networks.add_fixed_ip(req.context, id, network)
        return wsgi.accepted()

    @wsgi.action("removeFixedIp")
    def _remove(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        self.authorize(req)
        address = _argument(body, "removeFixedIp", "address")
        self.services.networks.remove_fixed_ip(req.context, id, address)
        return wsgi.accepted()


def _argument(body: Any, action: str, name: str) -> str:
    given = body[action]
    if not isinstance(given, dict):
        raise webob.exc.HTTPBadRequest
    if name not in given:
        raise webob.exc.HTTPUnprocessableEntity(explanation=f"Missing '{name}' argument for {action}")
    value = given[name]
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise webob.exc.HTTPBadRequest
    return storable(str(value))


class Multinic(ExtensionDescriptor):
    """Further addresses of a server."""

    name = "Multinic"
    alias = "NMN"
    namespace = "http://docs.openstack.org/compute/ext/multinic/api/v1.1"
    updated = "2011-06-09T00:00:00+00:00"

    def get_controller_extensions(self) -> Iterable[ControllerExtension]:
        yield ControllerExtension(self, "servers", MultinicController())
