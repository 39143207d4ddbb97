"""Volume types: names that administrators give to kinds of volumes (spec openstack-extensions.md 11.5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from nova_api import errors, limits
from nova_api.cloud.keys import check_keys
from nova_api.cloud.policy import require_administrator
from nova_api.context import RequestContext
from nova_api.db import volume_types as queries
from nova_api.db.engine import Database, Transaction


@dataclass(frozen=True, slots=True)
class VolumeType:
    """A type with its extra specs."""

    row: Row[Any]
    extra_specs: Mapping[str, str]


class VolumeTypes:
    """Volume types as a service: everybody reads, administrators write."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def list(self) -> Sequence[VolumeType]:
        """All types, by name."""
        with self.db.read() as conn:
            return _whole(conn, queries.every(conn))

    def get(self, number: int) -> VolumeType:
        """One of them.

        :raises VolumeTypeNotFound: there is none
        """
        with self.db.read() as conn:
            return _one(conn, number)

    def create(self, context: RequestContext, name: str, specs: Mapping[str, str]) -> VolumeType:
        """A new type.

        :raises NotAuthorized: the caller is no administrator
        :raises Duplicate: there is one of that name
        """
        require_administrator(context)
        check_keys(specs)

        def work(tx: Transaction) -> VolumeType:
            number = queries.insert(tx, name)
            queries.set_extra_specs(tx, number, specs)
            return _one(tx.conn, number)

        try:
            return self.db.write(work)
        except IntegrityError as error:
            raise errors.Duplicate(f"Volume type {name} already exists.") from error

    def delete(self, context: RequestContext, number: int) -> None:
        """End a type; volumes of it keep it.

        :raises NotAuthorized: the caller is no administrator
        :raises VolumeTypeNotFound: there is none
        """
        require_administrator(context)
        if not self.db.write(lambda tx: queries.end(tx, number)):
            raise errors.VolumeTypeNotFound(number)

    def set_extra_specs(self, context: RequestContext, number: int, specs: Mapping[str, str]) -> None:
        """Add extra specs, or change them.

        :raises NotAuthorized: the caller is no administrator
        :raises VolumeTypeNotFound: there is no such type
        :raises InvalidParameterValue: there would be too many, or as :func:`check_keys`
        """
        require_administrator(context)

        def work(tx: Transaction) -> None:
            queries.lock(tx, number)
            wanted = {**_one(tx.conn, number).extra_specs, **specs}
            if len(wanted) > limits.MAX_SPECS:
                raise errors.InvalidParameterValue(f"A volume type has at most {limits.MAX_SPECS} extra specs.")
            check_keys(wanted)
            queries.set_extra_specs(tx, number, specs)

        self.db.write(work)

    def remove_extra_spec(self, context: RequestContext, number: int, key: str) -> None:
        """Drop an extra spec; one that is not there is fine.

        :raises NotAuthorized: the caller is no administrator
        :raises VolumeTypeNotFound: there is no such type
        """
        require_administrator(context)

        def work(tx: Transaction) -> None:
            _one(tx.conn, number)
            queries.remove_extra_specs(tx, number, [key])

        self.db.write(work)


def _one(conn: Connection, number: int) -> VolumeType:
    row = queries.one(conn, number)
    if row is None:
        raise errors.VolumeTypeNotFound(number)
    return _whole(conn, [row])[0]


def _whole(conn: Connection, rows: Sequence[Row[Any]]) -> Sequence[VolumeType]:
    specs = queries.extra_specs(conn, [row.id for row in rows])
    return [VolumeType(row, specs.get(row.id, {})) for row in rows]
