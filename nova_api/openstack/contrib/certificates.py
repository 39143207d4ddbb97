"""os-certificates: X.509 certificates of users, and that of the authority (spec openstack-extensions.md 10.3)."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import webob.exc

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.xml import Element, Template

_ONE = Template(Element("certificate", select="certificate", attributes=("private_key", "data")))


class CertificatesController(ExtensionController):
    """``/os-certificates``."""

    rule = "certificates"

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """The authority's certificate, ``root``; no other is kept."""
        self.authorize(req)
        if id != "root":
            raise webob.exc.HTTPNotImplemented(explanation="Only root certificate can be retrieved.")
        return {"certificate": asdict(self.services.certificates.root(req.context))}

    @wsgi.serializers(xml=_ONE)
    def create(self, req: wsgi.Request, body: Any = None) -> dict[str, Any]:
        """A new certificate of the caller, with its key; the body does not matter."""
        self.authorize(req)
        return {"certificate": asdict(self.services.certificates.create(req.context))}


class Certificates(ExtensionDescriptor):
    """X.509 certificates of users."""

    name = "Certificates"
    alias = "os-certificates"
    namespace = "http://docs.openstack.org/compute/ext/certificates/api/v1.1"
    updated = "2012-01-19T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-certificates", CertificatesController())
