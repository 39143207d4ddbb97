"""Backup schedules: images that are made of servers by the day and by the week (spec openstack-core.md 9.5).

Every scheduler looks now and then for servers that an image is to be taken of in the two hours that the time is in.
Whoever notes it in the schedule's row takes it, in the same transaction: of any number of processes one does, and none
does it twice, whenever it was killed. Hours and days are those of UTC, which has no summer time.

A window is taken once, or not at all: a server that is busy, locked, or neither active nor shut off waits for the end
of that, until the window's end; a window in which it never was idle, or in which no scheduler ran, is left out, and so
is one whose image came to nothing on the node. The next one is taken then.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Row

from nova_api import errors
from nova_api.cloud.instance_images import InstanceImages, SnapshotSpec
from nova_api.cloud.server_actions import ON_DISK
from nova_api.cloud.server_states import BACKUP
from nova_api.cloud.servers import Servers
from nova_api.context import RequestContext, admin_context
from nova_api.db import backup_schedules as queries
from nova_api.db import instances
from nova_api.db.backup_schedules import Window
from nova_api.db.engine import Database, Transaction
from nova_api.db.models import now

log = logging.getLogger(__name__)

DISABLED = queries.DISABLED
_DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
#: What ``weekly`` may be: a day, or none.
WEEKLY = (DISABLED, *_DAYS)
#: What ``daily`` may be: two hours, or none.
DAILY = (DISABLED, *(f"H_{hour:02d}00_{(hour + 2) % 24:02d}00" for hour in range(0, 24, 2)))
#: How many images of a kind are kept of a server.
KEPT = 1
#: Servers that are looked up at a time.
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Schedule:
    """When images are made of a server.

    :ivar weekly: out of :data:`WEEKLY`; daily: out of :data:`DAILY`
    """

    enabled: bool = False
    weekly: str = DISABLED
    daily: str = DISABLED


class BackupSchedules:
    """Backup schedules as a service.

    :param images: makes the images
    :param servers: finds servers
    :param clock: the time, aware
    """

    def __init__(
        self, db: Database, images: InstanceImages, servers: Servers, clock: Callable[[], datetime] = now
    ) -> None:
        self.db, self.images, self.servers, self.clock = db, images, servers, clock

    def get(self, context: RequestContext, server: str) -> Schedule:
        """The schedule of a server; one that never runs where there is none.

        :param server: its UUID or number
        :raises InstanceNotFound: it is not the caller's
        """
        with self.db.read() as conn:
            row = queries.one(conn, self.servers.row(conn, context, server, "compute:get").id)
        return Schedule() if row is None else Schedule(row.enabled, row.weekly, row.daily)

    def put(self, context: RequestContext, server: str, schedule: Schedule) -> None:
        """Give a server a schedule, in the place of any other.

        A window that an image was taken in stays taken, so a schedule that is sent twice makes no second one.

        :param server: its UUID or number
        :raises InstanceNotFound: it is not the caller's
        """

        def work(tx: Transaction) -> None:
            row = self.servers.locked(tx, context, server, BACKUP.policy)
            queries.put(tx, row.id, enabled=schedule.enabled, weekly=schedule.weekly, daily=schedule.daily)

        self.db.write(work)

    def delete(self, context: RequestContext, server: str) -> None:
        """End the schedule of a server; none is fine.

        :param server: its UUID or number
        :raises InstanceNotFound: it is not the caller's
        """

        def work(tx: Transaction) -> None:
            row = self.servers.locked(tx, context, server, BACKUP.policy)
            queries.delete(tx, [row.id])

        self.db.write(work)

    # -- the work --------------------------------------------------------------------------------------

    def take_due(self) -> int:
        """Begin the images that are to be taken now; to be called now and then by every scheduler.

        :returns: how many this process has begun
        :raises ServiceUnavailable: the datastore does not answer; what is left is begun the next time
        """
        window, after, begun = window_of(self.clock()), 0, 0
        while True:
            with self.db.read() as conn:
                found = queries.due(conn, window, ON_DISK, after=after, limit=_PAGE)
            for number in found:
                at = self.clock()
                if window_of(at) != window:
                    return begun
                begun += self._take(number, window, at)
            if len(found) < _PAGE:
                return begun
            after = found[-1]

    def _take(self, number: int, window: Window, at: datetime) -> bool:
        try:
            return self.db.write(lambda tx: self._take_in(tx, number, window, at))
        except (errors.ServerState, errors.ServerLocked, errors.ServerWithoutHost) as error:
            log.info("no backup of instance %d yet: %s", number, error)
            return False

    def _take_in(self, tx: Transaction, number: int, window: Window, at: datetime) -> bool:
        row = instances.locked(tx, admin_context(), [number]).get(number)
        if row is None or not (self._begin(tx, row, "weekly", window, at) or self._begin(tx, row, "daily", window, at)):
            return False  # it has ended, or another scheduler was first
        return True

    def _begin(self, tx: Transaction, row: Row[Any], kind: queries.Kind, window: Window, at: datetime) -> bool:
        """Begin an image, as the server's owner would."""
        if not queries.claim(tx, row.id, kind, window, at):
            return False
        owner = RequestContext(user_id=row.user_id, project_id=row.project_id)
        self.images.begin(tx, owner, row, SnapshotSpec(name=kind, backup_type=kind, rotation=KEPT), BACKUP)
        return True


def window_of(at: datetime) -> Window:
    """The window that a time is in.

    :param at: aware
    """
    at = at.astimezone(UTC)
    hour = at.hour // 2 * 2
    start = at.replace(hour=hour, minute=0, second=0, microsecond=0)
    return Window(start, DAILY[1 + hour // 2], _DAYS[at.weekday()], first=hour == 0)
