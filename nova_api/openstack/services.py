"""The base of controllers that ask the cloud."""

from nova_api import runtime
from nova_api.openstack import wsgi


class ServicesController(wsgi.Controller):
    """A controller with the cloud's services at hand.

    :param services: the runtime; the current one by default
    """

    def __init__(self, services: runtime.Runtime | None = None) -> None:
        self.services = services or runtime.current()
