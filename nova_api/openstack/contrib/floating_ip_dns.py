"""os-floating-ip-dns: names of floating addresses (spec openstack-extensions.md 6.3)."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import webob.exc

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, text_field
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.paging import last
from nova_api.openstack.xml import Element, Template

_DOMAIN = ("domain", "scope", "project", "availability_zone")
_ENTRY = ("id", "ip", "type", "domain", "name")
_ONE_DOMAIN = Template(Element("domain_entry", select="domain_entry", attributes=_DOMAIN))
_DOMAINS = Template(Element("domain_entries", Element("domain_entry", select="domain_entries", attributes=_DOMAIN)))
_ONE_ENTRY = Template(Element("dns_entry", select="dns_entry", attributes=_ENTRY))
_ENTRIES = Template(Element("dns_entries", Element("dns_entry", select="dns_entries", attributes=_ENTRY)))


def _name(text: str) -> str:
    """A name from a path: clients quote it twice, the dots too."""
    return unquote(text).replace("%2E", ".").replace("%2e", ".")


def _domain_view(row: Any) -> dict[str, Any]:
    return {
        "domain": row.domain,
        "scope": row.scope,
        "project": row.project_id,
        "availability_zone": row.availability_zone,
    }


def _entry_view(row: Any) -> dict[str, Any]:
    # The number was never told.
    return {"ip": row.address, "id": None, "type": row.dns_type, "domain": row.domain, "name": row.name}


def _entity(body: Any, name: str) -> Mapping[str, Any]:
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, dict):
        raise webob.exc.HTTPUnprocessableEntity
    return found


class DnsDomainController(ExtensionController):
    """``/os-floating-ip-dns``."""

    rule = "floating_ip_dns"

    @wsgi.serializers(xml=_DOMAINS)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """The domains."""
        self.authorize(req)
        return {"domain_entries": [_domain_view(row) for row in self.services.dns.domains(req.context)]}

    @wsgi.serializers(xml=_ONE_DOMAIN)
    def update(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        """Make or change a domain."""
        self.authorize(req)
        fields = _entity(body, "domain_entry")
        scope, project = fields.get("scope"), text_field(fields, "project") or None
        zone = text_field(fields, "availability_zone") or None
        wrong = {"public": zone, "private": project}
        if scope not in ("public", "private") or wrong[scope]:
            raise webob.exc.HTTPUnprocessableEntity
        row = self.services.dns.put_domain(req.context, _name(id), scope=scope, project=project, zone=zone)
        return {"domain_entry": _domain_view(row)}

    def delete(self, req: wsgi.Request, id: str) -> None:
        """End a domain."""
        self.authorize(req)
        self.services.dns.delete_domain(req.context, _name(id))


class DnsEntryController(ExtensionController):
    """``/os-floating-ip-dns/{domain}/entries``."""

    rule = "floating_ip_dns"

    @wsgi.serializers(xml=_ENTRIES)
    def index(self, req: wsgi.Request, domain_id: str) -> dict[str, Any]:
        """The entries that name an address."""
        self.authorize(req)
        address = last(req, "ip")
        if not address:
            raise webob.exc.HTTPUnprocessableEntity
        found = self.services.dns.entries_of_address(req.context, _name(domain_id), address)
        return {"dns_entries": [_entry_view(row) for row in found]}

    @wsgi.serializers(xml=_ONE_ENTRY)
    def show(self, req: wsgi.Request, domain_id: str, id: str) -> dict[str, Any]:
        """One entry."""
        self.authorize(req)
        return {"dns_entry": _entry_view(self.services.dns.entry(req.context, _name(domain_id), _name(id)))}

    @wsgi.serializers(xml=_ONE_ENTRY)
    def update(self, req: wsgi.Request, domain_id: str, id: str, body: Any) -> dict[str, Any]:
        """Make or change an entry."""
        self.authorize(req)
        fields = _entity(body, "dns_entry")
        address, dns_type = text_field(fields, "ip"), text_field(fields, "dns_type")
        if not address or not dns_type:
            raise webob.exc.HTTPUnprocessableEntity
        row = self.services.dns.put_entry(req.context, _name(domain_id), _name(id), address, dns_type)
        return {"dns_entry": _entry_view(row)}

    def delete(self, req: wsgi.Request, domain_id: str, id: str) -> None:
        """End an entry."""
        self.authorize(req)
        self.services.dns.delete_entry(req.context, _name(domain_id), _name(id))


class Floating_ip_dns(ExtensionDescriptor):
    """DNS domains, and names of floating addresses in them."""

    name = "Floating_ip_dns"
    alias = "os-floating-ip-dns"
    namespace = "http://docs.openstack.org/ext/floating_ip_dns/api/v1.1"
    updated = "2011-12-23T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-floating-ip-dns", DnsDomainController())
        parent = {"member_name": "domain", "collection_name": "os-floating-ip-dns"}
        yield ResourceExtension("entries", DnsEntryController(), parent)
