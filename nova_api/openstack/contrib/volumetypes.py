"""os-volume-types: kinds of volumes, with free keys and values (spec openstack-extensions.md 11.5)."""

from collections.abc import Iterable, Mapping

from nova_api.openstack import wsgi
from nova_api.openstack.extended import number_or_404
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension, authorize
from nova_api.openstack.extra_specs import ExtraSpecsController
from nova_api.openstack.volume_resources import COMPUTE, TypeResource


class VolumeTypesController(TypeResource):
    """``/os-volume-types``."""

    form = COMPUTE

    def admit(self, req: wsgi.Request) -> None:
        authorize(req.context, "volumetypes")


class VolumeTypeExtraSpecsController(ExtraSpecsController):
    """``/os-volume-types/{vol_type_id}/extra_specs``: everybody reads, administrators write."""

    rule = "volumetypes"

    def read(self, req: wsgi.Request, owner: str) -> Mapping[str, str]:
        return self.services.volume_types.get(number_or_404(owner)).extra_specs

    def write(self, req: wsgi.Request, owner: str, specs: Mapping[str, str]) -> None:
        self.services.volume_types.set_extra_specs(req.context, number_or_404(owner), specs)

    def drop(self, req: wsgi.Request, owner: str, key: str) -> None:
        self.services.volume_types.remove_extra_spec(req.context, number_or_404(owner), key)


class Volumetypes(ExtensionDescriptor):
    """Kinds of volumes."""

    name = "VolumeTypes"
    alias = "os-volume-types"
    namespace = "http://docs.openstack.org/compute/ext/volume_types/api/v1.1"
    updated = "2011-08-24T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-volume-types", VolumeTypesController())
        parent = {"member_name": "vol_type", "collection_name": "os-volume-types"}
        yield ResourceExtension("extra_specs", VolumeTypeExtraSpecsController(), parent)
