"""os-keypairs: key pairs of the user (spec openstack-extensions.md 4)."""

import re
from collections.abc import Iterable
from typing import Any

import webob
import webob.exc

from nova_api import errors, limits
from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, fields_of
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.server_input import refuse
from nova_api.openstack.xml import Element, Template

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_SHOWN = ("public_key", "private_key", "user_id", "name", "fingerprint")
_MEMBERS = tuple(Element(name, select=name, text=lambda text: text) for name in _SHOWN)
_ONE = Template(Element("keypair", *_MEMBERS, select="keypair"))
#: A key pair within a key pair, as JSON has it too.
_ALL = Template(
    Element("keypairs", Element("keypair", *_MEMBERS, select=lambda data: [one["keypair"] for one in data["keypairs"]]))
)


def _view(row: Any) -> dict[str, Any]:
    return {"public_key": row.public_key, "name": row.name, "fingerprint": row.fingerprint}


def _name(fields: Any) -> str:
    name = fields.get("name")
    if not isinstance(name, str):
        raise webob.exc.HTTPBadRequest
    if _UNSAFE.search(name):
        raise refuse("Keypair name contains unsafe characters")
    if not 0 < len(name) <= limits.MAX_NAME:
        raise refuse("Keypair name must be between 1 and 255 characters long")
    return name


class KeypairController(ExtensionController):
    """``/os-keypairs``."""

    rule = "keypairs"

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """The user's key pairs."""
        self.authorize(req)
        return {"keypairs": [{"keypair": _view(row)} for row in self.services.key_pairs.list(req.context)]}

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One of them; 2012.1 had no such answer, clients of today ask for it."""
        self.authorize(req)
        if not id.isprintable():
            raise webob.exc.HTTPNotFound
        try:
            return {"keypair": _view(self.services.key_pairs.show(req.context, id))}
        except errors.KeypairNotFound:
            raise webob.exc.HTTPNotFound from None

    @wsgi.serializers(xml=_ONE)
    def create(self, req: wsgi.Request, body: Any) -> dict[str, Any]:
        """Make a pair, or take a public key over."""
        self.authorize(req)
        fields = fields_of(body, "keypair")
        name, line = _name(fields), fields.get("public_key")
        key_pairs, made = self.services.key_pairs, {}
        try:
            if line is None:
                made["private_key"] = key_pairs.create(req.context, name)[2]
            else:
                key_pairs.import_public(req.context, name, _line(line))
        except errors.KeyPairExists:
            raise webob.exc.HTTPConflict(explanation=f"Key pair '{name}' already exists.") from None
        except errors.InvalidKeyFormat:
            raise refuse("Keypair data is invalid") from None
        return {"keypair": {**_view(key_pairs.show(req.context, name)), "user_id": req.context.user_id, **made}}

    def delete(self, req: wsgi.Request, id: str) -> webob.Response:
        """End a pair."""
        self.authorize(req)
        if not id.isprintable() or not self.services.key_pairs.delete(req.context, id):
            raise webob.exc.HTTPNotFound
        return wsgi.accepted()


def _line(value: Any) -> str:
    if not isinstance(value, str) or len(value) > limits.MAX_PUBLIC_KEY or "\x00" in value or not value.isascii():
        raise refuse("Keypair data is invalid")
    return value


class Keypairs(ExtensionDescriptor):
    """Key pairs of a user: made, imported, shown and deleted."""

    name = "Keypairs"
    alias = "os-keypairs"
    namespace = "http://docs.openstack.org/compute/ext/keypairs/api/v1.1"
    updated = "2011-08-08T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-keypairs", KeypairController())
