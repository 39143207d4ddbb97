"""The routes of the 1.0 API (spec openstack-core.md 9)."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Self

from nova_api.openstack import (
    APIMapper,
    ResourceRouter,
    backup_schedules,
    faults,
    mounts,
    sharedipgroups,
    versions,
    wsgi,
)
from nova_api.openstack.v1_0 import flavors, images, ips, limits, servers
from nova_api.wsgi import Environ, StartResponse

#: A path whose last part is an address, dots and all (spec 9.4 [D]).
_ADDRESS = re.compile(r"/servers/[^/]+/ips/public/[^/]+\Z")


class FaultWrapper(faults.FaultWrapper):
    """The outermost layer of the 1.0 API: what is below it, logins and limits too, speaks 1.0."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ[mounts.API] = mounts.V1_0
        return super().__call__(environ, start_response)


class APIRouter(ResourceRouter):
    """Routes requests of the 1.0 API, with a project in the path and without."""

    def __init__(self) -> None:
        self.resources: dict[str, wsgi.Resource] = {}
        mapper = APIMapper()
        version = versions.create_resource(versions.V1_0)
        mapper.connect("versions", "/", controller=version, action="show")
        mapper.connect(None, "", controller=version, action="redirect", conditions={"method": ["GET"]})
        super().__init__(mapper)
        detail = {"detail": "GET"}
        self._add("server", "servers", servers.create_resource(), collection=detail, member={"action": "POST"})
        self._add("ip", "ips", ips.create_resource(), parent="servers/:server_id")
        self._add("image", "images", images.create_resource(), collection=detail)
        self._add("flavor", "flavors", flavors.create_resource(), collection=detail)
        self._add("limits", "limits", limits.create_resource())
        self._add("shared_ip_group", "shared_ip_groups", sharedipgroups.create_resource(), collection=detail)
        schedules, addresses = backup_schedules.create_resource(), sharedipgroups.create_address_resource()
        self.resources |= {"backup_schedule": schedules, "shared_addresses": addresses}
        one = {"GET": "index", "POST": "create", "DELETE": "delete"}
        self._connect("/servers/:server_id/backup_schedule", schedules, one)
        self._connect("/servers/:server_id/ips/public/:address", addresses, {"PUT": "share", "DELETE": "unshare"})
        for path, resource in self.resources.items():
            resource.name = path

    @classmethod
    def factory(cls, global_config: Mapping[str, str], **local_config: str) -> Self:
        """Paste application factory; options are not looked at."""
        return cls()

    def _add(self, name: str, path: str, resource: wsgi.Resource, *, parent: str = "", **options: Any) -> None:
        """Routes of a resource: those without a project go first, so that ``/servers/flavors`` is a server.

        :param parent: the path around it
        :param options: see :meth:`nova_api.openstack.APIMapper.resource`
        """
        self.resources[path] = resource
        for prefix in (parent, f"{{project_id}}/{parent}"):
            self.map.resource(name, path, controller=resource, path_prefix=prefix, **options)

    def _connect(self, path: str, resource: wsgi.Resource, actions: Mapping[str, str]) -> None:
        """Routes that are no resource's, such as ``/servers/:server_id/ips/public/:address``.

        :param actions: names by method
        """
        for prefix in ("", "/{project_id}"):
            for method, action in actions.items():
                self.map.connect(
                    None, prefix + path, controller=resource, action=action, conditions={"method": [method]}
                )

    def without_format(self, path: str) -> str:
        """An address keeps its ending, whatever it looks like."""
        return path if _ADDRESS.search(path) else super().without_format(path)
