"""Host aggregates: hosts that belong together, with metadata that flavors can ask for.

(Spec openstack-extensions.md 10.2; how the scheduler heeds them is in :mod:`nova_api.nodes.host_filters`.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from nova_api import errors, limits
from nova_api.cloud.keys import check_keys
from nova_api.context import RequestContext
from nova_api.db import aggregates as queries
from nova_api.db.engine import Database, Transaction
from nova_api.rpc.outbox import Outbox


class AggregateNotFound(errors.NotFound):
    """:param number: of the aggregate that is not there."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Aggregate {number} could not be found.")


class HostNotFound(errors.NotFound):
    """:param host: that has no compute service, or is not in the aggregate."""

    def __init__(self, host: str) -> None:
        super().__init__(f"Compute host {host} could not be found.")


class AggregateConflict(errors.Conflict):
    """A name that is taken, a zone that does not fit, a host that is in an aggregate."""


class AggregateNotEmpty(errors.ApiError):
    """:param number: of the aggregate that still has hosts."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Cannot perform action 'delete' on aggregate {number}. Reason: not empty.")


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate with its hosts and metadata."""

    row: Row[Any]
    hosts: Sequence[str]
    metadata: Mapping[str, str]


class Aggregates:
    """Aggregates as a service."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self.db, self.outbox = db, outbox

    def list(self) -> Sequence[Aggregate]:
        """All of them, oldest first."""
        with self.db.read() as conn:
            return _whole(conn, queries.every(conn))

    def get(self, number: int) -> Aggregate:
        """One of them.

        :raises AggregateNotFound: there is none
        """
        with self.db.read() as conn:
            return _one(conn, number)

    def create(self, name: str, zone: str) -> Aggregate:
        """A new aggregate; a name that one has had before brings that one back, empty.

        :raises AggregateConflict: the name is taken, or no compute service is in the zone
        """

        def work(tx: Transaction) -> Aggregate:
            _check_zone(tx.conn, zone)
            known = queries.locked_by_name(tx, name)
            if known is None:
                return _one(tx.conn, queries.insert(tx, name, zone))
            if known.deleted == 0:
                raise AggregateConflict(f"Aggregate {name} already exists.")
            fresh = {"deleted": 0, "deleted_at": None, "operational_state": "created", "availability_zone": zone}
            queries.change(tx, known.id, fresh)
            return _one(tx.conn, known.id)

        return self._write(work)

    def update(self, number: int, values: Mapping[str, str]) -> Aggregate:
        """Change name or zone.

        :param values: ``name``, ``availability_zone``
        :raises AggregateNotFound: there is none
        :raises AggregateConflict: the name is taken, or the zone is not that of its hosts; without hosts any will do
        """

        def work(tx: Transaction) -> Aggregate:
            row = _locked(tx, number)
            zone = values.get("availability_zone", row.availability_zone)
            if zone != row.availability_zone:
                for host in queries.hosts(tx.conn, [number]).get(number, []):
                    _check_host_zone(tx.conn, host, zone)
            queries.change(tx, number, values)
            return _one(tx.conn, number)

        return self._write(work)

    def delete(self, number: int) -> None:
        """End an aggregate.

        :raises AggregateNotFound: there is none
        :raises AggregateNotEmpty: it has hosts
        """

        def work(tx: Transaction) -> None:
            _locked(tx, number)
            if queries.hosts(tx.conn, [number]):
                raise AggregateNotEmpty(number)
            queries.end(tx, number)

        self.db.write(work)

    def set_metadata(self, number: int, items: Mapping[str, str | None]) -> Aggregate:
        """Add items, change them, or drop those that are None.

        :raises AggregateNotFound: there is none
        :raises InvalidParameterValue: there would be too many, or as :func:`check_keys`
        """

        def work(tx: Transaction) -> Aggregate:
            _locked(tx, number)
            check_keys({**_one(tx.conn, number).metadata, **items})
            queries.set_metadata(tx, number, items)
            queries.change(tx, number, {"deleted": 0})  # so that it says when it has changed
            found = _one(tx.conn, number)
            if len(found.metadata) > limits.MAX_SPECS:
                raise errors.InvalidParameterValue(f"An aggregate has at most {limits.MAX_SPECS} metadata items.")
            return found

        return self.db.write(work)

    def add_host(self, context: RequestContext, number: int, host: str) -> Aggregate:
        """Put a host into an aggregate; its node finishes it.

        :raises AggregateNotFound: there is no such aggregate
        :raises HostNotFound: the host has no compute service
        :raises AggregateConflict: it is in an aggregate, in another zone, or the aggregate is not ready for it
        """

        def work(tx: Transaction) -> Aggregate:
            if queries.compute_zone(tx.conn, host) is None:
                raise HostNotFound(host)
            row = _locked(tx, number)
            if row.operational_state not in ("created", "active"):
                raise AggregateConflict(f"Aggregate {number} is {row.operational_state}.")
            _check_host_zone(tx.conn, host, row.availability_zone)
            if queries.aggregate_of(tx.conn, host) is not None:
                raise AggregateConflict(f"Host {host} is in an aggregate.")
            queries.add_host(tx, number, host)
            state = "changing" if row.operational_state == "created" else row.operational_state
            queries.change(tx, number, {"operational_state": state})
            self._tell(tx, context, "add_aggregate_host", number, host)
            return _one(tx.conn, number)

        return self._write(work)

    def remove_host(self, context: RequestContext, number: int, host: str) -> Aggregate:
        """Take a host out of an aggregate, also one that never finished coming in.

        :raises AggregateNotFound: there is no such aggregate
        :raises HostNotFound: the host is not in it
        """

        def work(tx: Transaction) -> Aggregate:
            row = _locked(tx, number)
            if not queries.remove_host(tx, number, host):
                raise HostNotFound(host)
            # Without the host that it was changing for, it would do so for ever.
            left = row.operational_state == "changing" and not queries.hosts(tx.conn, [number])
            queries.change(tx, number, {"operational_state": "created" if left else row.operational_state})
            self._tell(tx, context, "remove_aggregate_host", number, host)
            return _one(tx.conn, number)

        return self.db.write(work)

    def _tell(self, tx: Transaction, context: RequestContext, method: str, number: int, host: str) -> None:
        self.outbox.cast(tx, context, f"compute.{host}", method, aggregate_id=str(number), host=host)

    def _write(self, work: Callable[[Transaction], Aggregate]) -> Aggregate:
        try:
            return self.db.write(work)
        except IntegrityError as error:
            raise AggregateConflict("Another request was first.") from error


def _check_zone(conn: Connection, zone: str) -> None:
    if not queries.compute_zone_exists(conn, zone):
        raise AggregateConflict(f"No compute service is in the zone {zone}.")


def _check_host_zone(conn: Connection, host: str, zone: str) -> None:
    if queries.compute_zone(conn, host) != zone:
        raise AggregateConflict(f"Host {host} is not in the zone {zone}.")


def _locked(tx: Transaction, number: int) -> Row[Any]:
    row = queries.locked(tx, number)
    if row is None:
        raise AggregateNotFound(number)
    return row


def _one(conn: Connection, number: int) -> Aggregate:
    row = queries.one(conn, number)
    if row is None:
        raise AggregateNotFound(number)
    return _whole(conn, [row])[0]


def _whole(conn: Connection, rows: Sequence[Row[Any]]) -> Sequence[Aggregate]:
    numbers = [row.id for row in rows]
    hosts, metadata = queries.hosts(conn, numbers), queries.metadata(conn, numbers)
    return [Aggregate(row, hosts.get(row.id, []), metadata.get(row.id, {})) for row in rows]
