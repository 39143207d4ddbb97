"""os-floating-ip-pools: where floating addresses come from (spec openstack-extensions.md 6.2)."""

from collections.abc import Iterable
from typing import Any

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.xml import Element, Template

_ALL = Template(
    Element("floating_ip_pools", Element("floating_ip_pool", select="floating_ip_pools", attributes=("name",)))
)


class FloatingIPPoolsController(ExtensionController):
    """``/os-floating-ip-pools``."""

    rule = "floating_ip_pools"

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """The names of the pools."""
        self.authorize(req)
        return {"floating_ip_pools": [{"name": name} for name in self.services.network.pools(req.context)]}


class Floating_ip_pools(ExtensionDescriptor):
    """Pools of floating addresses."""

    name = "Floating_ip_pools"
    alias = "os-floating-ip-pools"
    namespace = "http://docs.openstack.org/compute/ext/floating_ip_pools/api/v1.1"
    updated = "2012-01-04T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-floating-ip-pools", FloatingIPPoolsController())
