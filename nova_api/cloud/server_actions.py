"""What can be done to a server that exists (spec openstack-core.md 5.8).

An action is a compare-and-set of the server's state and a message to its node, in one transaction: a server that is
busy, locked or on no node is refused before anything is changed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Row

from nova_api import errors
from nova_api.cloud.image import Images
from nova_api.cloud.launch import host_name
from nova_api.cloud.launch_plan import check_files, check_metadata, check_size
from nova_api.cloud.servers import Servers, target_of
from nova_api.context import RequestContext
from nova_api.db import flavors, moves
from nova_api.db import instances as queries
from nova_api.db.engine import Transaction

#: Any task will do.
ANY: Sequence[str | None] | None = None
IDLE: Sequence[str | None] = (None,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An action: when it may be done, what the server is meanwhile, and what its node is told.

    :ivar name: as clients call it
    :ivar policy: the rule
    :ivar vm_states: states it is allowed in; task_states: tasks, None among them for idle, or :data:`ANY`
    :ivar values: columns to set
    :ivar method: of the node; None when the caller sends the message
    :ivar anywhere: no node is needed for it
    """

    name: str
    policy: str
    vm_states: tuple[str, ...] | None
    task_states: Sequence[str | None] | None = IDLE
    values: Mapping[str, Any] = field(default_factory=dict)
    method: str | None = None
    anywhere: bool = False


RUNNING = ("active", "shutoff", "rescued")
ON_DISK = ("active", "shutoff")
_RESIZED = ("resize_verify",)
_SOFT = Action(
    name="reboot",
    policy="compute:reboot",
    vm_states=RUNNING,
    task_states=(None, "resize_verify"),
    values={"vm_state": "active", "task_state": "rebooting"},
    method="reboot_instance",
)
REBOOTS = {
    "SOFT": _SOFT,
    "HARD": Action(
        name="reboot",
        policy="compute:reboot",
        vm_states=RUNNING,
        task_states=(None, "resize_verify"),
        values={"vm_state": "active", "task_state": "rebooting_hard"},
        method="reboot_instance",
    ),
}
SET_PASSWORD = Action(
    name="changePassword",
    policy="compute:set_admin_password",
    vm_states=("active",),
    task_states=ANY,
    values={"task_state": "updating_password"},
    method="set_admin_password",
)
REBUILD = Action(
    name="rebuild",
    policy="compute:rebuild",
    vm_states=ON_DISK,
    task_states=(None, "resize_verify"),
    values={"vm_state": "rebuilding", "task_state": None, "progress": 0},
    method="rebuild_instance",
)
RESIZE = Action(
    name="resize",
    policy="compute:resize",
    vm_states=ON_DISK,
    values={"vm_state": "resizing", "task_state": "resize_prep", "progress": 0},
)
MIGRATE = Action(
    name="migrate",
    policy="compute:resize",
    vm_states=ON_DISK,
    values=RESIZE.values,
)
CONFIRM = Action(
    name="confirmResize",
    policy="compute:confirm_resize",
    vm_states=ON_DISK,
    task_states=_RESIZED,
    values={"vm_state": "active", "task_state": None},
)
REVERT = Action(
    name="revertResize",
    policy="compute:revert_resize",
    vm_states=ON_DISK,
    task_states=_RESIZED,
    values={"vm_state": "resizing", "task_state": "resize_reverting"},
)

#: Given the transaction and the server: columns to set and arguments of the message, beyond those of the action.
Prepared = tuple[Mapping[str, Any], Mapping[str, Any]]
Prepare = Callable[[Transaction, Row[Any]], Prepared]


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildSpec:
    """What a server is built anew of.

    :ivar image: UUID
    :ivar admin_password: None leaves it to the image
    :ivar name: None keeps it; metadata and addresses likewise
    :ivar files: path and content (base64)
    """

    image: str
    admin_password: str | None = field(default=None, repr=False)
    name: str | None = None
    metadata: Mapping[str, str] | None = None
    files: Sequence[tuple[str, str]] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


