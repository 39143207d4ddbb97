"""What simulated guests write to their serial console, made of what they are."""

import base64
import binascii
import hashlib
from collections.abc import Sequence

from nova_api.nodes.drivers.hypervisor import Guest, Interface


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


def banner(boot: int) -> str:
    """What separates the messages of one boot from those of the one before."""
    return "" if boot == 1 else f"[    0.000000] reboot: Restarting system (boot {boot})\n"
