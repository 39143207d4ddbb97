"""Block device mappings: as clients name them, and as images show them (spec ec2.md 4.9)."""

import re
from collections.abc import Mapping
from typing import Any

from nova_api import errors, limits
from nova_api.cloud.image import ImageRecord
from nova_api.cloud.launch import Device
from nova_api.ec2 import ids
from nova_api.ec2.params import Boolean, Integer, ListOf, Struct, Text

_VIRTUAL = re.compile(r"(?:swap|ephemeral[0-9]+)\Z")

#: The parameter ``BlockDeviceMapping``.
MAPPING = ListOf(
    Struct(
        {
            "DeviceName": Text(),
            "VirtualName": Text(),
            "NoDevice": Text(),
            "Ebs": Struct(
                {
                    "SnapshotId": Text(),
                    "VolumeSize": Integer(1, limits.MAX_VOLUME_GB),
                    "DeleteOnTermination": Boolean(),
                    "NoDevice": Text(),
                }
            ),
        }
    ),
    most=limits.MAX_BLOCK_DEVICES,
)


def device(entry: Mapping[str, Any]) -> Device:
    """A decoded entry; its device name is looked at before anything is written.

    :raises MissingParameter: no device name, or an empty volume, which this cloud does not make at launch
    :raises InvalidParameterValue: an id that is neither a snapshot's nor a volume's
    """
    name = entry.get("device_name")
    if not name:
        raise errors.MissingParameter("BlockDeviceMapping.DeviceName")
    ebs = entry.get("ebs") or {}
    virtual = entry.get("virtual_name") or None
    if "no_device" in entry or "no_device" in ebs or virtual == "NoDevice":
        return Device(name=name, no_device=True)
    snapshot = volume = None
    text = ebs.get("snapshot_id")
    if text:
        snapshot, volume = ids.parse(text, "snap"), ids.parse(text, "vol")
        if snapshot is None and volume is None:
            raise errors.InvalidParameterValue(f"Value ({text}) for parameter snapshotId is invalid.")
    elif ebs.get("volume_size") and not virtual:
        raise errors.MissingParameter("BlockDeviceMapping.Ebs.SnapshotId")
    return Device(
        name=name,
        virtual_name=virtual,
        snapshot=snapshot,
        volume=volume,
        size=ebs.get("volume_size"),
        delete_on_termination=ebs.get("delete_on_termination"),
    )


def recorded(found: Device) -> dict[str, Any]:
    """A device as the image catalogue keeps it.

    :raises InvalidParameterValue: a volume: an image is made of snapshots
    """
    if found.no_device:
        return {"device_name": found.name, "no_device": True}
    if found.volume is not None:
        raise errors.InvalidParameterValue("An image is made of snapshots, not of volumes.")
    made: dict[str, Any] = {"device_name": found.name}
    if found.virtual_name:
        made["virtual_name"] = found.virtual_name
    if found.snapshot is not None:
        made["snapshot_id"] = found.snapshot
        made["delete_on_termination"] = found.delete_on_termination is not False
    if found.size:
        made["volume_size"] = found.size
    return made


def of_image(image: ImageRecord) -> list[dict[str, object]]:
    """Virtual devices, then volumes; a volume at the same device takes the virtual one's place."""
    found: dict[str, dict[str, object] | None] = {}
    for entry in image.mappings:
        virtual = str(entry.get("virtual", ""))
        if _VIRTUAL.match(virtual):
            name = str(entry.get("device", ""))
            name = name if name.startswith("/dev/") else f"/dev/{name}"
            found[name] = {"virtualName": virtual, "deviceName": name}
    for entry in image.block_device_mapping:
        found[entry["device_name"]] = None if entry.get("no_device") else _shown(entry)
    return [shown for shown in found.values() if shown]


def _shown(entry: Mapping[str, Any]) -> dict[str, object]:
    shown: dict[str, object] = {"deviceName": entry["device_name"]}
    if entry.get("virtual_name"):
        shown["virtualName"] = entry["virtual_name"]
    ebs: dict[str, object] = {}
    if entry.get("snapshot_id"):
        ebs["snapshotId"] = ids.snapshot_id(entry["snapshot_id"])
    elif entry.get("volume_id"):
        ebs["snapshotId"] = ids.volume_id(entry["volume_id"])
    if ebs:
        if entry.get("volume_size") is not None:
            ebs["volumeSize"] = entry["volume_size"]
        if entry.get("delete_on_termination") is not None:
            ebs["deleteOnTermination"] = bool(entry["delete_on_termination"])
        shown["ebs"] = ebs
    return shown
