"""What a hypervisor driver is.

Subclass :class:`Hypervisor`, name the class in the option ``compute_driver``, and nothing else changes.
Rules that hold for every method that changes something:

* it returns when the change is done, however long that takes: it has a thread of its own;
* it may be called again after it has succeeded, or after a call that died half way (a killed node is told
  the same thing again), and must then end in the same state: a guest that is already off is off after
  ``power_off``;
* it raises :class:`HypervisorError` when it cannot be done; the text is shown to the guest's owner.

A driver reads and writes no table and sends no message.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

from nova_api.config import Config


class HypervisorError(Exception):
    """The hypervisor could not do it.

    :param message: for the owner of the guest; at most 255 characters are kept
    """


class WrongState(HypervisorError):
    """The guest is not in a state that allows it, or is not there at all."""


class PowerState(IntEnum):
    """Power states with the numbers of 2012.1's ``instances.power_state``."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    SUSPENDED = 7


#: What can be done to the power of a host.
PowerAction = Literal["startup", "shutdown", "reboot"]


@dataclass(frozen=True, slots=True)
class Guest:
    """What a driver is told about an instance.

    :ivar id: its number, unique in the cloud and never reused
    :ivar image: UUID of the image it boots, None when it boots from a volume alone
    :ivar memory_mb: MB; ``root_gb`` and ``ephemeral_gb`` are GB
    :ivar user_data: base64 text
    """

    id: int
    uuid: str
    hostname: str
    project_id: str
    image: str | None
    kernel: str | None
    ramdisk: str | None
    vcpus: int
    memory_mb: int
    root_gb: int
    ephemeral_gb: int
    key_name: str | None
    key_data: str | None
    user_data: str
    root_device_name: str | None


@dataclass(frozen=True, slots=True)
class Interface:
    """A network card of a guest.

    :ivar mac: its hardware address
    :ivar address: its fixed address
    :ivar cidr: of the network, ``10.0.0.0/24``
    :ivar shared: public addresses of other guests that this one takes as well
    """

    mac: str
    address: str
    cidr: str
    gateway: str | None
    bridge: str
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """A volume of a guest.

    :ivar device: where the guest sees it, ``/dev/vdb``
    :ivar connection_info: what the volume driver's ``initialize_connection`` returned
    """

    device: str
    volume_id: int
    connection_info: dict[str, Any]


