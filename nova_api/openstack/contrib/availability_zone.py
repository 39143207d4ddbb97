"""os-availability-zone: zones, and for administrators the services in them (of later releases than 2012.1)."""

from collections.abc import Iterable
from typing import Any

from nova_api.cloud.zones import ServiceState
from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, row_time
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.later import AdministratorsController


def _zone(name: str, available: bool, hosts: Any = None) -> dict[str, Any]:
    return {"zoneName": name, "zoneState": {"available": available}, "hosts": hosts}


class _Detail(AdministratorsController):
    rule = "availability_zone"


class AvailabilityZoneController(ExtensionController):
    """``/os-availability-zone``."""

    rule = "availability_zone"

    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """The zones."""
        self.authorize(req, "list")
        return {"availabilityZoneInfo": [_zone(one.name, one.available) for one in self.services.zones.list()]}

    def detail(self, req: wsgi.Request) -> dict[str, Any]:
        """The zones with their hosts and the services on them."""
        _Detail(self.services).authorize(req, "detail")
        hosts: dict[str, dict[str, dict[str, Any]]] = {}
        for one in self.services.zones.services():
            hosts.setdefault(one.zone, {}).setdefault(one.host, {})[one.binary] = _service(one)
        zones = self.services.zones.list()
        return {"availabilityZoneInfo": [_zone(one.name, one.available, hosts[one.name]) for one in zones]}


def _service(one: ServiceState) -> dict[str, Any]:
    return {"active": not one.disabled, "available": one.alive, "updated_at": row_time(one.updated_at)}


class Availability_zone(ExtensionDescriptor):
    """Availability zones."""

    name = "AvailabilityZone"
    alias = "os-availability-zone"
    namespace = "http://docs.openstack.org/compute/ext/availabilityzone/api/v1.1"
    updated = "2012-12-21T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension(
            "os-availability-zone", AvailabilityZoneController(), collection_actions={"detail": "GET"}
        )
