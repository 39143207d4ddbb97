"""Which versions of the Volume API there are."""

from nova_api.openstack import versions, wsgi
from nova_api.openstack.versions import VOLUME_VERSIONS, VersionDetail


class Versions(versions.Versions):
    """The application at ``/``."""

    def __init__(self) -> None:
        super().__init__(VOLUME_VERSIONS)


def create_resource() -> wsgi.Resource:
    """The version document of the router."""
    return wsgi.Resource(VersionDetail(VOLUME_VERSIONS[0]))
