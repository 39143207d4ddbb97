"""os-flavor-extra-specs: free keys and values of flavors (spec openstack-extensions.md 9.2)."""

from collections.abc import Iterable, Mapping

from nova_api.openstack import wsgi
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.extra_specs import ExtraSpecsController
from nova_api.openstack.server_input import storable


class FlavorExtraSpecsController(ExtraSpecsController):
    """``/flavors/{flavor_id}/os-extra_specs``: everybody reads, administrators write."""

    rule = "flavorextraspecs"

    def read(self, req: wsgi.Request, owner: str) -> Mapping[str, str]:
        return self.services.flavors.extra_specs(storable(owner))

    def write(self, req: wsgi.Request, owner: str, specs: Mapping[str, str]) -> None:
        self.services.flavors.set_extra_specs(req.context, storable(owner), specs)

    def drop(self, req: wsgi.Request, owner: str, key: str) -> None:
        self.services.flavors.remove_extra_spec(req.context, storable(owner), key)


class Flavorextraspecs(ExtensionDescriptor):
    """Free keys and values of flavors."""

    name = "FlavorExtraSpecs"
    alias = "os-flavor-extra-specs"
    namespace = "http://docs.openstack.org/compute/ext/flavor_extra_specs/api/v1.1"
    updated = "2011-06-23T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        parent = {"member_name": "flavor", "collection_name": "flavors"}
        yield ResourceExtension("os-extra_specs", FlavorExtraSpecsController(), parent)
