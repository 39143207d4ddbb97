"""The simulated hypervisor: guests that have a state, a console and counters, and cost nothing.

A guest is one small object; its console text is not kept but written when somebody asks, from what the guest
is and how long it has been up. That keeps a thousand idle guests within a few hundred kilobytes.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from nova_api import limits
from nova_api.config import Config
from nova_api.nodes.drivers.console import banner, boot_messages
from nova_api.nodes.drivers.hypervisor import (
    BlockDevice,
    Capacity,
    Guest,
    Hypervisor,
    InjectedFile,
    Interface,
    PowerAction,
    PowerState,
    Screen,
    WrongState,
)

#: Boots whose messages are still on the console; older ones have scrolled away.
_KEPT_BOOTS = 20
#: The guest's logger writes a mark this often; the newest ones are kept.
_MARK_SECONDS = 1200
_KEPT_MARKS = 100
_GIB = 1024**3
#: Ports that the screens of guests would have; nothing listens there.
_FIRST_SCREEN, _SCREENS = 5900, 1000


class _Domain:
    """One guest: its power state, when it last started, how often it did, how long it ran before; the addresses of
    others that it has been told to take.
    """

    __slots__ = ("boots", "devices", "rescued", "shared", "since", "state", "uptime")

    def __init__(self, state: PowerState, since: float) -> None:
        self.state = state
        self.since = since
        self.uptime = 0.0
        self.boots = 1
        self.rescued = False
        self.devices: dict[str, int] | None = None  # most guests have none: no empty dict for each
        self.shared: tuple[str, ...] = ()


class SimulatedHypervisor(Hypervisor):
    """A state machine per guest, with waiting times from the configuration.

    :param config: ``simulated_*``
    :param sleep: how to wait; ``time.sleep`` by default
    :param clock: seconds since the epoch; ``time.time`` by default
    """

    def __init__(
        self,
        config: Config,
        *,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(config)
        self._sleep = sleep or time.sleep
        self._clock = clock or time.time
        self._domains: dict[int, _Domain] = {}
        self._kept: dict[int, _Domain] = {}  # what moves have left behind
        self._lock = threading.Lock()

    # -- the host

    def capacity(self) -> Capacity:
        config = self.config
        return Capacity(config.simulated_vcpus, config.simulated_memory_mb, config.simulated_disk_gb, "simulated")

    def host_power_action(self, action: PowerAction) -> None:
        """The host that is simulated is the process: it stays, and its guests with it."""

    def adopt(self, guest_id: int, power_state: int, since: float) -> None:
        try:
            state = PowerState(power_state)
        except ValueError:
            state = PowerState.SHUTDOWN
        with self._lock:
            self._domains.setdefault(guest_id, _Domain(state, since))

    def guests(self) -> Collection[int]:
        with self._lock:
            return tuple(self._domains)

    # -- life

    def spawn(
        self,
        guest: Guest,
        interfaces: Sequence[Interface],
        devices: Sequence[BlockDevice],
        *,
        files: Sequence[InjectedFile] = (),
        admin_password: str | None = None,
    ) -> None:
        # There is no disk that files or a password could be kept on.
        if self.power_state(guest) is PowerState.RUNNING:
            return
        self._take(self.config.simulated_boot_seconds)
        with self._lock:
            if guest.id not in self._domains:
                self._make(guest, interfaces, devices)

    def rebuild(
        self,
        guest: Guest,
        interfaces: Sequence[Interface],
        devices: Sequence[BlockDevice],
        *,
        files: Sequence[InjectedFile] = (),
        admin_password: str | None = None,
    ) -> None:
        self._take(self.config.simulated_stop_seconds + self.config.simulated_boot_seconds)
        with self._lock:
            self._make(guest, interfaces, devices)

    def destroy(self, guest: Guest) -> None:
        with self._lock:
            self._domains.pop(guest.id, None)
            self._kept.pop(guest.id, None)

    def power_on(self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]) -> None:
        if self.power_state(guest) is PowerState.RUNNING:
            return
        self._take(self.config.simulated_boot_seconds)
        with self._domain(guest) as domain:
            domain.shared = _shared(interfaces)
            self._boot(domain)

    def power_off(self, guest: Guest) -> None:
        if self.power_state(guest) is not PowerState.SHUTDOWN:
            self._take(self.config.simulated_stop_seconds)
        with self._domain(guest) as domain:
            self._halt(domain, PowerState.SHUTDOWN)

    def reboot(self, guest: Guest, kind: Literal["SOFT", "HARD"]) -> None:
        if kind == "SOFT" and self.power_state(guest) is not PowerState.RUNNING:
            raise WrongState(f"{guest.hostname} does not run: only a hard reboot can start it")
        self._take(self.config.simulated_stop_seconds)
        with self._domain(guest) as domain:
            self._halt(domain, PowerState.SHUTDOWN)
            self._boot(domain)

    def set_admin_password(self, guest: Guest, password: str) -> None:
        with self._domain(guest) as domain:
            if domain.state is not PowerState.RUNNING:
                raise WrongState(f"{guest.hostname} does not run")

    def pause(self, guest: Guest) -> None:
        self._freeze(guest, PowerState.PAUSED)

    def unpause(self, guest: Guest) -> None:
        self._thaw(guest, PowerState.PAUSED)

    def suspend(self, guest: Guest) -> None:
        self._freeze(guest, PowerState.SUSPENDED)

    def resume(self, guest: Guest) -> None:
        self._thaw(guest, PowerState.SUSPENDED)

    def rescue(self, guest: Guest, interfaces: Sequence[Interface], admin_password: str | None = None) -> None:
        self._switch_disk(guest, rescued=True)

    def unrescue(self, guest: Guest) -> None:
        self._switch_disk(guest, rescued=False)

    # -- cards

    def reset_network(self, guest: Guest) -> None:
        self._must_exist(guest)

    def inject_network_info(self, guest: Guest, interfaces: Sequence[Interface]) -> None:
        with self._domain(guest) as domain:
            domain.shared = _shared(interfaces)

    # -- moves

    def migrate_off(self, guest: Guest, dest_host: str) -> None:
        if self.power_state(guest) is PowerState.RUNNING:
            self._take(self.config.simulated_stop_seconds)
        with self._lock:
            domain = self._domains.pop(guest.id, None)
            if domain is not None:
                self._halt(domain, PowerState.SHUTDOWN)
                self._kept[guest.id] = domain
            elif guest.id not in self._kept:
                raise _not_here(guest)

    def finish_migration(self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]) -> None:
        self._arrive(guest, interfaces, devices, None)

    def confirm_migration(self, guest: Guest) -> None:
        with self._lock:
            self._kept.pop(guest.id, None)

    def revert_migration(self, guest: Guest) -> None:
        if self.power_state(guest) is PowerState.RUNNING:
            self._take(self.config.simulated_stop_seconds)
        with self._lock:
            self._domains.pop(guest.id, None)

    def finish_revert_migration(
        self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]
    ) -> None:
        self._arrive(guest, interfaces, devices, self._kept.get(guest.id))
        with self._lock:
            self._kept.pop(guest.id, None)

    def prepare_live_migration(
        self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]
    ) -> None:
        self._take(self.config.simulated_stop_seconds)

    def live_migrate(self, guest: Guest, dest_host: str, *, block_migration: bool) -> None:
        if self.power_state(guest) not in (PowerState.NOSTATE, PowerState.RUNNING):
            raise WrongState(f"{guest.hostname} does not run")
        self._take(self.config.simulated_stop_seconds)
        with self._lock:
            self._domains.pop(guest.id, None)

    def finish_live_migration(
        self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]
    ) -> None:
        with self._lock:
            if guest.id not in self._domains:
                self._make(guest, interfaces, devices)

    def cancel_live_migration(self, guest: Guest) -> None:
        """Nothing was made."""

    def _arrive(
        self,
        guest: Guest,
        interfaces: Sequence[Interface],
        devices: Sequence[BlockDevice],
        kept: _Domain | None,
    ) -> None:
        if self.power_state(guest) is PowerState.RUNNING:
            return
        self._take(self.config.simulated_boot_seconds)
        with self._lock:
            domain = kept or self._domains.get(guest.id)
            if domain is None:
                self._make(guest, interfaces, devices)
                return
            self._domains[guest.id] = domain
            domain.devices, domain.shared = None, _shared(interfaces)
            for device in devices:
                _plug(domain, device)
            self._boot(domain)

    # -- questions

    def power_state(self, guest: Guest) -> PowerState:
        domain = self._domains.get(guest.id)
        return PowerState.NOSTATE if domain is None else domain.state

    def console(self, guest: Guest, interfaces: Sequence[Interface]) -> str:
        domain = self._domains.get(guest.id)
        if domain is None:
            return ""
        boot = boot_messages(guest, interfaces, rescued=domain.rescued)
        shown = min(domain.boots, _KEPT_BOOTS)
        parts = [boot] * shown
        first = domain.boots - shown + 1
        text = "".join(f"{banner(number)}{part}" for number, part in enumerate(parts, first))
        text += "".join(f"ci-info: eth0: {address} is shared\n" for address in domain.shared)
        if domain.state is PowerState.RUNNING:
            text += f"\n{guest.hostname} login: " + self._marks(self._clock() - domain.since)
        elif domain.state is PowerState.SHUTDOWN:
            text += "[    0.000000] reboot: System halted\n"
        return text[-limits.MAX_CONSOLE_BYTES :]

    def vnc_console(self, guest: Guest) -> Screen:
        self._must_exist(guest)
        return Screen(self.config.my_ip, _FIRST_SCREEN + guest.id % _SCREENS)

    def diagnostics(self, guest: Guest) -> dict[str, int]:
        with self._domain(guest) as domain:
            uptime = self._uptime(domain)
            boots, disks = domain.boots, ["vda", *(_short(name) for name in domain.devices or ())]
        counters: dict[str, int] = {}
        for number in range(guest.vcpus):
            counters[f"cpu{number}_time"] = int((boots * 9.0 + uptime * 0.02) * 1e9)
        counters["memory"] = guest.memory_mb * 1024
        for disk in disks:
            counters |= {
                f"{disk}_read": boots * 41_943_040 + int(uptime) * 512,
                f"{disk}_read_req": boots * 2_560 + int(uptime) // 8,
                f"{disk}_write": boots * 4_194_304 + int(uptime) * 4096,
                f"{disk}_write_req": boots * 512 + int(uptime),
                f"{disk}_errors": -1,
            }
        counters |= {
            "vnet0_rx": boots * 12_288 + int(uptime) * 66,
            "vnet0_rx_packets": boots * 96 + int(uptime),
            "vnet0_tx": boots * 8_192 + int(uptime) * 42,
            "vnet0_tx_packets": boots * 64 + int(uptime) // 2,
        }
        return counters

    # -- disks

    def snapshot(self, guest: Guest, image_id: str) -> int:
        self._take(self.config.simulated_snapshot_seconds)
        with self._domain(guest):
            return max(1, guest.root_gb) * _GIB

    def attach_volume(self, guest: Guest, device: BlockDevice) -> None:
        with self._domain(guest) as domain:
            _plug(domain, device)

    def detach_volume(self, guest: Guest, device: str, volume_id: int) -> None:
        with self._domain(guest) as domain:
            if domain.devices is not None and domain.devices.get(device) == volume_id:
                del domain.devices[device]

    # -- inside

    def _take(self, seconds: float) -> None:
        if seconds and not self.config.simulated_immediate:
            self._sleep(seconds)

    @contextmanager
    def _domain(self, guest: Guest) -> Iterator[_Domain]:
        with self._lock:
            domain = self._domains.get(guest.id)
            if domain is None:
                raise _not_here(guest)
            yield domain

    def _must_exist(self, guest: Guest) -> None:
        with self._domain(guest):
            pass

    def _make(self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]) -> None:
        """A new guest that has just booted, in the place of any other; the lock is held."""
        domain = self._domains[guest.id] = _Domain(PowerState.RUNNING, self._clock())
        domain.shared = _shared(interfaces)
        for device in devices:
            _plug(domain, device)

    def _uptime(self, domain: _Domain) -> float:
        running = domain.state is PowerState.RUNNING
        return domain.uptime + (max(0.0, self._clock() - domain.since) if running else 0.0)

    def _boot(self, domain: _Domain) -> None:
        if domain.state is not PowerState.RUNNING:
            domain.state, domain.since = PowerState.RUNNING, self._clock()
            domain.boots += 1

    def _halt(self, domain: _Domain, state: PowerState) -> None:
        domain.uptime = self._uptime(domain)
        domain.state = state

    def _freeze(self, guest: Guest, state: PowerState) -> None:
        with self._domain(guest) as domain:
            if domain.state not in (PowerState.RUNNING, state):
                raise WrongState(f"{guest.hostname} does not run")
            self._halt(domain, state)

    def _thaw(self, guest: Guest, state: PowerState) -> None:
        with self._domain(guest) as domain:
            if domain.state not in (PowerState.RUNNING, state):
                raise WrongState(f"{guest.hostname} is not {state.name.lower()}")
            if domain.state is state:
                domain.state, domain.since = PowerState.RUNNING, self._clock()

    def _switch_disk(self, guest: Guest, *, rescued: bool) -> None:
        self._take(self.config.simulated_boot_seconds)
        with self._domain(guest) as domain:
            if domain.rescued is not rescued or domain.state is not PowerState.RUNNING:
                domain.rescued = rescued
                self._halt(domain, PowerState.SHUTDOWN)
                self._boot(domain)

    @staticmethod
    def _marks(uptime: float) -> str:
        count = int(uptime // _MARK_SECONDS)
        first = max(1, count - _KEPT_MARKS + 1)
        return "".join(f"\n[{n * _MARK_SECONDS:>10d}.0] syslogd: -- MARK --" for n in range(first, count + 1))


def _not_here(guest: Guest) -> WrongState:
    return WrongState(f"{guest.hostname} is not on this host")


def _shared(interfaces: Sequence[Interface]) -> tuple[str, ...]:
    return interfaces[0].shared if interfaces else ()


def _short(device: str) -> str:
    return device.rpartition("/")[2]


def _plug(domain: _Domain, device: BlockDevice) -> None:
    devices = domain.devices if domain.devices is not None else {}
    holder = devices.get(device.device, device.volume_id)
    if holder != device.volume_id:
        raise WrongState(f"{device.device} is taken by another volume")
    devices[device.device] = device.volume_id
    domain.devices = devices
