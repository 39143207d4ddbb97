"""The OpenStack Volume API v1: volumes, snapshots and their types at a port of their own (spec extensions 12)."""

from typing import Any

from nova_api import openstack
from nova_api.openstack import extensions
from nova_api.openstack.volume import snapshots, types, versions, volumes


class ExtensionManager(extensions.ExtensionManager):
    """This API has no extensions."""

    def __init__(self) -> None:
        super().__init__(())


class APIRouter(openstack.APIRouter):
    """Routes requests on the Volume API to the appropriate controller and method."""

    ExtensionManager = ExtensionManager

    def _setup_routes(self, mapper: openstack.ProjectMapper, ext_mgr: Any) -> None:
        version = versions.create_resource()
        mapper.connect("versions", "/", controller=version, action="show")
        mapper.connect(None, "", controller=version, action="redirect", conditions={"method": ["GET"]})
        detail = {"detail": "GET"}
        self.resources["volumes"] = volumes.create_resource()
        mapper.resource("volume", "volumes", controller=self.resources["volumes"], collection=detail)
        self.resources["types"] = types.create_resource()
        mapper.resource("type", "types", controller=self.resources["types"])
        self.resources["snapshots"] = snapshots.create_resource()
        mapper.resource("snapshot", "snapshots", controller=self.resources["snapshots"], collection=detail)
