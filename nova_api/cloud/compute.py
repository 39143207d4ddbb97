"""Instances: what the doors may do with them (spec ec2.md 4.7, 4.10)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.engine import Row

from nova_api import errors, limits
from nova_api.cloud.image import Images
from nova_api.cloud.keypairs import KeyPairs
from nova_api.cloud.launch import Launcher, LaunchSpec
from nova_api.cloud.network import Network
from nova_api.cloud.policy import Policy
from nova_api.cloud.quota import Quotas
from nova_api.cloud.securitygroups import SecurityGroups
from nova_api.cloud.sharers import tell_sharers
from nova_api.cloud.volume import Volumes
from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.db import flavors, instance_lists
from nova_api.db import instances as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.filters import build
from nova_api.db.instance_lists import InstanceList
from nova_api.db.models import now
from nova_api.rpc.client import Rpc
from nova_api.rpc.envelope import RemoteError
from nova_api.rpc.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Transition:
    """An action on instances that a node carries out.

    :ivar vm_states: states it is allowed in
    :ivar task_states: tasks it is allowed at, None among them for idle
    :ivar vm_state: the state that the instance is in meanwhile
    :ivar task: the task that the instance is at meanwhile
    :ivar method: what the node is told
    """

    policy: str
    vm_states: tuple[str, ...]
    task_states: tuple[str | None, ...]
    vm_state: str
    task: str
    method: str
    arguments: Mapping[str, Any]


_RUNNING = ("active", "shutoff", "rescued")
_IDLE_OR_RESIZED = (None, "resize_verify")
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
REBOOT = Transition(
    "compute:reboot",
    _RUNNING,
    _IDLE_OR_RESIZED,
    "active",
    "rebooting_hard",
    "reboot_instance",
    {"reboot_type": "HARD"},
)
STOP = Transition("compute:stop", _RUNNING, _IDLE_OR_RESIZED, "active", "stopping", "stop_instance", {})
START = Transition("compute:start", ("stopped", "shutoff"), (None,), "stopped", "starting", "start_instance", {})


@dataclass(frozen=True, slots=True)
class InstanceState:
    """What an instance is doing."""

    id: int
    vm_state: str
    task_state: str | None
    shutdown_terminate: bool
    zone: str | None = None


#: What an instance was doing before, and is doing now.
Change = tuple[InstanceState, InstanceState]


@dataclass(frozen=True, slots=True)
class InstanceDetail:
    """One instance with what hangs on it."""

    row: Row[Any]
    flavor: str
    groups: Sequence[Row[Any]]
    devices: Sequence[Row[Any]]


class Compute:
    """Instances as a service."""

    def __init__(
        self,
        db: Database,
        quotas: Quotas,
        outbox: Outbox,
        rpc: Rpc,
        policy: Policy,
        config: Config,
        *,
        images: Images,
        key_pairs: KeyPairs,
        security_groups: SecurityGroups,
        volumes: Volumes,
        network: Network,
    ) -> None:
        self.db, self.outbox, self.rpc, self.policy, self.config = db, outbox, rpc, policy, config
        self.launcher = Launcher(
            quotas=quotas,
            outbox=outbox,
            policy=policy,
            config=config,
            images=images,
            key_pairs=key_pairs,
            security_groups=security_groups,
        )

    # -- reading ---------------------------------------------------------------------------------------

    def list(
        self,
        context: RequestContext,
        numbers: Mapping[str, int] | None = None,
        *,
        filters: Sequence[tuple[str, Sequence[str]]] = (),
        after: int = 0,
        limit: int | None = None,
        all_known: bool = False,
        ended: bool = False,
    ) -> InstanceList:
        """Instances that the caller sees, with everything an answer shows.

        :param numbers: only these, by the text that the caller wrote; None for all
        :param all_known: refuse numbers that do not exist
        :param ended: also those that have ended within ``ended_instances_seconds``
        :raises InstanceNotFound: one of ``numbers`` does not exist, with ``all_known``
        """
        self.policy.check(context, "compute:get_all")
        wanted = None
        if numbers is not None:
            wanted = [number for number in dict.fromkeys(numbers.values()) if number <= limits.MAX_DATABASE_ID]
        where = build(instance_lists.FILTERS, filters)
        hidden = "" if context.is_admin else self.config.vpn_image_id
        since = now() - timedelta(seconds=self.config.ended_instances_seconds) if ended else None
        with self.db.read() as conn:
            found = instance_lists.find(
                conn,
                context,
                ids=wanted,
                where=where,
                after=after,
                limit=limit,
                hidden_image=hidden,
                ended_since=since,
            )
            if numbers is not None and all_known:
                self._require(conn, context, numbers, found, where, hidden)
        return found

    @staticmethod
    def _require(
        conn: Any,
        context: RequestContext,
        numbers: Mapping[str, int],
        found: InstanceList,
        where: Sequence[Any],
        hidden: str,
    ) -> None:
        known = {row.id for row in found.rows}
        missing = [text for text, number in numbers.items() if number not in known]
        for text in missing:
            number = numbers[text]
            there = where and number <= limits.MAX_DATABASE_ID and queries.one(conn, context, number) is not None
            if not there:
                raise errors.InstanceNotFound(text)

    def get(self, context: RequestContext, number: int, text: str) -> InstanceDetail:
        """One instance.

        :param text: its id as the caller wrote it
        :raises InstanceNotFound: it is not the project's
        """
        with self.db.read() as conn:
            row = queries.one(conn, context, number) if number <= limits.MAX_DATABASE_ID else None
            if row is None:
                raise errors.InstanceNotFound(text)
            self.policy.check(context, "compute:get", _target(row))
            return InstanceDetail(
                row,
                queries.flavor_name(conn, row.instance_type_id),
                queries.groups(conn, row.id),
                queries.devices(conn, row.id),
            )

    def states(
        self,
        context: RequestContext,
        numbers: Mapping[str, int] | None = None,
        *,
        after: int = 0,
        limit: int | None = None,
    ) -> Sequence[InstanceState]:
        """States of instances; parameters as :meth:`list`.

        :raises InstanceNotFound: one of ``numbers`` does not exist
        """
        found = self.list(context, numbers, after=after, limit=limit, all_known=True)
        return [
            InstanceState(row.id, row.vm_state, row.task_state, bool(row.shutdown_terminate), found.zones.get(row.host))
            for row in found.rows
        ]

    def flavors(self) -> Sequence[Row[Any]]:
        """All flavors."""
        with self.db.read() as conn:
            return flavors.every(conn)

    def console_output(self, context: RequestContext, number: int, text: str) -> str:
        """The console text of an instance, from its node.

        :raises InstanceNotFound: it is not the project's
        :raises IncorrectInstanceState: it runs nowhere yet
        :raises ServiceUnavailable: its node does not answer
        """
        detail = self.get(context, number, text)
        self.policy.check(context, "compute:get_console_output", _target(detail.row))
        if not detail.row.host:
            raise errors.IncorrectInstanceState(f"Instance {text} does not run on a host yet.")
        try:
            output = self.rpc.call(
                context,
                f"compute.{detail.row.host}",
                "get_console_output",
                tail_length=None,
                instance_uuid=detail.row.uuid,
            )
        except RemoteError as error:
            raise errors.IncorrectInstanceState(f"The console of {text} cannot be read now.") from error
        return str(output)[-limits.MAX_CONSOLE_BYTES :]

    # -- changing --------------------------------------------------------------------------------------

    def run(self, context: RequestContext, spec: LaunchSpec) -> InstanceList:
        """Start instances; the nodes finish them.

        :returns: the reservation as it is when the request commits; that of an earlier request with the same client
            token may have ended
        """

        def work(tx: Transaction) -> InstanceList:
            numbers = self.launcher.launch(tx, context, spec)
            return instance_lists.find(tx.conn, context, ids=numbers, ended_since=_EVER)

        # Against another request with the same client token, or the one that makes the default group.
        return self.db.write_racing(work)

    def reboot(self, context: RequestContext, numbers: Mapping[str, int]) -> Sequence[Change]:
        """Reboot instances: all of them, or none."""
        return self._transition(context, numbers, REBOOT)

    def stop(self, context: RequestContext, numbers: Mapping[str, int]) -> Sequence[Change]:
        """Stop instances: all of them, or none."""
        return self._transition(context, numbers, STOP)

    def start(self, context: RequestContext, numbers: Mapping[str, int]) -> Sequence[Change]:
        """Start stopped instances: all of them, or none.

        One that was shut off from inside and is to end then is left as it is, as in 2012.1.
        """
        return self._transition(
            context, numbers, START, lambda row: row.vm_state == "shutoff" and bool(row.shutdown_terminate)
        )

    def _transition(
        self,
        context: RequestContext,
        numbers: Mapping[str, int],
        transition: Transition,
        passes: Callable[[Row[Any]], bool] = lambda row: False,
    ) -> Sequence[Change]:
        """Move instances to a task and tell their nodes.

        :param passes: instances that are left as they are
        :raises InstanceNotFound: one of them is not the project's
        :raises IncorrectInstanceState: one of them is busy, or in a state that does not admit it
        :raises ServerLocked: an administrator has locked one of them
        """

        def work(tx: Transaction) -> Sequence[Change]:
            rows = self._all(tx, context, numbers, transition.policy)
            moving = [row for row in rows if not passes(row)]
            for row in moving:
                if row.locked and not context.is_admin:
                    raise errors.ServerLocked(transition.policy.removeprefix("compute:"))
                fitting = row.vm_state in transition.vm_states and row.task_state in transition.task_states
                if not fitting or not row.host:
                    raise errors.IncorrectInstanceState(
                        f"The instance 'i-{row.id:08x}' is not in a state from which this can be done."
                    )
            ids = [row.id for row in moving]
            begun = {"vm_state": transition.vm_state, "task_state": transition.task, "progress": 0}
            values = {**begun, "task_request": context.request_id}
            moved = queries.change(tx, ids, values, vm_states=transition.vm_states, task_states=transition.task_states)
            if moved != len(ids):
                raise errors.IncorrectInstanceState("An instance has just changed its state.")
            self.outbox.cast_many(
                tx,
                context,
                [
                    (
                        f"compute.{row.host}",
                        transition.method,
                        {"instance_uuid": row.uuid, **transition.arguments},
                    )
                    for row in moving
                ],
            )
            return [(_state(row), _state(row) if passes(row) else _moved(row, transition)) for row in rows]

        return self.db.write(work)

    def terminate(
        self, context: RequestContext, numbers: Mapping[str, int], *, refuse_protected: bool
    ) -> Sequence[Change]:
        """End instances, whatever they are doing: all of them, or none.

        :param refuse_protected: whether a protected one is an error, or left as it is
        :raises InstanceNotFound: one of them is not the project's
        :raises OperationNotPermitted: one of them is protected
        :raises ServerLocked: an administrator has locked one of them
        """

        def work(tx: Transaction) -> Sequence[Change]:
            rows = self._all(tx, context, numbers, "compute:delete")
            ending = [row for row in rows if not row.disable_terminate]
            if refuse_protected and len(ending) < len(rows):
                raise errors.OperationNotPermitted("The instance is protected against termination.")
            if not context.is_admin and any(row.locked for row in ending):
                raise errors.ServerLocked("delete")
            placed = [row for row in ending if row.host and row.task_state != "deleting"]
            loose = [row.id for row in ending if not row.host]
            if placed:
                queries.change(tx, [row.id for row in placed], {"task_state": "deleting", "progress": 0})
                self.outbox.cast_many(
                    tx,
                    context,
                    [(f"compute.{r.host}", "terminate_instance", {"instance_uuid": r.uuid}) for r in placed],
                )
            if loose:
                left = queries.delete(tx, loose)
                for volume, host in left.volumes:
                    self.outbox.cast(tx, context, f"volume.{host}", "delete_volume", volume_id=volume)
                tell_sharers(self.outbox, tx, context, left.sharers)
            return [(_state(row), _ended(row, row.id in loose)) for row in rows]

        return self.db.write(work)

    def _all(
        self, tx: Transaction, context: RequestContext, numbers: Mapping[str, int], action: str
    ) -> Sequence[Row[Any]]:
        wanted = {text: n for text, n in numbers.items() if n <= limits.MAX_DATABASE_ID}
        found = queries.locked(tx, context, wanted.values())
        for text, number in numbers.items():
            if number not in found:
                raise errors.InstanceNotFound(text)
        rows = [found[number] for number in dict.fromkeys(numbers.values())]
        for project, user in {(row.project_id, row.user_id) for row in rows}:
            for rule in ("compute:get", action):
                self.policy.check(context, rule, {"project_id": project, "user_id": user})
        return rows


def _state(row: Row[Any]) -> InstanceState:
    return InstanceState(row.id, row.vm_state, row.task_state, bool(row.shutdown_terminate))


def _moved(row: Row[Any], transition: Transition) -> InstanceState:
    return InstanceState(row.id, transition.vm_state, transition.task, bool(row.shutdown_terminate))


def _ended(row: Row[Any], gone: bool) -> InstanceState:
    if gone:
        return InstanceState(row.id, "deleted", None, bool(row.shutdown_terminate))
    task = row.task_state if row.disable_terminate else "deleting"
    return InstanceState(row.id, row.vm_state, task, bool(row.shutdown_terminate))


def _target(row: Row[Any]) -> dict[str, Any]:
    """What a policy rule compares the caller with."""
    return {"project_id": row.project_id, "user_id": row.user_id}