@dataclass(frozen=True, slots=True)
class InjectedFile:
    """A file that a guest finds on its disk when it boots for the first time.

    A driver that writes into a disk image must not follow links that the image holds (CVE-2012-3447).

    :ivar path: absolute, without ``..``
    """

    path: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Screen:
    """Where a VNC proxy finds a guest's screen.

    :ivar internal_access_path: what it asks the host for; None for a plain connection
    """

    host: str
    port: int
    internal_access_path: str | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a host has, before any guest.

    :ivar memory_mb: MB
    :ivar local_gb: GB of disk
    :ivar kind: name of the hypervisor
    """

    vcpus: int
    memory_mb: int
    local_gb: int
    kind: str


class Hypervisor(ABC):
    """The guests of one host.

    :param config: the options of this process; a driver reads its own from it
    :param sleep: how to wait, seconds
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        config: Config,
        *,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.config = config

    # -- the host

    @abstractmethod
    def capacity(self) -> Capacity:
        """What the scheduler may count on; asked for at every start."""

    @abstractmethod
    def adopt(self, guest_id: int, power_state: int, since: float) -> None:
        """Take up a guest that the datastore says this host has; called for each at start.

        A driver whose guests outlive the process checks that it is there; what the guest really does wins.

        :param power_state: as recorded, a :class:`PowerState`
        :param since: when it was launched, seconds since the epoch
        """

    def guests(self) -> Collection[int]:
        """Numbers of the guests that are on this host, but for what moves have left behind; asked for at every start.

        Those that have become another host's are destroyed then. A driver that cannot tell has none.
        """
        return ()

    @abstractmethod
    def host_power_action(self, action: PowerAction) -> None:
        """Start this host up, shut it down or reboot it, with its guests."""

    def refresh_security_group(self, group_id: int) -> None:  # noqa: B027 -- not every driver filters packets
        """The rules of a security group have changed; a driver that filters packets reads them anew."""

    # -- life

    @abstractmethod
    def spawn(
        self,
        guest: Guest,
        interfaces: Sequence[Interface],
        devices: Sequence[BlockDevice],
        *,
        files: Sequence[InjectedFile] = (),
        admin_password: str | None = None,
    ) -> None:
        """Make the guest and start it. A guest that runs already is left alone.

        :param files: to be put on its disk
        :param admin_password: of its administrator; None leaves what the image has
        """

    @abstractmethod
    def rebuild(
        self,
        guest: Guest,
        interfaces: Sequence[Interface],
        devices: Sequence[BlockDevice],
        *,
        files: Sequence[InjectedFile] = (),
        admin_password: str | None = None,
    ) -> None:
        """Throw the guest's own disk away and make it anew of its image, which may be another one than before;
        the guest runs afterwards. Volumes stay. No guest is fine.

        :param files: as for :meth:`spawn`, and ``admin_password``
        """

    @abstractmethod
    def destroy(self, guest: Guest) -> None:
        """End the guest and remove what was made for it; volumes stay. No guest is fine."""

    @abstractmethod
    def power_on(self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]) -> None:
        """Start a guest that is off."""

    @abstractmethod
    def power_off(self, guest: Guest) -> None:
        """Switch the guest off; its disks stay."""

    @abstractmethod
    def reboot(self, guest: Guest, kind: Literal["SOFT", "HARD"]) -> None:
        """Restart the guest; it runs afterwards, also when it was off.

        :param kind: ``SOFT`` asks the guest, ``HARD`` is the reset button
        """

    @abstractmethod
    def set_admin_password(self, guest: Guest, password: str) -> None:
        """Set the password of the administrator of a guest that runs.

        :raises WrongState: it does not run
        """

    @abstractmethod
    def pause(self, guest: Guest) -> None:
        """Stop the guest's processors; its memory stays.

        :raises WrongState: it neither runs nor is paused
        """

    @abstractmethod
    def unpause(self, guest: Guest) -> None:
        """Undo :meth:`pause`."""

    @abstractmethod
    def suspend(self, guest: Guest) -> None:
        """Write the guest's memory to disk and stop it.

        :raises WrongState: it neither runs nor is suspended
        """

    @abstractmethod
    def resume(self, guest: Guest) -> None:
        """Undo :meth:`suspend`."""

    @abstractmethod
    def rescue(self, guest: Guest, interfaces: Sequence[Interface], admin_password: str | None = None) -> None:
        """Boot a rescue system; the guest's own disk is its second one.

        :param admin_password: of the rescue system's administrator
        """

    @abstractmethod
    def unrescue(self, guest: Guest) -> None:
        """Boot the guest's own disk again."""

    # -- cards

    @abstractmethod
    def reset_network(self, guest: Guest) -> None:
        """Have the guest set up its network anew.

        :raises WrongState: there is no such guest
        """

    @abstractmethod
    def inject_network_info(self, guest: Guest, interfaces: Sequence[Interface]) -> None:
        """Tell the guest what cards and addresses it has; those it had besides are gone.

        :raises WrongState: there is no such guest
        """

    # -- moves: to another size, to another host, or both
    #
    # migrate_off at the source, finish_migration at the destination, then either confirm_migration at the
    # source, or revert_migration at the destination and finish_revert_migration at the source. Source and
    # destination may be the same host: what migrate_off keeps, and what finish_migration makes of it, are two
    # things there too. destroy removes both.

    @abstractmethod
    def migrate_off(self, guest: Guest, dest_host: str) -> None:
        """Switch the guest off, keep its disk, and bring a copy of it where :meth:`finish_migration` finds it.

        :param dest_host: name of the compute node that it goes to
        """

    @abstractmethod
    def finish_migration(self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]) -> None:
        """Start a guest that has come from another host, or from another size.

        :param guest: with its new sizes
        :param devices: as this host reaches them
        """

    @abstractmethod
    def confirm_migration(self, guest: Guest) -> None:
        """Drop what :meth:`migrate_off` kept; a guest of this host stays. Nothing kept is fine."""

    @abstractmethod
    def revert_migration(self, guest: Guest) -> None:
        """End what :meth:`finish_migration` made; what :meth:`migrate_off` kept stays. No guest is fine."""

    @abstractmethod
    def finish_revert_migration(
        self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]
    ) -> None:
        """Start what :meth:`migrate_off` kept.

        :param guest: with its old sizes
        """

    # -- moves of guests that run meanwhile: prepare at the destination, migrate at the source, then finish at the
    # destination, or cancel there

    @abstractmethod
    def prepare_live_migration(
        self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]
    ) -> None:
        """Make ready for a guest that comes from another host.

        :param devices: as this host reaches them
        """

    @abstractmethod
    def live_migrate(self, guest: Guest, dest_host: str, *, block_migration: bool) -> None:
        """Move a running guest to a host that is ready for it; afterwards this one has none. No guest is fine: it has
        moved already.

        :param dest_host: name of the compute node that it goes to
        :param block_migration: its disk goes too
        :raises WrongState: it does not run
        """

    @abstractmethod
    def finish_live_migration(
        self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]
    ) -> None:
        """Take up a guest that has arrived, running."""

    @abstractmethod
    def cancel_live_migration(self, guest: Guest) -> None:
        """Drop what :meth:`prepare_live_migration` made. Nothing is fine."""

    # -- questions

    @abstractmethod
    def power_state(self, guest: Guest) -> PowerState:
        """What the guest does; ``NOSTATE`` when there is none."""

    @abstractmethod
    def console(self, guest: Guest, interfaces: Sequence[Interface]) -> str:
        """What the guest wrote to its serial console, the newest 64 KiB; empty when there is no guest."""

    @abstractmethod
    def vnc_console(self, guest: Guest) -> Screen:
        """Where the guest's screen is reached.

        :raises WrongState: there is no such guest
        """

    @abstractmethod
    def diagnostics(self, guest: Guest) -> dict[str, int]:
        """Counters of the guest, under libvirt's names: ``cpu0_time`` (ns), ``memory`` (KiB), …

        :raises WrongState: there is no such guest
        """

    # -- disks

    @abstractmethod
    def snapshot(self, guest: Guest, image_id: str) -> int:
        """Copy the guest's root disk into an image.

        :param image_id: UUID of the image, which exists and is empty
        :returns: its size in bytes
        """

    @abstractmethod
    def attach_volume(self, guest: Guest, device: BlockDevice) -> None:
        """Show the guest a volume; also while it is off."""

    @abstractmethod
    def detach_volume(self, guest: Guest, device: str, volume_id: int) -> None:
        """Take a volume away. One that is not attached is fine."""
