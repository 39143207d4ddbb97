"""The Compute API 1.1, which is 2 as well: its core resources and their routes (spec openstack-core.md 1.4)."""

from typing import Any

from nova_api import openstack
from nova_api.openstack import flavors, versions, wsgi
from nova_api.openstack.extensions import ExtensionManager


class APIRouter(openstack.APIRouter):
    """Routes requests on the OpenStack API to the appropriate controller and method."""

    ExtensionManager = ExtensionManager

    def _setup_routes(self, mapper: openstack.ProjectMapper, ext_mgr: Any) -> None:
        version = versions.create_resource()
        mapper.connect("versions", "/", controller=version, action="show")
        mapper.connect(None, "", controller=version, action="redirect", conditions={"method": ["GET"]})
        self._add(mapper, "flavor", "flavors", flavors.create_resource(ext_mgr.get_attributes("flavors")))

    def _add(
        self, mapper: openstack.ProjectMapper, member: str, collection: str, resource: wsgi.Resource, **options: Any
    ) -> None:
        self.resources[collection] = resource
        if "parent_resource" not in options:
            options.setdefault("collection", {"detail": "GET"})
        mapper.resource(member, collection, controller=resource, **options)
