"""Instances as the OpenStack door has them: one at a time, by UUID or number (spec openstack-core.md 5).

What the doors have in common (launching, quotas, states, messages) is in :mod:`nova_api.cloud.launch` and
:mod:`nova_api.cloud.compute`; what becomes of a server once it exists is in :mod:`nova_api.cloud.server_actions`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api import errors, limits
from nova_api.cloud.launch import Launcher, LaunchSpec, host_name
from nova_api.cloud.launch_plan import check_metadata
from nova_api.cloud.policy import Policy
from nova_api.cloud.quota import Quotas
from nova_api.cloud.sharers import tell_sharers
from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.db import instances as queries
from nova_api.db import server_filters, server_lists
from nova_api.db.engine import Database, Transaction
from nova_api.db.models import instances, now
from nova_api.db.server_lists import ServerList
from nova_api.rpc.outbox import Outbox

_DELETABLE = ("active", "building", "error", "rescued", "shutoff", "stopped")
_RECLAIMABLE = ("active", "shutoff", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerQuery:
    """What a list is narrowed to; every part is SQL.

    :ivar filters: by name; names that the caller may not use are dropped
    :ivar vm_states: None for any
    :ivar changed_since: rows that have changed after this, ended ones among them
    :ivar deleted: only ended ones; None for what the rest says
    :ivar all_projects: of everybody; for administrators
    :ivar marker: UUID or number of the last server seen
    :ivar limit: most servers
    :ivar offset: how many are left out at the beginning
    """

    filters: Mapping[str, str] = field(default_factory=dict)
    vm_states: Sequence[str] | None = None
    changed_since: datetime | None = None
    deleted: bool | None = None
    all_projects: bool = False
    marker: str | None = None
    limit: int = 1000
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Launched:
    """What a create has made.

    :ivar server: the first of them
    """

    reservation_id: str
    server: Row[Any]


class MarkerNotFound(errors.NotFound):
    """A page that starts after nothing."""


class Servers:
    """Servers as a service."""

    def __init__(
        self, db: Database, quotas: Quotas, outbox: Outbox, policy: Policy, config: Config, launcher: Launcher
    ) -> None:
        self.db, self.quotas, self.outbox, self.policy, self.config = db, quotas, outbox, policy, config
        self.launcher = launcher

    # -- reading ---------------------------------------------------------------------------------------

    def list(self, context: RequestContext, query: ServerQuery, *, detail: bool) -> ServerList:
        """A page of servers, newest first.

        :param detail: with everything that documents show; else ids and names
        :raises MarkerNotFound: the marker is no server of the scope
        :raises InvalidParameterValue: a filter that cannot be understood
        """
        self.policy.check(context, "compute:get_all")
        project = None if query.all_projects and context.is_admin else context.project_id
        where = self._where(context, query)
        with self.db.read() as conn:
            before = limits.MAX_DATABASE_ID
            if query.marker is not None:
                found = server_lists.number_of_marker(conn, project, query.marker)
                if found is None:
                    raise MarkerNotFound(query.marker)
                before = found
            if query.limit == 0:
                return ServerList(())
            try:
                page = {"before": before, "limit": query.limit, "offset": query.offset}
                return server_lists.find(conn, project, where=where, detail=detail, **page)
            except sa.exc.DBAPIError as error:
                refusal = server_filters.refusal_of(error)
                if refusal is None:
                    raise
                raise refusal from error

    def _where(self, context: RequestContext, query: ServerQuery) -> Sequence[sa.ColumnElement[bool]] | None:
        """The conditions of a query; None when it has none, which is the list that is asked for most."""
        dropped = () if query.all_projects else server_filters.OF_PROJECTS
        made = [
            server_filters.condition(name, text, admin=context.is_admin)
            for name, text in query.filters.items()
            if name not in dropped
        ]
        where = [one for one in made if one is not None]
        if query.vm_states is not None:
            where.append(instances.c.vm_state.in_(list(query.vm_states)))
        if query.changed_since is not None:
            changed = sa.func.coalesce(instances.c.updated_at, instances.c.created_at)
            where.append(sa.type_coerce(changed, instances.c.created_at.type) > query.changed_since)
        if query.deleted is True:
            return [*where, server_lists.GONE]
        if query.deleted is None and query.changed_since is not None:
            return where
        return [*where, server_lists.ALIVE] if where else None

    def get(self, context: RequestContext, text: str) -> ServerList:
        """One server.

        :param text: its UUID or number, as the caller wrote it
        :raises InstanceNotFound: it is not the caller's
        """
        with self.db.read() as conn:
            found = server_lists.one(conn, context, text)
        if not found.rows:
            raise errors.InstanceNotFound(text)
        self.policy.check(context, "compute:get", target_of(found.rows[0]))
        return found

    # -- changing --------------------------------------------------------------------------------------

    def create(self, context: RequestContext, spec: LaunchSpec) -> Launched:
        """Start servers; the nodes finish them.

        :raises ApiError: see :meth:`nova_api.cloud.launch.Launcher.launch`
        """

        def work(tx: Transaction) -> Launched:
            number = self.launcher.launch(tx, context, spec)[0]
            row = tx.execute(sa.select(instances).where(instances.c.id == number)).one()
            return Launched(row.reservation_id, row)

        return self.db.write_racing(work)  # against another request that makes the default group

    def update(self, context: RequestContext, text: str, values: Mapping[str, Any]) -> None:
        """Change what the owner may change.

        :param values: columns, out of ``display_name``, ``access_ip_v4``, ``access_ip_v6``, ``auto_disk_config``
        :raises InstanceNotFound: it is not the caller's
        """

        def work(tx: Transaction) -> None:
            row = self.locked(tx, context, text, "compute:update")
            changed = dict(values)
            if "display_name" in changed:
                changed["hostname"] = host_name(changed["display_name"])
            if changed:
                queries.change(tx, [row.id], changed)

        self.db.write(work)

    def delete(self, context: RequestContext, text: str) -> None:
        """End a server, or with ``reclaim_instance_interval`` put it where it can be restored from.

        :raises InstanceNotFound: it is not the caller's
        :raises ServerState: it is in a state that does not admit it
        """

        def work(tx: Transaction) -> None:
            soft = self.config.reclaim_instance_interval > 0
            row = self.locked(tx, context, text, "compute:soft_delete" if soft else "compute:delete")
            if row.disable_terminate or row.task_state == "deleting":
                return
            if row.locked and not context.is_admin:
                raise errors.ServerLocked("delete")
            if row.vm_state not in (_RECLAIMABLE if soft else _DELETABLE):
                raise errors.ServerState("delete", "vm_state", row.vm_state, row.uuid)
            if not row.host:
                self.end_unplaced(tx, context, row)
            elif soft:
                self._soften(tx, context, row)
            else:
                self.end(tx, context, row)

        self.db.write(work)

    def end(self, tx: Transaction, context: RequestContext, row: Row[Any]) -> None:
        """Have its node end a server."""
        queries.change(tx, [row.id], {"task_state": "deleting", "progress": 0})
        self.outbox.cast(tx, context, f"compute.{row.host}", "terminate_instance", instance_uuid=row.uuid)

    def end_unplaced(self, tx: Transaction, context: RequestContext, row: Row[Any]) -> None:
        """End a server that no node has."""
        left = queries.delete(tx, [row.id])
        for volume, host in left.volumes:
            self.outbox.cast(tx, context, f"volume.{host}", "delete_volume", volume_id=volume)
        tell_sharers(self.outbox, tx, context, left.sharers)

    def _soften(self, tx: Transaction, context: RequestContext, row: Row[Any]) -> None:
        values = {"vm_state": "soft-delete", "task_state": "powering-off", "deleted_at": now(), "progress": 0}
        queries.change(tx, [row.id], values)
        self.outbox.cast(tx, context, f"compute.{row.host}", "power_off_instance", instance_uuid=row.uuid)

    def locked(self, tx: Transaction, context: RequestContext, text: str, action: str) -> Row[Any]:
        """A server that the caller may do something to, kept from changing until the transaction ends.

        :param action: the policy rule
        :raises InstanceNotFound: it is not the caller's
        """
        row = queries.locked_by(tx, context, text)
        if row is None:
            raise errors.InstanceNotFound(text)
        self.policy.check(context, action, target_of(row))
        return row

    def row(self, conn: Connection, context: RequestContext, text: str, action: str) -> Row[Any]:
        """A server that the caller may ask something about.

        :param action: the policy rule
        :raises InstanceNotFound: it is not the caller's
        """
        found = queries.named(conn, context, text)
        if found is None:
            raise errors.InstanceNotFound(text)
        self.policy.check(context, action, target_of(found))
        return found

    # -- metadata --------------------------------------------------------------------------------------

    def metadata(self, context: RequestContext, text: str) -> dict[str, str]:
        """The metadata of a server.

        :raises InstanceNotFound: it is not the caller's
        """
        found = self.get(context, text)
        return found.metadata.get(found.rows[0].id, {})

    def set_metadata(
        self, context: RequestContext, text: str, items: Mapping[str, str], *, replace: bool
    ) -> dict[str, str]:
        """Change the metadata of a server.

        :param replace: drop what ``items`` does not name
        :returns: all of it
        :raises InstanceNotFound: it is not the caller's
        :raises MetadataLimitExceeded: there would be too much
        """

        def work(tx: Transaction) -> dict[str, str]:
            row = self.locked(tx, context, text, "compute:update_instance_metadata")
            kept = {} if replace else queries.metadata(tx.conn, row.id)
            wanted = {**kept, **items}
            check_metadata(self.quotas.limits_in(tx, row.project_id or ""), wanted)
            queries.remove_metadata(tx, row.id, None if replace else items)
            queries.add_metadata(tx, [row.id], items)
            return wanted

        return self.db.write(work)

    def delete_metadata(self, context: RequestContext, text: str, key: str) -> bool:
        """Drop one item.

        :returns: whether it was there
        :raises InstanceNotFound: it is not the caller's
        """

        def work(tx: Transaction) -> bool:
            row = self.locked(tx, context, text, "compute:delete_instance_metadata")
            return bool(queries.remove_metadata(tx, row.id, [key]))

        return self.db.write(work)


def target_of(row: Row[Any]) -> dict[str, Any]:
    """What a policy rule compares the caller with."""
    return {"project_id": row.project_id, "user_id": row.user_id}
