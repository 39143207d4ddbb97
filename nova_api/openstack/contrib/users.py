"""os-users: administrators manage users (spec openstack-extensions.md 10.5). For the built-in identity only."""

from collections.abc import Iterable, Mapping
from typing import Any

import webob
import webob.exc

from nova_api import errors, limits
from nova_api.context import new_uuid
from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, fields_of, page_by_offset, text_field
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.server_input import storable
from nova_api.openstack.xml import Element, Template

_SHOWN = ("access", "admin", "secret", "id", "name")
_ONE = Template(Element("user", select="user", attributes=_SHOWN))
_ALL = Template(Element("users", Element("user", select="users", attributes=_SHOWN)))


def _view(row: Any, keys: tuple[str | None, str | None]) -> dict[str, Any]:
    access, secret = keys
    return {"id": row.id, "name": row.id, "access": access, "secret": secret, "admin": bool(row.is_admin)}


class UsersController(ExtensionController):
    """``/users``."""

    rule = "users"

    def authorize(self, req: wsgi.Request, action: str | None = None) -> None:
        """As everywhere; where Keystone has the users, there is nothing here."""
        super().authorize(req, action)
        if self.services.config.auth_strategy == "keystone":
            raise webob.exc.HTTPNotImplemented

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """All users, with their oldest keys."""
        return self._every(req)

    @wsgi.serializers(xml=_ALL)
    def detail(self, req: wsgi.Request) -> dict[str, Any]:
        """As :meth:`index`."""
        return self._every(req)

    def _every(self, req: wsgi.Request) -> dict[str, Any]:
        self.authorize(req)
        identity = self.services.identity
        page = page_by_offset(req, identity.list_users(), self.services.config.osapi_max_limit)
        keys = identity.first_keys()
        return {"users": [_view(row, keys.get(row.id, (None, None))) for row in page]}

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One user."""
        self.authorize(req)
        return self._document(storable(id))

    @wsgi.serializers(xml=_ONE)
    def create(self, req: wsgi.Request, body: Any) -> dict[str, Any]:
        """A new user; keys that are not given are made up."""
        self.authorize(req)
        fields = fields_of(body, "user")
        name = text_field(fields, "name")
        if not name:
            raise webob.exc.HTTPBadRequest
        access, secret = (_key(fields, part) or new_uuid() for part in ("access", "secret"))
        self.services.identity.create_user(name, admin=bool(_admin(fields)), access=access, secret=secret)
        return self._document(name)

    @wsgi.serializers(xml=_ONE)
    def update(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        """Change a user's keys and rights."""
        self.authorize(req)
        fields, name = fields_of(body, "user"), storable(id)
        given = {part: _key(fields, part) for part in ("access", "secret")}
        self.services.identity.modify_user(name, admin=_admin(fields), **given)
        return self._document(name)

    def delete(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """End a user, with key pairs and memberships."""
        self.authorize(req)
        self.services.identity.delete_user(storable(id))
        return {}

    def _document(self, name: str) -> dict[str, Any]:
        try:
            row = self.services.identity.user(name)
        except errors.UserNotFound:
            raise webob.exc.HTTPNotFound from None
        keys = next(iter(self.services.identity.keys(name)), (None, None))
        return {"user": _view(row, keys)}


def _key(fields: Mapping[str, Any], name: str) -> str | None:
    value = text_field(fields, name)
    if value is not None and (not value.isascii() or not value.isprintable() or len(value) > limits.MAX_ACCESS_KEY):
        raise webob.exc.HTTPBadRequest
    return value or None


def _admin(fields: Mapping[str, Any]) -> bool | None:
    """Only these forms of 2012.1 make an administrator."""
    return None if "admin" not in fields else fields["admin"] is True or fields["admin"] in ("T", "True")


class Users(ExtensionDescriptor):
    """Users, for administrators."""

    name = "Users"
    alias = "os-users"
    namespace = "http://docs.openstack.org/compute/ext/users/api/v1.1"
    updated = "2011-08-08T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("users", UsersController(), collection_actions={"detail": "GET"})
