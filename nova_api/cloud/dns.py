"""Names of floating addresses: domains that administrators make, entries that projects keep in theirs.

(Spec openstack-extensions.md 6.3.) The records are the datastore's; a name server reads them there.

Who may: everybody of a project sees its domains and those of no project, and writes into them. In a domain of no
project an entry is changed and ended only by the project that made it, or by an administrator.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_api import errors, limits
from nova_api.cloud.policy import Policy, require_administrator
from nova_api.context import RequestContext
from nova_api.db import dns as queries
from nova_api.db.engine import Database, Transaction

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\Z", re.ASCII)
_MAX_DOMAIN = 253
_FAMILIES = {"A": 4, "AAAA": 6}


class DomainNotFound(errors.NotFound):
    """:param name: of a domain that is not there, or another project's."""

    def __init__(self, name: str) -> None:
        super().__init__(f"DNS domain {name} could not be found.")


class EntryNotFound(errors.NotFound):
    """:param name: of an entry that the domain does not have."""

    def __init__(self, name: str, domain: str) -> None:
        super().__init__(f"DNS entry {name} of domain {domain} could not be found.")


class Dns:
    """DNS as a service."""

    def __init__(self, db: Database, policy: Policy) -> None:
        self.db, self.policy = db, policy

    # -- domains ---------------------------------------------------------------------------------------

    def domains(self, context: RequestContext) -> Sequence[Row[Any]]:
        """The domains that the caller may see."""
        self.policy.check(context, "network:get_dns_domains")
        where = () if context.is_admin else (queries.visible(context.project_id),)
        with self.db.read() as conn:
            return queries.domains(conn, *where)

    def put_domain(
        self, context: RequestContext, name: str, *, scope: str, project: str | None = None, zone: str | None = None
    ) -> Row[Any]:
        """A new domain, or other properties of one that exists.

        :param scope: ``public``, with a project or without, or ``private``, with the availability zone it is for
        :raises NotAuthorized: the caller is no administrator
        :raises InvalidParameterValue: no domain name
        """
        self.policy.check(context, f"network:create_{scope}_dns_domain")
        require_administrator(context)
        name = host_name(name, _MAX_DOMAIN)
        values = {"scope": scope, "project_id": project, "availability_zone": zone}

        def work(tx: Transaction) -> Row[Any]:
            queries.put_domain(tx, name, values)
            return self._domain(tx.conn, context, name)

        return self.db.write_racing(work)

    def delete_domain(self, context: RequestContext, name: str) -> None:
        """End a domain with its entries.

        :raises NotAuthorized: the caller is no administrator
        :raises DomainNotFound: there is no such domain
        """
        self.policy.check(context, "network:delete_dns_domain")
        require_administrator(context)
        if not self.db.write(lambda tx: queries.delete_domain(tx, _plain(name))):
            raise DomainNotFound(name)

    # -- entries ---------------------------------------------------------------------------------------

    def entries_of_address(self, context: RequestContext, domain: str, address: str) -> Sequence[Row[Any]]:
        """The entries of a domain that name an address.

        :raises DomainNotFound: the domain is not one that the caller may see
        """
        self.policy.check(context, "network:get_dns_entries_by_address")
        with self.db.read() as conn:
            found = self._domain(conn, context, domain)
            return queries.entries_of_address(conn, found.domain, _plain(address))

    def entry(self, context: RequestContext, domain: str, name: str) -> Row[Any]:
        """One entry.

        :raises DomainNotFound: the domain is not one that the caller may see
        :raises EntryNotFound: it has no such entry
        """
        self.policy.check(context, "network:get_dns_entries_by_name")
        with self.db.read() as conn:
            found = queries.entry(conn, self._domain(conn, context, domain).domain, _plain(name))
        if found is None:
            raise EntryNotFound(name, domain)
        return found

    def put_entry(self, context: RequestContext, domain: str, name: str, address: str, dns_type: str) -> Row[Any]:
        """A new entry, or another address of one that exists, which stays whose it was.

        :param dns_type: ``A``, or ``AAAA`` for an address of IPv6
        :raises DomainNotFound: the domain is not one that the caller may see
        :raises NotAuthorized: the domain is nobody's, and the entry another project's
        :raises InvalidParameterValue: name, address or type are none
        """
        self.policy.check(context, "network:add_dns_entry")
        name = host_name(name, limits.MAX_NAME)
        values = {"address": _address(address, dns_type), "dns_type": dns_type}

        def work(tx: Transaction) -> Row[Any]:
            found, known = self._writable(tx, context, domain, name)
            if known is not None:
                queries.change_entry(tx, known.id, values)
            elif queries.count_entries(tx.conn, found.domain) >= limits.MAX_DNS_ENTRIES:
                raise errors.QuotaError("DnsEntryLimitExceeded")
            else:
                # One that another project has made meanwhile is in the way: it is that project's.
                queries.add_entry(tx, found.domain, name, {**values, "project_id": context.project_id})
            row = queries.entry(tx.conn, found.domain, name)
            if row is None:
                raise EntryNotFound(name, domain)
            return row

        return self.db.write_racing(work)

    def delete_entry(self, context: RequestContext, domain: str, name: str) -> None:
        """End an entry; one that is not there is fine, as in 2012.1.

        :raises DomainNotFound: the domain is not one that the caller may see
        :raises NotAuthorized: the domain is nobody's, and the entry another project's
        """
        self.policy.check(context, "network:delete_dns_entry")

        def work(tx: Transaction) -> None:
            _, known = self._writable(tx, context, domain, _plain(name))
            if known is not None:
                queries.delete_entry(tx, known.id)

        self.db.write(work)

    @staticmethod
    def _domain(conn: Connection, context: RequestContext, name: str) -> Row[Any]:
        where = () if context.is_admin else (queries.visible(context.project_id),)
        found = queries.domain(conn, _plain(name), *where)
        if found is None:
            raise DomainNotFound(name)
        return found

    def _writable(
        self, tx: Transaction, context: RequestContext, domain: str, name: str
    ) -> tuple[Row[Any], Row[Any] | None]:
        """The domain of an entry that the caller may write, and the entry, locked, if it is there."""
        found = self._domain(tx.conn, context, domain)
        row = queries.entry(tx.conn, found.domain, name, lock=True)
        mine = row is None or row.project_id == context.project_id
        if found.project_id is None and not (context.is_admin or mine):
            raise errors.NotAuthorized
        return found, row


def _plain(name: str) -> str:
    """A name as it would be stored; what can be none is the name of nothing."""
    return name.lower() if name.isprintable() and len(name) <= limits.MAX_NAME else ""


def host_name(text: str, most: int) -> str:
    """A name of DNS in small letters.

    :param most: characters
    :raises InvalidParameterValue: it is none
    """
    name = text.lower().removesuffix(".")
    if len(name) > most or not all(_LABEL.match(label) for label in name.split(".")):
        raise errors.InvalidParameterValue(f"{text[:60]!r} is no name of DNS")
    return name


def _address(text: str, dns_type: str) -> str:
    family = _FAMILIES.get(dns_type)
    if family is None:
        raise errors.InvalidParameterValue(f"dns_type is not one of: {errors.names(_FAMILIES)}")
    try:
        found = ipaddress.ip_address(text)
        if "%" in text:  # a zone, which means something on one host only, and may be any text
            raise ValueError(text)
    except ValueError:
        raise errors.InvalidParameterValue(f"{text[:60]!r} is no IP address") from None
    if found.version != family:
        raise errors.InvalidParameterValue(f"{found} is no address for an entry of type {dns_type}")
    return str(found)
