"""os-services: the services of the cloud, for administrators (of later releases than 2012.1)."""

from collections.abc import Iterable
from typing import Any

import webob.exc

from nova_api.openstack import wsgi
from nova_api.openstack.extended import row_time, text_field
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.later import AdministratorsController
from nova_api.openstack.paging import last

_SWITCHES = {"enable": True, "disable": False}


class ServiceController(AdministratorsController):
    """``/os-services``."""

    rule = "services"

    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """All services, or those of a host or a program."""
        self.authorize(req)
        host, binary = last(req, "host"), last(req, "binary") or last(req, "service")
        found = [
            {
                "binary": one.binary,
                "host": one.host,
                "zone": one.zone,
                "status": "disabled" if one.disabled else "enabled",
                "state": "up" if one.alive else "down",
                "updated_at": row_time(one.updated_at),
            }
            for one in self.services.zones.services()
            if host in (None, "", one.host) and binary in (None, "", one.binary)
        ]
        return {"services": found}

    def update(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        """Take a service out of scheduling (``disable``), or back (``enable``)."""
        self.authorize(req)
        if id not in _SWITCHES:
            raise webob.exc.HTTPNotFound
        fields = body if isinstance(body, dict) else {}
        host, binary = text_field(fields, "host"), text_field(fields, "binary")
        if not host or not binary:
            raise webob.exc.HTTPBadRequest
        self.services.zones.set_enabled(host, binary, _SWITCHES[id])
        return {"service": {"host": host, "binary": binary, "status": f"{id}d"}}


class Services(ExtensionDescriptor):
    """Services of the cloud, for administrators."""

    name = "Services"
    alias = "os-services"
    namespace = "http://docs.openstack.org/compute/ext/services/api/v2"
    updated = "2012-10-28T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-services", ServiceController())
