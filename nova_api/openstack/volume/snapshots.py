"""``/snapshots`` of the Volume API."""

from nova_api.openstack import wsgi
from nova_api.openstack.volume_resources import SnapshotResource


class SnapshotsController(SnapshotResource):
    """Snapshots."""


def create_resource() -> wsgi.Resource:
    """The resource of the router."""
    return wsgi.Resource(SnapshotsController())
