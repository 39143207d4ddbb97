"""The Compute API 1.1, which is 2 as well: its core resources and their routes (spec openstack-core.md 1.4)."""

from typing import Any

from nova_api import openstack
from nova_api.openstack import (
    consoles,
    flavors,
    imagemetadata,
    images,
    ips,
    limits,
    servermetadata,
    servers,
    versions,
    wsgi,
)
from nova_api.openstack.extensions import ExtensionManager

_SERVER = {"member_name": "server", "collection_name": "servers"}
_IMAGE = {"member_name": "image", "collection_name": "images"}


class APIRouter(openstack.APIRouter):
    """Routes requests on the OpenStack API to the appropriate controller and method."""

    ExtensionManager = ExtensionManager

    def _setup_routes(self, mapper: openstack.ProjectMapper, ext_mgr: Any) -> None:
        version = versions.create_resource()
        mapper.connect("versions", "/", controller=version, action="show")
        mapper.connect(None, "", controller=version, action="redirect", conditions={"method": ["GET"]})
        of = ext_mgr.get_attributes
        detail = {"detail": "GET"}
        add = self._add
        add(mapper, "console", "consoles", consoles.create_resource(), parent_resource=_SERVER)
        add(
            mapper,
            "server",
            "servers",
            servers.create_resource(of("servers")),
            collection=detail,
            member={"action": "POST"},
        )
        add(mapper, "ip", "ips", ips.create_resource(), parent_resource=_SERVER)
        add(mapper, "image", "images", images.create_resource(of("images")), collection=detail)
        add(mapper, "limits", "limits", limits.create_resource())
        add(mapper, "flavor", "flavors", flavors.create_resource(of("flavors")), collection=detail)
        self._add_metadata(mapper, "image_metadata", imagemetadata.create_resource(), _IMAGE)
        self._add_metadata(mapper, "server_metadata", servermetadata.create_resource(), _SERVER)

    def _add(
        self, mapper: openstack.ProjectMapper, name: str, path: str, resource: wsgi.Resource, **options: Any
    ) -> None:
        self.resources[path] = resource
        mapper.resource(name, path, controller=resource, **options)

    def _add_metadata(
        self, mapper: openstack.ProjectMapper, name: str, resource: wsgi.Resource, parent: dict[str, str]
    ) -> None:
        """Metadata: a resource whose collection can be replaced as a whole."""
        self.resources[name] = resource
        mapper.resource(name, "metadata", controller=resource, parent_resource=parent)
        path = f"/{{project_id}}/{parent['collection_name']}/:{parent['member_name']}_id/metadata"
        mapper.connect(None, path, controller=resource, action="update_all", conditions={"method": ["PUT"]})
