"""os-accounts: administrators manage projects (spec openstack-extensions.md 10.5). For the built-in identity only."""

from collections.abc import Iterable
from typing import Any

import webob
import webob.exc

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, fields_of, text_field
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.server_input import storable
from nova_api.openstack.xml import Element, Template

_ONE = Template(Element("account", select="account", attributes=("manager", "description", "id", "name")))


class AccountsController(ExtensionController):
    """``/accounts``."""

    rule = "accounts"

    def authorize(self, req: wsgi.Request, action: str | None = None) -> None:
        """As everywhere; where Keystone has the projects, there is nothing here."""
        super().authorize(req, action)
        if self.services.config.auth_strategy == "keystone":
            raise webob.exc.HTTPNotImplemented

    def index(self, req: wsgi.Request) -> None:
        """Not there, and never was.

        :raises HTTPNotImplemented: always
        """
        self.authorize(req)
        raise webob.exc.HTTPNotImplemented

    def create(self, req: wsgi.Request, body: Any = None) -> None:
        """As :meth:`index`: an account is made under its name."""
        self.authorize(req)
        raise webob.exc.HTTPNotImplemented

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One project."""
        self.authorize(req)
        return self._view(storable(id))

    @wsgi.serializers(xml=_ONE)
    def update(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        """Make or change a project."""
        self.authorize(req)
        fields = fields_of(body, "account")
        name = storable(id)
        if len(name) > 255:
            raise webob.exc.HTTPBadRequest
        self.services.identity.put_project(name, text_field(fields, "manager"), text_field(fields, "description"))
        return self._view(name)

    def delete(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """End a project; what it owns stays, for administrators."""
        self.authorize(req)
        self.services.identity.delete_project(storable(id))
        return {}

    def _view(self, name: str) -> dict[str, Any]:
        row = self.services.identity.project(name)
        return {
            "account": {"id": row.id, "name": row.id, "description": row.description, "manager": row.project_manager}
        }


class Accounts(ExtensionDescriptor):
    """Projects, for administrators."""

    name = "Accounts"
    alias = "os-accounts"
    namespace = "http://docs.openstack.org/compute/ext/accounts/api/v1.1"
    updated = "2011-12-23T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("accounts", AccountsController())
