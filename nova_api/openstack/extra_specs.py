"""Free keys and values below something: of flavors and of volume types (spec openstack-extensions.md 9.2, 11.5)."""

from collections.abc import Mapping
from typing import Any

import webob.exc

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, fields_of, texts_of
from nova_api.openstack.server_input import refuse, storable
from nova_api.openstack.xml import FreeDocument, FreeElement, Template

_ALL = Template(FreeElement("extra_specs", select="extra_specs"))


class ExtraSpecsController(ExtensionController):
    """``…/{owner}/extra_specs``; the id of the owner comes under the name that the route gives it."""

    def read(self, req: wsgi.Request, owner: str) -> Mapping[str, str]:
        """The specs of an owner.

        :raises NotFound: there is no such owner
        """
        raise NotImplementedError

    def write(self, req: wsgi.Request, owner: str, specs: Mapping[str, str]) -> None:
        """Add specs, or change them.

        :raises ApiError: there is no such owner, or the caller may not
        """
        raise NotImplementedError

    def drop(self, req: wsgi.Request, owner: str, key: str) -> None:
        """Drop a spec.

        :raises ApiError: there is no such owner, or the caller may not
        """
        raise NotImplementedError

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request, **owner: str) -> dict[str, Any]:
        """All of them."""
        self.authorize(req)
        return {"extra_specs": dict(self.read(req, _only(owner)))}

    @wsgi.serializers(xml=FreeDocument)
    def show(self, req: wsgi.Request, id: str, **owner: str) -> dict[str, Any]:
        """One of them."""
        self.authorize(req)
        found = self.read(req, _only(owner))
        if id not in found:
            raise webob.exc.HTTPNotFound
        return {id: found[id]}

    @wsgi.serializers(xml=_ALL)
    def create(self, req: wsgi.Request, body: Any, **owner: str) -> dict[str, Any]:
        """Add some, or change them; the others stay. What was sent comes back as it was sent."""
        self.authorize(req)
        sent = fields_of(body, "extra_specs")
        self.write(req, _only(owner), texts_of(sent))
        return {"extra_specs": dict(sent)}

    @wsgi.serializers(xml=FreeDocument)
    def update(self, req: wsgi.Request, id: str, body: Any, **owner: str) -> dict[str, Any]:
        """Add one, or change it."""
        self.authorize(req)
        if not isinstance(body, dict):
            raise webob.exc.HTTPBadRequest
        if id not in body:
            raise refuse("Request body and URI mismatch")
        if len(body) > 1:
            raise refuse("Request body contains too many items")
        self.write(req, _only(owner), texts_of(body))
        return body

    def delete(self, req: wsgi.Request, id: str, **owner: str) -> None:
        """Drop one; one that is not there is fine, as in 2012.1."""
        self.authorize(req)
        self.drop(req, _only(owner), storable(id))


def _only(owner: Mapping[str, str]) -> str:
    (found,) = owner.values()
    return found
