"""os-quota-sets: the limits of projects (spec openstack-extensions.md 7)."""

from collections.abc import Iterable, Mapping
from typing import Any

import webob.exc

from nova_api import errors, limits
from nova_api.cloud.quota import UNLIMITED
from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, fields_of
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.server_input import refuse, storable
from nova_api.openstack.xml import Element, Template

#: What the extension knows of; EC2 has limits besides.
_RESOURCES = (
    "metadata_items",
    "injected_file_content_bytes",
    "volumes",
    "gigabytes",
    "ram",
    "floating_ips",
    "instances",
    "injected_files",
    "cores",
)
_ONE = Template(
    Element("quota_set", *(Element(name, text=name) for name in _RESOURCES), select="quota_set", attributes=("id",))
)


def _view(tenant: str, found: Mapping[str, int]) -> dict[str, Any]:
    shown = {name: None if found[name] == UNLIMITED else found[name] for name in _RESOURCES}
    return {"quota_set": {"id": tenant, **shown}}


class QuotaSetsController(ExtensionController):
    """``/os-quota-sets``."""

    rule = "quotas"

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """The limits of a project: one's own, or any for administrators."""
        self.authorize(req)
        tenant = _tenant(id)
        if not req.context.is_admin and tenant != req.context.project_id:
            raise webob.exc.HTTPForbidden
        return _view(tenant, self.services.quotas.limits(tenant))

    @wsgi.serializers(xml=_ONE)
    def defaults(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """The limits of projects that have none of their own."""
        self.authorize(req)
        return _view(_tenant(id), self.services.quotas.defaults)

    @wsgi.serializers(xml=_ONE)
    def update(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        """Change limits: all that are named, or none."""
        self.authorize(req)
        tenant, fields = _tenant(id), fields_of(body, "quota_set")
        named = {name: fields[name] for name in _RESOURCES if name in fields}
        if not req.context.is_admin:
            if named:
                raise webob.exc.HTTPForbidden
            if tenant != req.context.project_id:
                raise errors.NotAuthorized
        self.services.quotas.set_limits(tenant, {name: _limit(name, value) for name, value in named.items()})
        return _view(tenant, self.services.quotas.limits(tenant))


def _tenant(text: str) -> str:
    if len(text) > limits.MAX_NAME:
        raise webob.exc.HTTPNotFound
    return storable(text)


def _limit(name: str, value: Any) -> int:
    if value is None:
        raise webob.exc.HTTPBadRequest
    text = str(value).strip() if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 18):
        raise refuse(f"The limit of {name} is no integer")
    if int(text) < UNLIMITED:
        raise refuse(f"The limit of {name} must be {UNLIMITED} (none) or greater")
    return int(text)


class Quotas(ExtensionDescriptor):
    """The limits of projects."""

    name = "Quotas"
    alias = "os-quota-sets"
    namespace = "http://docs.openstack.org/compute/ext/quotas-sets/api/v1.1"
    updated = "2011-08-08T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-quota-sets", QuotaSetsController(), member_actions={"defaults": "GET"})
