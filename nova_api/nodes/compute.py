"""The compute node: what happens to instances on one host."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar

from sqlalchemy.engine import Row

from nova_api.context import RequestContext, admin_context
from nova_api.db import guests, services
from nova_api.db.engine import Transaction
from nova_api.db.models import now
from nova_api.errors import IncorrectInstanceState, InstanceNotFound
from nova_api.nodes.builds import Builds
from nova_api.nodes.console_topics import ConsoleTopics
from nova_api.nodes.disks import Disks
from nova_api.nodes.drivers.hypervisor import Guest, HypervisorError, PowerState
from nova_api.nodes.endings import end
from nova_api.nodes.guest_node import attached_devices, fault_of, guest_of, interfaces_of, is_late
from nova_api.nodes.host_admin import HostAdmin
from nova_api.nodes.live_moves import LiveMoves
from nova_api.nodes.moves import Moves
from nova_api.nodes.sharing import Sharing

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """Something that is done to a guest: the tasks it belongs to, and what is true when it is done."""

    task_states: tuple[str, ...]
    vm_state: str
    power_state: PowerState


STOP = Task(("stopping",), "stopped", PowerState.SHUTDOWN)
START = Task(("starting",), "active", PowerState.RUNNING)
REBOOT = Task(("rebooting", "rebooting_hard"), "active", PowerState.RUNNING)
PAUSE = Task(("pausing",), "paused", PowerState.PAUSED)
UNPAUSE = Task(("unpausing",), "active", PowerState.RUNNING)
SUSPEND = Task(("suspending",), "suspended", PowerState.SUSPENDED)
RESUME = Task(("resuming",), "active", PowerState.RUNNING)
RESCUE = Task(("rescuing",), "rescued", PowerState.RUNNING)
UNRESCUE = Task(("unrescuing",), "active", PowerState.RUNNING)
SET_PASSWORD = Task(("updating_password",), "active", PowerState.RUNNING)
#: Of an instance that was deleted and can still be restored, and of one that is being restored.
SOFT_DELETE = Task(("powering-off",), "soft-delete", PowerState.SHUTDOWN)
RESTORE = Task(("powering-on",), "active", PowerState.RUNNING)

#: Instances that a host begins to end at a time because nobody has restored them.
_RECLAIMED_AT_A_TIME = 100


class ComputeManager(Builds, Disks, Moves, LiveMoves, Sharing, HostAdmin, ConsoleTopics):
    """Answers ``compute`` and ``compute.HOST``."""

    methods: ClassVar[tuple[str, ...]] = (
        "run_instance",
        "rebuild_instance",
        "terminate_instance",
        "reboot_instance",
        "stop_instance",
        "start_instance",
        "power_off_instance",
        "power_on_instance",
        "pause_instance",
        "unpause_instance",
        "suspend_instance",
        "resume_instance",
        "rescue_instance",
        "unrescue_instance",
        "set_admin_password",
        "reset_network",
        "inject_network_info",
        "configure_shared_ips",
        "resize_instance",
        "finish_resize",
        "confirm_resize",
        "revert_resize",
        "finish_revert_resize",
        "pre_live_migration",
        "live_migration",
        "post_live_migration_at_destination",
        "rollback_live_migration_at_destination",
        "get_console_output",
        "get_vnc_console",
        "get_diagnostics",
        "get_console_topic",
        "attach_volume",
        "detach_volume",
        "snapshot_instance",
        "refresh_security_group_rules",
        "set_host_enabled",
        "host_maintenance_mode",
        "host_power_action",
        "add_aggregate_host",
        "remove_aggregate_host",
    )
    binary: ClassVar[str] = "nova-compute"

    def start(self) -> None:
        """Report what the host has, take up the guests that it had before, and take down those that were given to
        other hosts meanwhile, or have ended.

        What a killed node left in the middle of a change needs no look here: its message comes again.
        """
        capacity = self.driver.capacity()

        values = {
            "vcpus": capacity.vcpus,
            "memory_mb": capacity.memory_mb,
            "local_gb": capacity.local_gb,
            "hypervisor_type": capacity.kind,
        }
        self.db.write(lambda tx: services.report_capacity(tx, self.host, values))
        with self.db.read() as conn:
            rows = guests.on_host(conn, self.host)
        for row in rows:
            self.driver.adopt(row.id, row.power_state, row.launched_at.timestamp())
        self._drop_strays()
        self.set_up_shared_ips()

    def _drop_strays(self) -> None:
        for number in self.driver.guests():
            with self.db.read() as conn:
                row = guests.get_ever_numbered(conn, number)
                stray = row is not None and self._is_stray(conn, row)
            if row is not None and stray:
                log.warning("%s: instance %s is not this host's any more; its guest goes", self.host, row.uuid)
                self._attempt(row, (), partial(self.driver.destroy, guest_of(row)))

    # -- the end

    def terminate_instance(self, context: RequestContext, instance_uuid: str) -> None:
        """End an instance, whatever it is doing; of one that others have ended, or taken over, only the guest."""
        with self.db.read() as conn:
            row = guests.get_ever(conn, instance_uuid)
            stray = row is not None and self._is_stray(conn, row)
        if row is None:
            return
        if stray:
            self._attempt(row, (), lambda: self.driver.destroy(guest_of(row)))
            return
        if not self._attempt(row, ("deleting",), lambda: self.driver.destroy(guest_of(row))):
            return
        self.db.write(lambda tx: end(tx, self.outbox, context, row, self.host))

    def reclaim(self, seconds: float) -> int:
        """Begin to end instances that were deleted and that nobody has restored; to be called now and then.

        :param seconds: how long they can be restored
        :returns: how many they were
        """

        def work(tx: Transaction) -> int:
            before = now() - timedelta(seconds=seconds)
            found = guests.start_reclaiming(tx, self.host, before, _RECLAIMED_AT_A_TIME)
            topic, method = f"compute.{self.host}", "terminate_instance"
            self.outbox.cast_many(tx, admin_context(), [(topic, method, {"instance_uuid": one}) for one in found])
            return len(found)

        return self.db.write(work)

    # -- power

    def stop_instance(self, context: RequestContext, instance_uuid: str) -> None:
        """Switch an instance off."""
        self._change_power(instance_uuid, STOP, self.driver.power_off)

    def start_instance(self, context: RequestContext, instance_uuid: str) -> None:
        """Switch an instance on."""
        self._change_power(instance_uuid, START, self._power_on)

    def reboot_instance(self, context: RequestContext, instance_uuid: str, reboot_type: str = "SOFT") -> None:
        """Restart an instance.

        :param reboot_type: ``SOFT`` or ``HARD``, in any case
        """
        kind: Literal["SOFT", "HARD"] = "HARD" if reboot_type.upper() == "HARD" else "SOFT"
        self._change_power(instance_uuid, REBOOT, lambda guest: self.driver.reboot(guest, kind), context)

    def pause_instance(self, context: RequestContext, instance_uuid: str) -> None:
        """Freeze an instance in memory."""
        self._change_power(instance_uuid, PAUSE, self.driver.pause)

    def unpause_instance(self, context: RequestContext, instance_uuid: str) -> None:
        """Let a paused instance run."""
        self._change_power(instance_uuid, UNPAUSE, self.driver.unpause)

    def suspend_instance(self, context: RequestContext, instance_uuid: str) -> None:
        """Freeze an instance on disk."""
        self._change_power(instance_uuid, SUSPEND, self.driver.suspend)

    def resume_instance(self, context: RequestContext, instance_uuid: str) -> None:
        """Let a suspended instance run."""
        self._change_power(instance_uuid, RESUME, self.driver.resume)

    def rescue_instance(
        self, context: RequestContext, instance_uuid: str, rescue_password: str | None = None, **_unused: object
    ) -> None:
        """Boot the rescue system of an instance.

        :param rescue_password: of its administrator
        """
        self._change_power(instance_uuid, RESCUE, lambda guest: self._rescue(guest, rescue_password), context)

    def unrescue_instance(self, context: RequestContext, instance_uuid: str) -> None:
        """Boot a rescued instance's own disk again."""
        self._change_power(instance_uuid, UNRESCUE, self.driver.unrescue)

    def power_off_instance(self, context: RequestContext, instance_uuid: str) -> None:
        """Switch off an instance that was deleted and can still be restored, even meanwhile."""
        with self.turns.of(instance_uuid):
            self._change_power(instance_uuid, SOFT_DELETE, self.driver.power_off)

    def power_on_instance(self, context: RequestContext, instance_uuid: str) -> None:
        """Switch on an instance that is being restored."""
        with self.turns.of(instance_uuid):
            self._change_power(instance_uuid, RESTORE, self._power_on)

    def set_admin_password(
        self,
        context: RequestContext,
        instance_uuid: str,
        new_pass: str,
        alongside: bool = False,
        **_unused: object,
    ) -> None:
        """Set the password of a running instance's administrator.

        :param alongside: the instance is at another task, which this does not touch
        """
        if alongside:
            self._nudge(instance_uuid, lambda row: self.driver.set_admin_password(guest_of(row), new_pass))
            return
        self._change_power(
            instance_uuid, SET_PASSWORD, lambda guest: self.driver.set_admin_password(guest, new_pass), context
        )

    def _change_power(
        self, uuid: str, task: Task, action: Callable[[Guest], None], context: RequestContext | None = None
    ) -> None:
        """Carry out a task.

        :param context: of a message that says more than what is to be done
        """
        row = self._find(uuid)
        if row is None or row.task_state not in task.task_states or (context is not None and is_late(context, row)):
            return
        if not self._attempt(row, task.task_states, lambda: action(guest_of(row))):
            return
        values = {
            "vm_state": task.vm_state,
            "power_state": int(task.power_state),
            "task_state": None,
            "terminated_at": None,
        }
        self.db.write(lambda tx: guests.change(tx, row.id, task.task_states, values))

    def _power_on(self, guest: Guest) -> None:
        row = self._find(guest.uuid)
        if row is None:
            raise HypervisorError("The instance is gone.")
        with self.db.read() as conn:
            interfaces, devices = interfaces_of(conn, row), attached_devices(conn, row)
        self.driver.power_on(guest, interfaces, devices)

    def _rescue(self, guest: Guest, password: str | None) -> None:
        row = self._find(guest.uuid)
        if row is None:
            raise HypervisorError("The instance is gone.")
        with self.db.read() as conn:
            interfaces = interfaces_of(conn, row)
        self.driver.rescue(guest, interfaces, password)

    # -- questions

    def get_console_output(
        self, context: RequestContext, instance_uuid: str, tail_length: int | str | None = None
    ) -> str:
        """The console text of an instance (a call); empty while it has none.

        :param tail_length: only so many of the last lines
        :raises InstanceNotFound: it is gone
        """
        with self.db.read() as conn:
            row = guests.get(conn, instance_uuid)
            if row is None:
                raise InstanceNotFound(instance_uuid)
            interfaces = interfaces_of(conn, row)
        text = self.driver.console(guest_of(row), interfaces)
        if tail_length is None:
            return text
        lines = max(0, int(tail_length))
        return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""

    def get_vnc_console(self, context: RequestContext, instance_uuid: str, **_unused: object) -> dict[str, Any]:
        """Where the screen of an instance is reached (a call); the API gives out the token that leads there.

        :raises InstanceNotFound: it is gone
        :raises IncorrectInstanceState: it has none yet
        """
        return asdict(self._ask(instance_uuid, self.driver.vnc_console))

    def get_diagnostics(self, context: RequestContext, instance_uuid: str) -> dict[str, int]:
        """Counters of an instance (a call).

        :raises InstanceNotFound: it is gone
        :raises IncorrectInstanceState: it has none yet
        """
        return self._ask(instance_uuid, self.driver.diagnostics)

    def _ask(self, uuid: str, question: Callable[[Guest], T]) -> T:
        row = self._find(uuid)
        if row is None:
            raise InstanceNotFound(uuid)
        try:
            return question(guest_of(row))
        except HypervisorError as error:
            raise IncorrectInstanceState(str(error)) from error

    # -- packets

    def reset_network(self, context: RequestContext, instance_uuid: str) -> None:
        """Have an instance set up its network anew; whether it does changes nothing about it."""
        self._nudge(instance_uuid, lambda row: self.driver.reset_network(guest_of(row)))

    def inject_network_info(self, context: RequestContext, instance_uuid: str) -> None:
        """Tell an instance what addresses it has; whether it listens changes nothing about it."""

        def inject(row: Row[Any]) -> None:
            with self.db.read() as conn:
                interfaces = interfaces_of(conn, row)
            self.driver.inject_network_info(guest_of(row), interfaces)

        self._nudge(instance_uuid, inject)

    def _nudge(self, uuid: str, action: Callable[[Row[Any]], None]) -> None:
        row = self._find(uuid)
        fault = None if row is None else fault_of(lambda: action(row))
        if fault is not None:
            log.error("%s: instance %s: %s", self.host, uuid, fault)

    def refresh_security_group_rules(self, context: RequestContext, security_group_id: int) -> None:
        """The rules of a security group have changed.

        :param security_group_id: its number
        """
        self.driver.refresh_security_group(security_group_id)