class ServerActions:
    """Actions as a service.

    :param servers: finds, locks and judges
    """

    def __init__(self, servers: Servers, images: Images) -> None:
        self.servers, self.images = servers, images
        self.db, self.outbox, self.quotas = servers.db, servers.outbox, servers.quotas
        self.config = servers.config

    def act(
        self,
        context: RequestContext,
        text: str,
        action: Action,
        arguments: Mapping[str, Any] | None = None,
        prepare: Prepare | None = None,
    ) -> Row[Any]:
        """Do something to a server.

        :param text: its UUID or number
        :param arguments: of the message
        :param prepare: further checks, columns and arguments, once the state is known to be right
        :returns: the server as it was
        :raises InstanceNotFound: it is not the caller's
        :raises ServerState: it is in a state that does not admit it
        :raises ServerLocked: an administrator has locked it
        :raises ServerWithoutHost: it is on no node
        """

        def work(tx: Transaction) -> Row[Any]:
            row = self.servers.locked(tx, context, text, action.policy)
            check(context, row, action)
            more, extra = prepare(tx, row) if prepare is not None else ({}, {})
            begun = {"task_request": context.request_id} if action.values else {}
            self.move(tx, row, action, {**begun, **more})
            if action.method is not None:
                message = {**(arguments or {}), **extra}
                self.outbox.cast(tx, context, f"compute.{row.host}", action.method, instance_uuid=row.uuid, **message)
            return row

        return self.db.write(work)

    @staticmethod
    def move(tx: Transaction, row: Row[Any], action: Action, more: Mapping[str, Any]) -> None:
        """Set the columns of an action, if the state is still what :func:`check` saw.

        :raises ServerState: it is not
        """
        values = {**action.values, **more}
        if values and not queries.change(
            tx, [row.id], values, vm_states=(row.vm_state,), task_states=(row.task_state,), host=row.host
        ):
            raise errors.ServerState(action.name, "task_state", row.task_state, row.uuid)

    # -- the actions of the core -----------------------------------------------------------------------

    def reboot(self, context: RequestContext, text: str, kind: str) -> None:
        """Restart a server.

        :param kind: ``SOFT`` or ``HARD``
        """
        self.act(context, text, REBOOTS[kind], {"reboot_type": kind})

    def set_password(self, context: RequestContext, text: str, password: str, name: str | None = None) -> None:
        """Set the administrator's password of a running server.

        :param name: a new name with it, or neither
        """

        def prepare(tx: Transaction, row: Row[Any]) -> Prepared:
            # The task that a server is at stays: its node would take what was accepted before for done otherwise.
            busy = row.task_state is not None
            more = {"task_state": row.task_state, "task_request": row.task_request} if busy else {}
            told = {"alongside": True} if busy else {}
            if name is not None:
                self.servers.policy.check(context, "compute:update", target_of(row))
                more |= {"display_name": name, "hostname": host_name(name)}
            return more, told

        self.act(context, text, SET_PASSWORD, {"new_pass": password}, prepare)

    def rebuild(self, context: RequestContext, text: str, spec: RebuildSpec) -> None:
        """Build a server anew on the same node, with the same addresses.

        :raises ImageNotFound: the image
        :raises ImageTooLarge: the server's flavor is smaller than the image asks for
        :raises QuotaError: too many files, or too much metadata
        """

        def prepare(tx: Transaction, row: Row[Any]) -> Prepared:
            image = self.images.by_uuid(tx.conn, context, spec.image)
            flavor = flavors.by_number(tx.conn, row.instance_type_id)
            allowed = self.quotas.limits_in(tx, row.project_id or "")
            check_files(allowed, spec.files)
            check_size(image, flavor)
            if spec.metadata is not None:
                check_metadata(allowed, spec.metadata)
                queries.remove_metadata(tx, row.id)
                queries.add_metadata(tx, [row.id], spec.metadata)
            columns: dict[str, Any] = {
                **spec.values,
                "image_ref": image.uuid,
                "image_number": image.number,
                "kernel_id": image.kernel_id,
                "kernel_number": image.kernel_number,
                "ramdisk_id": image.ramdisk_id,
                "ramdisk_number": image.ramdisk_number,
            }
            if spec.name is not None:
                columns |= {"display_name": spec.name, "hostname": host_name(spec.name)}
            files = [list(one) for one in spec.files]
            return columns, {"new_pass": spec.admin_password, "injected_files": files or None}

        self.act(context, text, REBUILD, None, prepare)

    def resize(self, context: RequestContext, text: str, flavorid: str, auto_disk_config: bool | None = None) -> None:
        """Give a server another flavor; it waits for a confirmation then.

        :param auto_disk_config: whether its host lays out the disk from now on; None leaves that as it is
        :raises FlavorNotFound: no such flavor
        :raises SameSize: the flavor has the memory that the server has
        :raises InstanceLimitExceeded: cores or memory of the project do not reach
        """

        def prepare(tx: Transaction, row: Row[Any]) -> Prepared:
            flavor = flavors.by_flavorid(tx.conn, flavorid)
            if flavor is None:
                raise errors.FlavorNotFound(flavorid)
            if flavor.memory_mb == row.memory_mb:
                raise errors.SameSize
            self._check_growth(tx, row, flavor)
            ignored = [] if self.config.allow_resize_to_same_host else [row.host]
            self._send_to_scheduler(tx, context, row, flavor, ignored)
            return {} if auto_disk_config is None else {"auto_disk_config": auto_disk_config}, {}

        self.act(context, text, RESIZE, None, prepare)

    def _check_growth(self, tx: Transaction, row: Row[Any], flavor: Row[Any]) -> None:
        left = self.quotas.left(tx, row.project_id or "", "cores", "ram")
        more = {"cores": flavor.vcpus - row.vcpus, "ram": flavor.memory_mb - row.memory_mb}
        if any(more[name] > 0 and more[name] > left[name] for name in more):
            raise errors.InstanceLimitExceeded

    def migrate(self, context: RequestContext, text: str) -> None:
        """Move a server to another host, switched off meanwhile; it waits for a confirmation then.

        A migration is a resize to the same flavor.
        """

        def prepare(tx: Transaction, row: Row[Any]) -> Prepared:
            flavor = flavors.by_number(tx.conn, row.instance_type_id)
            self._send_to_scheduler(tx, context, row, flavor, [row.host])
            return {}, {}

        self.act(context, text, MIGRATE, None, prepare)

    def _send_to_scheduler(
        self,
        tx: Transaction,
        context: RequestContext,
        row: Row[Any],
        flavor: Row[Any],
        ignored: Sequence[str | None],
    ) -> None:
        """Have the scheduler find a server a place for a flavor.

        :param ignored: hosts that are none
        """
        self.outbox.cast(
            tx,
            context,
            "scheduler",
            "prep_resize",
            topic="compute",
            instance_uuid=row.uuid,
            instance_type_id=flavor.id,
            image=row.image_ref,
            update_db=False,
            request_spec={"instance_type": {"id": flavor.id, "name": flavor.name}, "num_instances": 1},
            filter_properties={"ignore_hosts": list(ignored)},
        )

    def confirm_resize(self, context: RequestContext, text: str) -> None:
        """Keep the new size.

        :raises NotResized: there is no resize that could be confirmed
        """
        self._end_resize(context, text, CONFIRM, "confirmed", "confirm_resize", lambda move: move.source_compute)

    def revert_resize(self, context: RequestContext, text: str) -> None:
        """Go back to the old size.

        :raises NotResized: there is no resize that could be reverted
        """
        self._end_resize(context, text, REVERT, "reverted", "revert_resize", lambda move: move.dest_compute)

    def _end_resize(
        self,
        context: RequestContext,
        text: str,
        action: Action,
        status: str,
        method: str,
        where: Callable[[Row[Any]], str],
    ) -> None:
        def prepare(tx: Transaction, row: Row[Any]) -> Prepared:
            move = moves.latest(tx.conn, row.id)
            if move is None or not moves.change(tx, move.id, ("finished",), status):
                raise errors.NotResized
            self.outbox.cast(
                tx, context, f"compute.{where(move)}", method, instance_uuid=row.uuid, migration_id=move.id
            )
            return {}, {}

        self.act(context, text, action, None, prepare)


def check(context: RequestContext, row: Row[Any], action: Action) -> None:
    """Refuse an action that a server's state does not admit.

    :raises ServerLocked: an administrator has locked it
    :raises ServerState: the state, or the task
    :raises ServerWithoutHost: it is on no node
    """
    if row.locked and not context.is_admin:
        raise errors.ServerLocked(action.name)
    if action.vm_states is not None and row.vm_state not in action.vm_states:
        raise errors.ServerState(action.name, "vm_state", row.vm_state, row.uuid)
    if action.task_states is not None and row.task_state not in action.task_states:
        raise errors.ServerState(action.name, "task_state", row.task_state, row.uuid)
    if not row.host and not action.anywhere:
        raise errors.ServerWithoutHost(action.name)
