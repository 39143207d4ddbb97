"""``/volumes`` of the Volume API."""

from nova_api.openstack import wsgi
from nova_api.openstack.volume_resources import VolumeResource


class VolumeController(VolumeResource):
    """Volumes; there is no rule but those of the actions themselves."""


def create_resource() -> wsgi.Resource:
    """The resource of the router."""
    return wsgi.Resource(VolumeController())
