"""What the parts of the volume service share: rows that the caller may have, and what rules compare with."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_api import errors, limits
from nova_api.cloud.policy import Policy
from nova_api.cloud.quota import Quotas
from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.db import volumes as queries
from nova_api.db.engine import Database
from nova_api.db.models import snapshots, volumes
from nova_api.rpc.outbox import Outbox


class VolumeService:
    """The base of the volume service's parts."""

    def __init__(self, db: Database, quotas: Quotas, outbox: Outbox, policy: Policy, config: Config) -> None:
        self.db, self.quotas, self.outbox, self.policy, self.config = db, quotas, outbox, policy, config

    def get(self, conn: Connection, context: RequestContext, number: int) -> Row[Any]:
        """One volume.

        :raises VolumeNotFound: it is not the project's
        """
        rows = queries.find_volumes(conn, context, volumes.c.id.in_(storable([number])))
        if not rows:
            raise errors.VolumeNotFound(f"vol-{number:08x}")
        return rows[0]

    def checked(self, conn: Connection, context: RequestContext, number: int, *rules: str) -> Row[Any]:
        """:meth:`get` for a caller, as the policy allows it.

        :param rules: of what is to be done with it, besides ``volume:get``
        :raises VolumeNotFound: it is not the project's
        :raises PolicyNotAuthorized: a rule says no
        """
        return self._allowed(context, self.get(conn, context, number), "volume:get", *rules)

    def checked_snapshot(self, conn: Connection, context: RequestContext, number: int, *rules: str) -> Row[Any]:
        """:meth:`get_snapshot` for a caller, as the policy allows it.

        :param rules: of what is to be done with it, besides ``volume:get_snapshot``
        :raises SnapshotNotFound: it is not the project's
        :raises PolicyNotAuthorized: a rule says no
        """
        return self._allowed(context, self.get_snapshot(conn, context, number), "volume:get_snapshot", *rules)

    def _allowed(self, context: RequestContext, row: Row[Any], *rules: str) -> Row[Any]:
        for rule in rules:
            self.policy.check(context, rule, target_of(row))
        return row

    def check_named(self, context: RequestContext, rows: Iterable[Row[Any]], rule: str) -> None:
        """Ask the policy for each of several rows, once for all that have the same owner.

        :raises PolicyNotAuthorized: the rule says no
        """
        for project, user in {(row.project_id, row.user_id) for row in rows}:
            self.policy.check(context, rule, {"project_id": project, "user_id": user})

    def get_snapshot(self, conn: Connection, context: RequestContext, number: int) -> Row[Any]:
        """One snapshot.

        :raises SnapshotNotFound: it is not the project's
        """
        rows = queries.find_snapshots(conn, context, snapshots.c.id.in_(storable([number])))
        if not rows:
            raise errors.SnapshotNotFound(f"snap-{number:08x}")
        return rows[0]


def storable(numbers: Iterable[int]) -> Sequence[int]:
    """Those that can be row numbers at all."""
    return [number for number in numbers if number <= limits.MAX_DATABASE_ID]


def target_of(row: Row[Any]) -> dict[str, Any]:
    """What a policy rule compares the caller with."""
    return {"project_id": row.project_id, "user_id": row.user_id}


def require(known: set[int], wanted: Iterable[int], error: type[errors.NotFound], form: str) -> None:
    for number in wanted:
        if number not in known:
            raise error(form % number)
