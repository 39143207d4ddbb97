"""The metadata tree (spec ec2.md 5.3, 5.4): folders are dicts, leaves are texts or bytes."""

import base64
import binascii
from typing import Union

from nova_api.cloud.metadata import InstanceMetadata

Leaf = str | bytes
Tree = dict[str, Union["Tree", Leaf]]

#: Devices of an instance whose root device is not known.
_UNKNOWN_ROOT: Tree = {
    "ami": "sda1",
    "root": "/dev/sda1",
    "ephemeral0": "sda2",
    "swap": "sda3",
}


class Named(dict[str, Union["Tree", Leaf]]):
    """A folder that is listed with a name: ``0=mykey``."""

    def __init__(self, name: str, content: Tree) -> None:
        super().__init__(content)
        self.name = name


def tree_of(facts: InstanceMetadata) -> Tree:
    """Everything an instance may ask for."""
    return {"meta-data": _meta_data(facts), "user-data": _user_data(facts)}


def _user_data(facts: InstanceMetadata) -> bytes:
    """Decoded; without user data an empty text, as in 2012.1. It was checked when the instance was made."""
    try:
        return base64.b64decode(facts.user_data)
    except (binascii.Error, ValueError):
        return facts.user_data.encode()


def _meta_data(facts: InstanceMetadata) -> Tree:
    tree: Tree = {
        "ami-id": f"ami-{facts.image_number or 0:08x}",
        "ami-launch-index": str(facts.launch_index),
        # 2012.1: a constant
        "ami-manifest-path": "FIXME",
        "block-device-mapping": _devices(facts),
        "hostname": facts.hostname,
        "instance-action": "none",
        "instance-id": f"i-{facts.number:08x}",
        "instance-type": facts.flavor,
        "local-hostname": facts.hostname,
        "local-ipv4": facts.address,
        "placement": {"availability-zone": facts.zone or "unknown zone"},
        "public-hostname": facts.hostname,
        "public-ipv4": facts.public_address,
        "reservation-id": facts.reservation_id,
        "security-groups": "\n".join(facts.groups),
    }
    for number, names, prefix in (
        (facts.kernel_number, ("aki-id", "kernel-id"), "aki"),
        (facts.ramdisk_number, ("ari-id", "ramdisk-id"), "ari"),
    ):
        if number is not None:
            # 2012.1 had the first name by mistake; the second one is what was meant (fix).
            tree |= {name: f"{prefix}-{number:08x}" for name in names}
    if facts.key_name and facts.key_data:
        tree["public-keys"] = {"0": Named(facts.key_name, {"openssh-key": facts.key_data})}
    return tree


def _devices(facts: InstanceMetadata) -> Tree:
    root = facts.root_device_name
    if root is None:
        return dict(_UNKNOWN_ROOT)
    tree: Tree = {"ami": root.removeprefix("/dev/"), "root": root}
    if facts.ephemeral_device:
        tree["ephemeral0"] = facts.ephemeral_device
    if facts.swap_device:
        tree["swap"] = facts.swap_device
    for device in facts.devices:
        if device.virtual_name:
            tree[device.virtual_name] = device.name
    on_volumes = sorted(device.name for device in facts.devices if device.on_volume)
    return tree | {f"ebs{at}": name for at, name in enumerate(on_volumes)}


def lookup(tree: Tree, path: list[str]) -> Tree | Leaf | None:
    """What a path names; below a leaf every path names the leaf."""
    node: Tree | Leaf | None = tree
    for part in path:
        if not isinstance(node, dict):
            return node
        node = node.get(part)
    return node


def render(node: Tree | Leaf) -> bytes:
    """A leaf as it is; a folder as the list of its names, folders among them with a slash."""
    if isinstance(node, bytes):
        return node
    if isinstance(node, str):
        return node.encode()
    return "\n".join(_listed(name, child) for name, child in node.items()).encode()


def _listed(name: str, child: Tree | Leaf) -> str:
    if isinstance(child, Named):
        return f"{name}={child.name}"
    return f"{name}/" if isinstance(child, dict) else name
