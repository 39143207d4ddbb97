"""The scheduler: which host gets what, and where what has a host goes from there.

A reservation is placed as a whole in one transaction. Hosts that do not report, are disabled, are in another
zone or are full are left out; of the rest the one with the most free memory takes the next instance, so
instances spread.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from sqlalchemy.engine import Row

from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.db import disks, guests, moves, placing, services, takeovers
from nova_api.db import volumes as volume_queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.models import now
from nova_api.db.moves import Sizes
from nova_api.db.services import FreeHost
from nova_api.errors import Conflict, IncorrectInstanceState, InstanceNotFound, ServiceUnavailable
from nova_api.nodes import host_filters
from nova_api.nodes.drivers.hypervisor import PowerState
from nova_api.nodes.live_moves import PREPARING
from nova_api.rpc.outbox import Outbox

NO_HOST = "No valid host was found. "
_ROOM = ("vcpus", "memory_mb", "local_gb")
#: An instance, or what it takes.
Wants = TypeVar("Wants", Row[Any], Sizes)


class SchedulerManager:
    """Answers ``scheduler``.

    :param db: the datastore
    :param outbox: takes the messages for the hosts chosen
    :param host: name of the node that this scheduler is on
    """

    methods: ClassVar[tuple[str, ...]] = ("run_instance", "prep_resize", "live_migration", "create_volume")
    binary: ClassVar[str] = "nova-scheduler"

    def __init__(self, db: Database, outbox: Outbox, config: Config, host: str) -> None:
        self.db, self.outbox, self.config, self.host = db, outbox, config, host

    def start(self) -> None:
        """Nothing to take up: what is not placed yet is in the outbox."""

    def run_instance(
        self,
        context: RequestContext,
        request_spec: Mapping[str, Any],
        topic: str = "compute",
        filter_properties: Mapping[str, Any] | None = None,
        admin_password: str | None = None,
        injected_files: Sequence[Sequence[str]] | None = None,
        requested_networks: Sequence[Sequence[str | None]] | None = None,
        **_unused: object,
    ) -> None:
        """Place the instances of a reservation; those for which there is no host end in ``error``.

        :param request_spec: ``instance_uuids``, or one ``uuid`` in ``instance_properties`` (spec ec2.md 6.2)
        :param topic: of the service that builds them
        :param filter_properties: ``force_hosts`` are the only ones asked, however full they are;
            ``ignore_hosts``; ``scheduler_hints`` of the owner
        :param admin_password: as ``injected_files`` and ``requested_networks``, for the hosts
        """
        given = {
            "admin_password": admin_password,
            "injected_files": injected_files,
            "requested_networks": requested_networks,
        }
        passed_on = {name: value for name, value in given.items() if value is not None}
        uuids = request_spec.get("instance_uuids") or [request_spec["instance_properties"]["uuid"]]
        limits = filter_properties or {}

        def work(tx: Transaction) -> None:
            hosts = _candidates(
                services.free_hosts(tx, self.config.service_down_time),
                limits.get("force_hosts") or (),
                limits.get("ignore_hosts") or (),
            )
            rows = placing.waiting(tx, uuids)
            if not hosts:
                self._require_own_report(tx)
            why = _why(hosts)
            if rows and not limits.get("force_hosts"):
                hosts, why = _wanted(tx, hosts, rows[0], limits.get("scheduler_hints"), why)
            placed, left_over = choose(hosts, rows, forced=bool(limits.get("force_hosts")))
            for host, chosen in placed.items():
                placing.place(tx, [row.id for row in chosen], host)
            kept = {**passed_on, "filter_properties": {name: value for name, value in limits.items() if value}}
            if any(kept.values()):
                takeovers.remember_builds(tx, [row.id for chosen in placed.values() for row in chosen], kept)
            if left_over:
                placing.fail_many(tx, [row.id for row in left_over], NO_HOST + why)
            self.outbox.cast_many(
                tx,
                context,
                [
                    (f"{topic}.{host}", "run_instance", {"instance_uuid": row.uuid, **passed_on})
                    for host, chosen in placed.items()
                    for row in chosen
                ],
            )

        self.db.write(work)

    def prep_resize(
        self,
        context: RequestContext,
        instance_uuid: str,
        instance_type_id: int,
        topic: str = "compute",
        filter_properties: Mapping[str, Any] | None = None,
        **_unused: object,
    ) -> None:
        """Choose the host that an instance moves to for another flavor, or for the one it has; without one it
        stays as it is.

        :param instance_type_id: number of the flavor
        :param topic: of the service that moves it
        :param filter_properties: as for :meth:`run_instance`
        """
        limits = filter_properties or {}

        def work(tx: Transaction) -> None:
            # Hosts before the instance, as everywhere: whoever takes them the other way round may wait for ever.
            hosts = services.free_hosts(tx, self.config.service_down_time)
            row = guests.lock(tx, instance_uuid)
            if row is None or row.vm_state != "resizing" or row.task_state != "resize_prep":
                return
            hosts = _candidates(hosts, limits.get("force_hosts") or (), limits.get("ignore_hosts") or ())
            hosts = host_filters.allowed(tx, _with_moves(hosts, moves.incoming(tx.conn), row), instance_type_id)
            dest = self._destination(tx, row, instance_type_id, hosts, forced=bool(limits.get("force_hosts")))
            if dest is None:
                self._require_own_report(tx)
                running = row.power_state == PowerState.RUNNING
                back = {"vm_state": "active", "progress": 100} if running else {"vm_state": "shutoff"}
                why = _why(hosts) if hosts else "No other compute service is up."
                values = {**back, **guests.fault_values(NO_HOST + why)}
                guests.change(tx, row.id, ("resize_prep",), values)
                return
            before = moves.confirm_unfinished(tx, row.id)
            move = moves.insert(tx, row, dest, instance_type_id)
            guests.change(tx, row.id, ("resize_prep",), {"task_state": "resize_migrating"})
            told = [(one.source_compute, "confirm_resize", one.id) for one in before]
            told.append((row.host, "resize_instance", move))
            self.outbox.cast_many(
                tx,
                context,
                [
                    (f"{topic}.{host}", method, {"instance_uuid": row.uuid, "migration_id": number})
                    for host, method, number in told
                ],
            )

        self.db.write(work)

    @staticmethod
    def _destination(
        tx: Transaction, row: Row[Any], flavor_id: int, hosts: Iterable[FreeHost], *, forced: bool
    ) -> str | None:
        flavor = moves.flavor(tx.conn, flavor_id)
        if flavor is None or row.host is None:
            return None
        local_gb = flavor.root_gb + flavor.ephemeral_gb
        wanted = Sizes(flavor.vcpus, flavor.memory_mb, local_gb, row.availability_zone)
        placed, _ = choose(hosts, [wanted], forced=forced)
        return next(iter(placed), None)

    def live_migration(
        self,
        context: RequestContext,
        instance_id: int,
        dest: str,
        block_migration: bool = False,
        disk_over_commit: bool = False,
        topic: str = "compute",
        **_unused: object,
    ) -> None:
        """Begin to move a running instance to a host (a call).

        :param instance_id: its number
        :param dest: name of the host
        :param block_migration: its disk moves too; disk_over_commit: whether the host has room for it does not matter
        :raises InstanceNotFound: it is gone
        :raises IncorrectInstanceState: it does not run, is busy, or is there already
        :raises Conflict: the host does not live, or has no room
        """

        def work(tx: Transaction) -> None:
            hosts = services.free_hosts(tx, self.config.service_down_time)
            row = guests.lock_number(tx, instance_id)
            if row is None:
                raise InstanceNotFound(f"i-{instance_id:08x}")
            last = moves.latest(tx.conn, row.id)
            if row.vm_state == "migrating" and last is not None and last.dest_compute == dest:
                return  # it is on its way there
            if row.vm_state != "active" or row.task_state is not None or row.host is None or row.host == dest:
                raise IncorrectInstanceState(f"Instance {row.uuid} cannot move to {dest} now.")
            _check_room(
                _with_moves(hosts, moves.incoming(tx.conn), row),
                dest,
                row,
                disk=block_migration and not disk_over_commit,
            )
            move = moves.insert(tx, row, dest, row.instance_type_id)
            guests.change_idle(tx, row.id, {"vm_state": "migrating", "task_state": PREPARING})
            told = {"instance_uuid": row.uuid, "migration_id": move, "block_migration": block_migration}
            self.outbox.cast(tx, context, f"{topic}.{dest}", "pre_live_migration", **told)

        self.db.write(work)

    def create_volume(
        self,
        context: RequestContext,
        volume_id: int,
        snapshot_id: int | None = None,
        topic: str = "volume",
        **_unused: object,
    ) -> None:
        """Place a volume on the live host of its zone that holds the fewest gigabytes.

        :param volume_id: number of the volume
        :param snapshot_id: number of the snapshot it starts from
        """

        def work(tx: Transaction) -> None:
            row = disks.get_volume(tx.conn, volume_id)
            if row is None or row.host is not None:
                return
            place = services.volume_host(tx.conn, self.config.service_down_time, row.availability_zone)
            if place is None:
                self._require_own_report(tx)
                volume_queries.change_volume(tx, volume_id, ("creating",), {"status": "error"})
                return
            values = {"host": place.host, "scheduled_at": now()}
            if volume_queries.change_volume(tx, volume_id, ("creating",), values):
                message = {"volume_id": volume_id, "snapshot_id": snapshot_id}
                self.outbox.cast(tx, context, f"{topic}.{place.host}", "create_volume", **message)

        self.db.write(work)

    def _require_own_report(self, tx: Transaction) -> None:
        """Call no host dead while this scheduler counts as dead itself.

        After an outage of the datastore everybody does, until the next report.

        :raises ServiceUnavailable: it does; the message comes again
        """
        if services.all_down(tx.conn, f"scheduler.{self.host}", self.config.service_down_time):
            raise ServiceUnavailable("The services have not reported again yet.")


def choose(
    hosts: Iterable[FreeHost], rows: Sequence[Wants], *, forced: bool = False
) -> tuple[dict[str, list[Wants]], list[Wants]]:
    """Spread instances over hosts, most free memory first.

    :param rows: with ``vcpus``, ``memory_mb``, ``local_gb`` and ``availability_zone`` (None: any)
    :param forced: the hosts were named by an administrator; their room is not looked at
    :returns: the instances of each host, and those that fit nowhere
    """
    heap = [(-host.memory_mb, host.host, host) for host in hosts]
    heapq.heapify(heap)
    placed: dict[str, list[Wants]] = {}
    left_over: list[Wants] = []
    for row in rows:
        passed: list[tuple[int, str, FreeHost]] = []
        while heap:
            entry = heapq.heappop(heap)
            if _fits(entry[2], row, forced):
                break
            passed.append(entry)
        else:
            left_over.append(row)
            heap = passed
            continue
        host = entry[2]
        placed.setdefault(host.host, []).append(row)
        rest = host._replace(
            vcpus=host.vcpus - row.vcpus,
            memory_mb=host.memory_mb - row.memory_mb,
            local_gb=host.local_gb - row.local_gb,
        )
        for back in (*passed, (-rest.memory_mb, rest.host, rest)):
            heapq.heappush(heap, back)
    return placed, left_over


def _fits(host: FreeHost, row: Wants, forced: bool) -> bool:
    if row.availability_zone and row.availability_zone != host.zone:
        return False
    return forced or (host.vcpus >= row.vcpus and host.memory_mb >= row.memory_mb and host.local_gb >= row.local_gb)


def _wanted(
    tx: Transaction, hosts: list[FreeHost], row: Row[Any], hints: Mapping[str, Any] | None, why: str
) -> tuple[list[FreeHost], str]:
    """The hosts that flavor and owner of an instance want, and what is said if there is no room on any.

    :param why: what is said when there is nothing that they want
    """
    try:
        left = host_filters.hinted(tx, host_filters.allowed(tx, hosts, row.instance_type_id), row.project_id, hints)
    except host_filters.BadHint as error:
        return [], str(error)
    return left, why if len(left) == len(hosts) else "No host that its flavor and its hints allow has room for it."


def _check_room(hosts: Iterable[FreeHost], dest: str, row: Row[Any], *, disk: bool) -> None:
    """Refuse a host that is down, or too full for an instance.

    :param disk: its disk comes too
    """
    host = next((one for one in hosts if one.host == dest), None)
    if host is None:
        raise Conflict(f"No compute service is up on {dest}.")
    if host.vcpus < row.vcpus or host.memory_mb < row.memory_mb:
        raise Conflict(f"{dest} has no room for the instance.")
    if disk and host.local_gb < row.root_gb + row.ephemeral_gb:
        raise Conflict(f"{dest} has no room for the disk of the instance.")


def _candidates(hosts: Iterable[FreeHost], forced: Iterable[str], ignored: Iterable[str]) -> list[FreeHost]:
    only, without = set(forced), set(ignored)
    return [host for host in hosts if (not only or host.host in only) and host.host not in without]


def _with_moves(hosts: Iterable[FreeHost], incoming: Mapping[str, Sizes], row: Row[Any]) -> list[FreeHost]:
    """Hosts with what is left of them once everybody who is on his way has arrived, and an instance has left."""
    own = Sizes(row.vcpus, row.memory_mb, row.root_gb + row.ephemeral_gb)
    found = []
    for host in hosts:
        more, less = (own if host.host == row.host else Sizes(0, 0, 0)), incoming.get(host.host, Sizes(0, 0, 0))
        left = {name: getattr(host, name) + getattr(more, name) - getattr(less, name) for name in _ROOM}
        found.append(host._replace(**left))
    return found


def _why(hosts: Sequence[FreeHost]) -> str:
    return "No host has room for it in its zone." if hosts else "No compute service is up."
