"""The scheduler: which host gets what.

A reservation is placed as a whole in one transaction. Hosts that do not report, are disabled, are in another
zone or are full are left out; of the rest the one with the most free memory takes the next instance, so
instances spread.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy.engine import Row

from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.db import guests, services
from nova_api.db import volumes as volume_queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.models import now
from nova_api.db.services import FreeHost
from nova_api.rpc.outbox import Outbox

NO_HOST = "No valid host was found. "


class SchedulerManager:
    """Answers ``scheduler``.

    :param db: the datastore
    :param outbox: takes the messages for the hosts chosen
    """

    methods: ClassVar[tuple[str, ...]] = ("run_instance", "create_volume")
    binary: ClassVar[str] = "nova-scheduler"

    def __init__(self, db: Database, outbox: Outbox, config: Config) -> None:
        self.db, self.outbox, self.config = db, outbox, config

    def start(self) -> None:
        """Nothing to take up: what is not placed yet is in the outbox."""

    def run_instance(
        self,
        context: RequestContext,
        request_spec: Mapping[str, Any],
        topic: str = "compute",
        filter_properties: Mapping[str, Any] | None = None,
        **_unused: object,
    ) -> None:
        """Place the instances of a reservation; those for which there is no host end in ``error``.

        :param request_spec: ``instance_uuids``, or one ``uuid`` in ``instance_properties`` (spec ec2.md 6.2)
        :param topic: of the service that builds them
        :param filter_properties: ``force_hosts`` are the only ones asked, however full they are;
            ``ignore_hosts``
        """
        uuids = request_spec.get("instance_uuids") or [request_spec["instance_properties"]["uuid"]]
        limits = filter_properties or {}

        def work(tx: Transaction) -> None:
            hosts = _candidates(
                services.free_hosts(tx, self.config.service_down_time),
                limits.get("force_hosts") or (),
                limits.get("ignore_hosts") or (),
            )
            rows = guests.waiting(tx, uuids)
            placed, left_over = choose(hosts, rows, forced=bool(limits.get("force_hosts")))
            for host, chosen in placed.items():
                guests.place(tx, [row.id for row in chosen], host)
            if left_over:
                guests.fail_many(tx, [row.id for row in left_over], NO_HOST + _why(hosts))
            self.outbox.cast_many(
                tx,
                context,
                [
                    (f"{topic}.{host}", "run_instance", {"instance_uuid": row.uuid})
                    for host, chosen in placed.items()
                    for row in chosen
                ],
            )

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
            row = guests.get_volume(tx.conn, volume_id)
            if row is None or row.host is not None:
                return
            place = services.volume_host(tx.conn, self.config.service_down_time, row.availability_zone)
            if place is None:
                volume_queries.change_volume(tx, volume_id, ("creating",), {"status": "error"})
                return
            values = {"host": place.host, "scheduled_at": now()}
            if volume_queries.change_volume(tx, volume_id, ("creating",), values):
                message = {"volume_id": volume_id, "snapshot_id": snapshot_id}
                self.outbox.cast(tx, context, f"{topic}.{place.host}", "create_volume", **message)

        self.db.write(work)


def choose(
    hosts: Iterable[FreeHost], rows: Sequence[Row[Any]], *, forced: bool = False
) -> tuple[dict[str, list[Row[Any]]], list[Row[Any]]]:
    """Spread instances over hosts, most free memory first.

    :param rows: with ``vcpus``, ``memory_mb``, ``local_gb`` and ``availability_zone`` (None: any)
    :param forced: the hosts were named by an administrator; their room is not looked at
    :returns: the instances of each host, and those that fit nowhere
    """
    heap = [(-host.memory_mb, host.host, host) for host in hosts]
    heapq.heapify(heap)
    placed: dict[str, list[Row[Any]]] = {}
    left_over: list[Row[Any]] = []
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


def _fits(host: FreeHost, row: Row[Any], forced: bool) -> bool:
    if row.availability_zone and row.availability_zone != host.zone:
        return False
    return forced or (host.vcpus >= row.vcpus and host.memory_mb >= row.memory_mb and host.local_gb >= row.local_gb)


def _candidates(hosts: Iterable[FreeHost], forced: Iterable[str], ignored: Iterable[str]) -> list[FreeHost]:
    only, without = set(forced), set(ignored)
    return [host for host in hosts if (not only or host.host in only) and host.host not in without]


def _why(hosts: Sequence[FreeHost]) -> str:
    return "No host has room for it in its zone." if hosts else "No compute service is up."
