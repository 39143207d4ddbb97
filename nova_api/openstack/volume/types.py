"""``/types`` of the Volume API. 2012.1 only showed them; later clients make and delete them here."""

from nova_api.openstack import wsgi
from nova_api.openstack.volume_resources import TypeResource


class VolumeTypesController(TypeResource):
    """Types of volumes."""


def create_resource() -> wsgi.Resource:
    """The resource of the router."""
    return wsgi.Resource(VolumeTypesController())
