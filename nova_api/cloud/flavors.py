"""Flavors: the sizes that servers come in, and what else is said of them (spec openstack-extensions.md 9)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from nova_api import errors, limits
from nova_api.cloud.keys import check_keys
from nova_api.cloud.policy import require_administrator
from nova_api.context import RequestContext
from nova_api.db import flavors as queries
from nova_api.db.engine import Database, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavorSpec:
    """A flavor to be made.

    :ivar memory_mb: MB; root_gb, ephemeral_gb are GB, swap is MB
    """

    name: str
    flavorid: str
    memory_mb: int
    vcpus: int
    root_gb: int
    ephemeral_gb: int = 0
    swap: int = 0
    rxtx_factor: float = 1.0


class Flavors:
    """Flavors as a service."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def list(self, *, min_ram: int | None = None, min_disk: int | None = None) -> Sequence[Row[Any]]:
        """All flavors, by name.

        :param min_ram: MB that they have at least; min_disk: GB of the root disk
        """
        with self.db.read() as conn:
            return queries.find(conn, min_ram=min_ram, min_disk=min_disk)

    def get(self, flavorid: str) -> Row[Any] | None:
        """The flavor with an id as the OpenStack API shows it."""
        with self.db.read() as conn:
            return queries.by_flavorid(conn, flavorid)

    def create(self, spec: FlavorSpec) -> Row[Any]:
        """A new flavor.

        :raises Duplicate: name or id is taken
        """
        taken = f"Instance Type {spec.name} already exists."

        def work(tx: Transaction) -> Row[Any]:
            known = (queries.by_name(tx.conn, spec.name), queries.by_flavorid(tx.conn, spec.flavorid))
            if any(row is not None for row in known):
                raise errors.Duplicate(taken)
            return queries.by_number(tx.conn, queries.insert(tx, asdict(spec)))

        try:
            return self.db.write(work)
        except IntegrityError as error:
            raise errors.Duplicate(taken) from error

    def delete(self, flavorid: str) -> None:
        """End a flavor; servers of it live on.

        :raises FlavorNotFound: there is none
        """
        if not self.db.write(lambda tx: queries.delete_flavorid(tx, flavorid)):
            raise errors.FlavorNotFound(flavorid)

    # -- extra specs -----------------------------------------------------------------------------------

    def extra_specs(self, flavorid: str) -> Mapping[str, str]:
        """What else is said of a flavor; the scheduler reads it too.

        :raises FlavorNotFound: there is none
        """
        with self.db.read() as conn:
            return queries.extra_specs(conn, _number(conn, flavorid))

    def set_extra_specs(self, context: RequestContext, flavorid: str, specs: Mapping[str, str]) -> None:
        """Add extra specs to a flavor, or change them.

        :raises NotAuthorized: the caller is no administrator
        :raises FlavorNotFound: there is none
        :raises InvalidParameterValue: there would be too many, or as :func:`check_keys`
        """
        require_administrator(context)

        def work(tx: Transaction) -> None:
            row = queries.locked(tx, flavorid)
            if row is None:
                raise errors.FlavorNotFound(flavorid)
            number = int(row.id)
            wanted = {**queries.extra_specs(tx.conn, number), **specs}
            if len(wanted) > limits.MAX_SPECS:
                raise errors.InvalidParameterValue(f"A flavor has at most {limits.MAX_SPECS} extra specs.")
            check_keys(wanted)
            queries.set_extra_specs(tx, number, specs)

        self.db.write(work)

    def remove_extra_spec(self, context: RequestContext, flavorid: str, key: str) -> None:
        """Drop an extra spec; one that is not there is fine.

        :raises NotAuthorized: the caller is no administrator
        :raises FlavorNotFound: there is none
        """
        require_administrator(context)
        self.db.write(lambda tx: queries.remove_extra_specs(tx, _number(tx.conn, flavorid), [key]))


def _number(conn: Connection, flavorid: str) -> int:
    row = queries.by_flavorid(conn, flavorid)
    if row is None:
        raise errors.FlavorNotFound(flavorid)
    return int(row.id)
