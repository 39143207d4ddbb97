"""os-cloudpipe: VPN instances of projects (spec openstack-extensions.md 10.4)."""

from collections.abc import Iterable
from typing import Any

import webob.exc

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, fields_of, text_field
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.xml import Element, Template

_SHOWN = ("project_id", "instance_id", "created_at", "internal_ip", "public_ip", "public_port", "state")
_ALL = Template(
    Element("cloudpipes", Element("cloudpipe", *(Element(name, text=name) for name in _SHOWN), select="cloudpipes"))
)
_MADE = Template(Element("cloudpipe", Element("instance_id", text="instance_id")))


class CloudpipeController(ExtensionController):
    """``/os-cloudpipe``."""

    rule = "cloudpipe"

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """The VPN instances of all projects."""
        self.authorize(req)
        found = [
            {
                "project_id": pipe.project_id,
                "instance_id": pipe.instance_id,
                "created_at": pipe.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "internal_ip": pipe.internal_ip,
                "public_ip": None,
                "public_port": None,
                "state": pipe.state,
            }
            for pipe in self.services.cloudpipes.list()
        ]
        return {"cloudpipes": found}

    @wsgi.serializers(xml=_MADE)
    def create(self, req: wsgi.Request, body: Any) -> dict[str, Any]:
        """Start the VPN instance of a project; one that runs already is told."""
        self.authorize(req)
        project = text_field(fields_of(body, "cloudpipe"), "project_id") or req.context.project_id
        if not project:
            raise webob.exc.HTTPBadRequest
        return {"instance_id": self.services.cloudpipes.create(req.context, project)}


class Cloudpipe(ExtensionDescriptor):
    """VPN instances of projects."""

    name = "Cloudpipe"
    alias = "os-cloudpipe"
    namespace = "http://docs.openstack.org/compute/ext/cloudpipe/api/v1.1"
    updated = "2011-12-16T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-cloudpipe", CloudpipeController())
