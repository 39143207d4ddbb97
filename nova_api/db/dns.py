"""Queries of DNS domains and the entries in them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction
from nova_api.db.models import dns_domains, dns_entries


def visible(project: str | None) -> sa.ColumnElement[bool]:
    """The domains of a project, and those of nobody."""
    return sa.or_(dns_domains.c.project_id == project, dns_domains.c.project_id.is_(None))


def domains(conn: Connection, *where: sa.ColumnElement[bool]) -> Sequence[Row[Any]]:
    """Domains by name."""
    return conn.execute(sa.select(dns_domains).where(*where).order_by(dns_domains.c.domain)).all()


def domain(conn: Connection, name: str, *where: sa.ColumnElement[bool]) -> Row[Any] | None:
    """A domain."""
    return conn.execute(sa.select(dns_domains).where(dns_domains.c.domain == name, *where)).first()


def put_domain(tx: Transaction, name: str, values: dict[str, Any]) -> None:
    """A new domain, or other values of one that exists; its entries stay."""
    if not tx.execute(sa.update(dns_domains).where(dns_domains.c.domain == name).values(**values)).rowcount:
        if domain(tx.conn, name) is None:
            tx.execute(sa.insert(dns_domains).values(domain=name, **values))


def delete_domain(tx: Transaction, name: str) -> bool:
    """End a domain with its entries.

    :returns: whether it was there
    """
    tx.execute(sa.delete(dns_entries).where(dns_entries.c.domain == name))
    return bool(tx.execute(sa.delete(dns_domains).where(dns_domains.c.domain == name)).rowcount)


def entries_of_address(conn: Connection, name: str, address: str) -> Sequence[Row[Any]]:
    """The entries of a domain that name an address."""
    mine = sa.and_(dns_entries.c.domain == name, dns_entries.c.address == address)
    return conn.execute(sa.select(dns_entries).where(mine).order_by(dns_entries.c.name)).all()


def count_entries(conn: Connection, name: str) -> int:
    """How many entries a domain has."""
    query = sa.select(sa.func.count()).select_from(dns_entries).where(dns_entries.c.domain == name)
    return int(conn.execute(query).scalar_one())


def entry(conn: Connection, name: str, host: str, *, lock: bool = False) -> Row[Any] | None:
    """An entry of a domain.

    :param lock: nobody else changes it until the transaction ends
    """
    query = sa.select(dns_entries).where(dns_entries.c.domain == name, dns_entries.c.name == host)
    return conn.execute(query.with_for_update() if lock else query).first()


def add_entry(tx: Transaction, name: str, host: str, values: dict[str, Any]) -> None:
    """A new entry.

    :raises sqlalchemy.exc.IntegrityError: there is one, or the domain has ended
    """
    tx.execute(sa.insert(dns_entries).values(domain=name, name=host, **values))


def change_entry(tx: Transaction, number: int, values: dict[str, Any]) -> None:
    """Change an entry that the transaction has locked."""
    tx.execute(sa.update(dns_entries).where(dns_entries.c.id == number).values(**values))


def delete_entry(tx: Transaction, number: int) -> None:
    """End an entry."""
    tx.execute(sa.delete(dns_entries).where(dns_entries.c.id == number))
