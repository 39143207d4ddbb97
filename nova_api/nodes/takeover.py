"""What becomes of the work of a host that died: every scheduler looks for it now and then.

A host is given up once nothing has been heard of it for ``service_down_time``, or that long after a scheduler has seen
that it said goodbye: who is started anew in that time finds his work as he left it. Of a host that was given up

* builds go to another host that flavor, hints and room allow; where there is none, and where an administrator had
  named the host, they wait for its return. Addresses stay with the instance, volumes are attached anew;
* instances that are to end are ended in the datastore at once;
* volumes that are to be made are made by another host of their zone, if there is one.

Everything else waits for the host: its guests, their disks and the messages for it are there. Each step is one
transaction that locks what it changes and looks whether it is still as it was, so however many schedulers look, each
thing is done once. A host that returns finds in the datastore what is no longer its own: it builds nothing of that,
and takes down what it had built.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from sqlalchemy.engine import Connection, Row

from nova_api.config import Config
from nova_api.context import admin_context
from nova_api.db import guests, services, takeovers
from nova_api.db.engine import Database, Transaction
from nova_api.db.services import FreeHost
from nova_api.nodes import host_filters
from nova_api.nodes.builds import BUILDING
from nova_api.nodes.endings import end
from nova_api.nodes.scheduler import choose
from nova_api.rpc.outbox import Outbox

log = logging.getLogger(__name__)

#: Things looked at in one transaction, or between two.
_AT_A_TIME = 100


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


class TakeOver:
    """Takes up the work of hosts that died.

    :param db: the datastore
    :param outbox: takes the messages for the hosts that go on with it
    :param config: ``service_down_time``
    :param clock: seconds, on any clock that never goes back
    """

    def __init__(
        self, db: Database, outbox: Outbox, config: Config, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.db, self.outbox, self._down_time, self._clock = db, outbox, config.service_down_time, clock
        self._away: dict[tuple[str, str], float] = {}  # host and topic of those that said goodbye, and since when

    def run(self) -> int:
        """Look once.

        :returns: how many things were taken up
        """
        with self.db.read() as conn:
            gone = self._given_up(conn)
            done = takeovers.ended_builds(conn)
        if done:
            self.db.write(lambda tx: takeovers.forget_builds(tx, done))
        taken = 0
        if computes := gone.get("compute"):
            taken += self._builds(computes) + self._ends(computes)
        if volume_hosts := gone.get("volume"):
            taken += self._volumes(volume_hosts)
        return taken

    def _given_up(self, conn: Connection) -> dict[str, set[str]]:
        """The hosts that were given up, by topic."""
        at = self._clock()
        gone: dict[str, set[str]] = {}
        away: dict[tuple[str, str], float] = {}
        for row in services.every(conn):
            if services.alive(row, self._down_time):
                continue
            if row.updated_at is None:
                since = away[row.host, row.topic] = self._away.get((row.host, row.topic), at)
                if at - since < self._down_time:
                    continue
            gone.setdefault(row.topic, set()).add(row.host)
        self._away = away
        return gone

    # -- builds

    def _builds(self, hosts: Iterable[str]) -> int:
        taken, after = 0, 0
        while True:
            moved, last = self.db.write(partial(self._move_builds, hosts, after))
            for uuid, source, dest in moved:
                log.warning("%s was given up: instance %s is built by %s", source, uuid, dest)
            taken += len(moved)
            if last is None:
                return taken
            after = last

    def _move_builds(
        self, hosts: Iterable[str], after: int, tx: Transaction
    ) -> tuple[list[tuple[str, str, str]], int | None]:
        """Move some builds.

        :returns: UUID, source and destination of each, and the number after which to go on
        """
        # Hosts before instances, as everywhere: whoever takes them the other way round may wait for ever.
        free = services.free_hosts(tx, self._down_time)
        if not free:
            return [], None
        rows = takeovers.stranded(tx, hosts, BUILDING, after, _AT_A_TIME)
        moved = []
        for row in rows:
            told = json.loads(row.arguments) if row.arguments else {}
            dest = self._destination(tx, free, row, told.pop("filter_properties", {}))
            if dest is None or not takeovers.move_build(tx, row.id, row.host, dest):
                continue
            free = [_less(host, row) if host.host == dest else host for host in free]
            self._hand_over(tx, row, dest, told)
            moved.append((row.uuid, row.host, dest))
        return moved, rows[-1].id if len(rows) == _AT_A_TIME else None

    @staticmethod
    def _destination(tx: Transaction, free: Sequence[FreeHost], row: Row[Any], limits: Mapping[str, Any]) -> str | None:
        if limits.get("force_hosts"):
            return None
        without = {row.host, *(limits.get("ignore_hosts") or ())}
        hosts = [host for host in free if host.host not in without]
        try:
            hosts = host_filters.allowed(tx, hosts, row.instance_type_id)
            hosts = host_filters.hinted(tx, hosts, row.project_id, limits.get("scheduler_hints"))
        except host_filters.BadHint:
            return None
        placed, _ = choose(hosts, [row])
        return next(iter(placed), None)

    def _hand_over(self, tx: Transaction, row: Row[Any], dest: str, told: Mapping[str, Any]) -> None:
        context = admin_context()
        for volume, place in takeovers.disconnect(tx, row.id):
            topic, method = f"volume.{place}", "terminate_connection"
            self.outbox.cast(tx, context, topic, method, volume_id=volume, host=row.host)
        self.outbox.cast(tx, context, f"compute.{dest}", "run_instance", instance_uuid=row.uuid, **told)

    # -- ends

    def _ends(self, hosts: Iterable[str]) -> int:
        return self._each(lambda conn, after: takeovers.ending(conn, hosts, after, _AT_A_TIME), self._end)

    def _end(self, found: Any, tx: Transaction) -> bool:
        row = guests.lock(tx, found.uuid)
        if row is None or row.task_state != "deleting":
            return False
        log.warning("%s was given up: instance %s has ended", row.host, row.uuid)
        end(tx, self.outbox, admin_context(), row, row.host)
        return True

    # -- volumes

    def _volumes(self, hosts: Iterable[str]) -> int:
        return self._each(lambda conn, after: takeovers.unmade_volumes(conn, hosts, after, _AT_A_TIME), self._remake)

    def _remake(self, found: Any, tx: Transaction) -> bool:
        place = services.volume_host(tx.conn, self._down_time, found.availability_zone)
        if place is None or not takeovers.move_volume(tx, found.id, found.host, place.host):
            return False
        log.warning("%s was given up: volume %d is made by %s", found.host, found.id, place.host)
        told = {"volume_id": found.id, "snapshot_id": found.snapshot_id}
        self.outbox.cast(tx, admin_context(), f"volume.{place.host}", "create_volume", **told)
        return True

    def _each(
        self,
        find: Callable[[Connection, int], Sequence[_Numbered]],
        work: Callable[[Any, Transaction], bool],
    ) -> int:
        """Do something to all that is found, each in a transaction of its own.

        :returns: how often it was done
        """
        taken, after = 0, 0
        while True:
            with self.db.read() as conn:
                rows = find(conn, after)
            for row in rows:
                taken += self.db.write(partial(work, row))
            if len(rows) < _AT_A_TIME:
                return taken
            after = rows[-1].id


def _less(host: FreeHost, row: Row[Any]) -> FreeHost:
    return host._replace(
        vcpus=host.vcpus - row.vcpus, memory_mb=host.memory_mb - row.memory_mb, local_gb=host.local_gb - row.local_gb
    )
