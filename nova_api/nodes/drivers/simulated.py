"""The simulated hypervisor: guests that have a state, a console and counters, and cost nothing.

A guest is one small object; its console text is not kept but written when somebody asks, from what the guest
is and how long it has been up. That keeps a thousand idle guests within a few hundred kilobytes.
"""

import base64
import binascii
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from nova_api import limits
from nova_api.config import Config
from nova_api.nodes.drivers.hypervisor import (
    BlockDevice,
    Capacity,
    Guest,
    Hypervisor,
    Interface,
    PowerState,
    WrongState,
)

#: Boots whose messages are still on the console; older ones have scrolled away.
_KEPT_BOOTS = 20
#: The guest's logger writes a mark this often; the newest ones are kept.
_MARK_SECONDS = 1200
_KEPT_MARKS = 100
_GIB = 1024**3


class _Domain:
    """One guest: its power state, when it last started, how often it did, how long it ran before."""

    __slots__ = ("boots", "devices", "rescued", "since", "state", "uptime")

    def __init__(self, state: PowerState, since: float) -> None:
        self.state = state
        self.since = since
        self.uptime = 0.0
        self.boots = 1
        self.rescued = False
        self.devices: dict[str, int] | None = None  # most guests have none: no empty dict for each


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
        self._lock = threading.Lock()

    # -- the host

    def capacity(self) -> Capacity:
        config = self.config
        return Capacity(config.simulated_vcpus, config.simulated_memory_mb, config.simulated_disk_gb, "simulated")

    def adopt(self, guest_id: int, power_state: int, since: float) -> None:
        try:
            state = PowerState(power_state)
        except ValueError:
            state = PowerState.SHUTDOWN
        with self._lock:
            self._domains.setdefault(guest_id, _Domain(state, since))

    # -- life

    def spawn(self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]) -> None:
        if self.power_state(guest) is PowerState.RUNNING:
            return
        self._take(self.config.simulated_boot_seconds)
        with self._lock:
            if guest.id not in self._domains:
                domain = self._domains[guest.id] = _Domain(PowerState.RUNNING, self._clock())
                for device in devices:
                    _plug(domain, device)

    def destroy(self, guest: Guest) -> None:
        with self._lock:
            self._domains.pop(guest.id, None)

    def power_on(self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice]) -> None:
        if self.power_state(guest) is PowerState.RUNNING:
            return
        self._take(self.config.simulated_boot_seconds)
        with self._domain(guest) as domain:
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

    def pause(self, guest: Guest) -> None:
        self._freeze(guest, PowerState.PAUSED)

    def unpause(self, guest: Guest) -> None:
        self._thaw(guest, PowerState.PAUSED)

    def suspend(self, guest: Guest) -> None:
        self._freeze(guest, PowerState.SUSPENDED)

    def resume(self, guest: Guest) -> None:
        self._thaw(guest, PowerState.SUSPENDED)

    def rescue(self, guest: Guest, interfaces: Sequence[Interface]) -> None:
        self._switch_disk(guest, rescued=True)

    def unrescue(self, guest: Guest) -> None:
        self._switch_disk(guest, rescued=False)

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
        text = "".join(f"{_banner(number)}{part}" for number, part in enumerate(parts, first))
        if domain.state is PowerState.RUNNING:
            text += f"\n{guest.hostname} login: " + self._marks(self._clock() - domain.since)
        elif domain.state is PowerState.SHUTDOWN:
            text += "[    0.000000] reboot: System halted\n"
        return text[-limits.MAX_CONSOLE_BYTES :]

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
                raise WrongState(f"{guest.hostname} is not on this host")
            yield domain

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


def boot_messages(guest: Guest, interfaces: Sequence[Interface], *, rescued: bool = False) -> str:
    """What a guest says while it boots.

    :param rescued: it boots the rescue system
    """
    root = "LABEL=rescue" if rescued else guest.root_device_name or "/dev/vda"
    lines = [
        "[    0.000000] Linux version 3.2.0-23-virtual (simulated) #36-Ubuntu SMP",
        f"[    0.000000] Command line: root={root} ro console=tty1 console=ttyS0",
        f"[    0.000000] Memory: {guest.memory_mb * 1024}k total",
        f"[    0.120000] Brought up {guest.vcpus} CPUs",
        "[    0.880000] EXT4-fs (vda): mounted filesystem with ordered data mode",
        f"cloud-init start-local running: {guest.uuid}",
    ]
    lines += [
        f"ci-info: eth{number}: 1 {card.address} {card.cidr} {card.mac} gateway {card.gateway or '-'}"
        for number, card in enumerate(interfaces)
    ]
    lines.append(f"Setting hostname to {guest.hostname}")
    fingerprint = key_fingerprint(guest.key_data)
    if fingerprint:
        lines.append(f"ci-info: authorized key {fingerprint} {guest.key_name or ''} for user ec2-user".rstrip())
    else:
        lines.append("ci-info: no authorized ssh keys fingerprints found for user ec2-user.")
    if guest.user_data:
        digest = hashlib.sha256(guest.user_data.encode()).hexdigest()[:16]
        lines.append(f"cloud-init: user data found, part-001 {digest}")
    lines += [
        "-----BEGIN SSH HOST KEY FINGERPRINTS-----",
        f"ec2: 2048 {_host_key(guest)} root@{guest.hostname} (RSA)",
        "-----END SSH HOST KEY FINGERPRINTS-----",
        "cloud-init boot finished",
    ]
    return "\n".join(lines) + "\n"


def key_fingerprint(public_key: str | None) -> str:
    """MD5 of an OpenSSH public key as ``ssh-keygen`` writes it; empty without a readable key."""
    parts = (public_key or "").split()
    if len(parts) < 2:
        return ""
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (ValueError, binascii.Error):
        return ""
    return _pairs(hashlib.md5(blob, usedforsecurity=False).hexdigest())


def _host_key(guest: Guest) -> str:
    """A fingerprint that stays with the guest."""
    return _pairs(hashlib.sha256(guest.uuid.encode()).hexdigest()[:32])


def _pairs(digits: str) -> str:
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))


def _banner(boot: int) -> str:
    return "" if boot == 1 else f"[    0.000000] reboot: Restarting system (boot {boot})\n"


def _short(device: str) -> str:
    return device.rpartition("/")[2]


def _plug(domain: _Domain, device: BlockDevice) -> None:
    devices = domain.devices if domain.devices is not None else {}
    holder = devices.get(device.device, device.volume_id)
    if holder != device.volume_id:
        raise WrongState(f"{device.device} is taken by another volume")
    devices[device.device] = device.volume_id
    domain.devices = devices
