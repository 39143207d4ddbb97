"""RunInstances: everything is looked at before anything is written, and all of it is one transaction.

(Spec ec2.md 4.9, 4.10. 2012.1 wrote the row, its groups and its mappings in transactions of their own; a failing
request left a row that counted against the quota.)
"""

import hashlib
import json
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Row

from nova_api import errors, limits
from nova_api.cloud.image import DEFAULT_ROOT, ImageRecord, Images
from nova_api.cloud.keypairs import KeyPairs
from nova_api.cloud.policy import Policy
from nova_api.cloud.quota import Quotas
from nova_api.cloud.securitygroups import SecurityGroups
from nova_api.config import Config
from nova_api.context import RequestContext, new_uuid
from nova_api.db import flavors, services, volumes
from nova_api.db import instances as queries
from nova_api.db.engine import Transaction
from nova_api.db.models import now
from nova_api.rpc.outbox import Outbox

_ALPHABET = string.digits + string.ascii_lowercase


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A block device of a new instance."""

    name: str
    virtual_name: str | None = None
    snapshot: int | None = None
    volume: int | None = None
    size: int | None = None
    no_device: bool = False
    delete_on_termination: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """What a caller wants to run.

    :ivar image: id or name as the caller wrote it; kernel and ramdisk likewise
    :ivar least: instances without which the request fails; most: how many are wanted
    :ivar flavor: None takes the configured default
    :ivar zone: ``zone``, or ``zone:host`` for administrators
    :ivar shutdown_terminate: None decides by the devices
    """

    image: str
    least: int = 1
    most: int = 1
    flavor: str | None = None
    key_name: str | None = None
    user_data: str = ""
    kernel: str | None = None
    ramdisk: str | None = None
    zone: str | None = None
    groups: Sequence[str] = ()
    group_ids: Sequence[str] = ()
    devices: Sequence[Device] = ()
    disable_terminate: bool = False
    shutdown_terminate: bool | None = None
    client_token: str | None = None

    @property
    def fingerprint(self) -> str:
        """What two requests with one client token must have in common."""
        text = json.dumps(asdict(self), sort_keys=True, default=list)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(slots=True)
class _Plan:
    """What the checks of a launch have found out."""

    image: ImageRecord
    kernel: ImageRecord | None
    ramdisk: ImageRecord | None
    flavor: Row[Any]
    zone: str | None
    host: str | None
    devices: list[Device]
    count: int = 0
    key: Row[Any] | None = None
    groups: Sequence[int] = ()
    volumes: dict[str, Row[Any]] = field(default_factory=dict)


class Launcher:
    """Carries out launches."""

    def __init__(
        self,
        *,
        quotas: Quotas,
        outbox: Outbox,
        policy: Policy,
        config: Config,
        images: Images,
        key_pairs: KeyPairs,
        security_groups: SecurityGroups,
    ) -> None:
        self.quotas, self.outbox, self.policy, self.config = quotas, outbox, policy, config
        self.images, self.key_pairs, self.security_groups = images, key_pairs, security_groups

    def launch(self, tx: Transaction, context: RequestContext, spec: LaunchSpec) -> list[int]:
        """Make the rows and tell the scheduler.

        :returns: numbers of the instances; those of an earlier request with the same client token
        :raises IdempotentParameterMismatch: that one asked for something else
        """
        if spec.client_token:
            known = queries.client_token(tx.conn, context.project_id, spec.client_token)
            if known is not None:
                if known.fingerprint != spec.fingerprint:
                    raise errors.IdempotentParameterMismatch(
                        "The client token was used for a request with other parameters."
                    )
                return queries.of_reservation(tx.conn, known.reservation_id)
        plan = self._plan(tx, context, spec)
        return self._write(tx, context, spec, plan)

    # -- looking ---------------------------------------------------------------------------------------

    def _plan(self, tx: Transaction, context: RequestContext, spec: LaunchSpec) -> _Plan:
        """All checks, in the order of 2012.1."""
        conn = tx.conn
        kernel = self._boot_image(tx, context, spec.kernel)
        ramdisk = self._boot_image(tx, context, spec.ramdisk)
        image = self.images.resolve(conn, context, spec.image)
        if image.state != "available":
            raise errors.ImageNotAvailable
        kernel = kernel or self._image_part(tx, context, image.kernel_id, spec.kernel)
        ramdisk = ramdisk or self._image_part(tx, context, image.ramdisk_id, spec.ramdisk)
        name = spec.flavor or self.config.default_instance_type
        flavor = flavors.by_name(conn, name)
        if flavor is None:
            raise errors.FlavorNotFoundByName(name)
        self.policy.check(context, "compute:create")
        zone, host = self._place(tx, context, spec.zone)
        plan = _Plan(image, kernel, ramdisk, flavor, zone, host, _merged(image, flavor, spec.devices))
        self._check_storage(tx, context, spec, plan)
        plan.count = self._count(tx, context, spec, plan)
        if image.min_ram > flavor.memory_mb or (image.min_disk > flavor.root_gb and flavor.root_gb):
            raise errors.ImageTooLarge(f"The instance type {name} is too small for the image {spec.image}.")
        default = self.security_groups.ensure_default(tx, context)
        if spec.key_name:
            plan.key = self.key_pairs.get(conn, context, spec.key_name)
        named = self.security_groups.resolve(conn, context, spec.groups, spec.group_ids)
        plan.groups = named or [default]
        return plan

    def _boot_image(self, tx: Transaction, context: RequestContext, text: str | None) -> ImageRecord | None:
        if not text or text == self.config.null_kernel:
            return None
        return self.images.resolve(tx.conn, context, text)

    def _image_part(
        self, tx: Transaction, context: RequestContext, uuid: str | None, given: str | None
    ) -> ImageRecord | None:
        """Kernel or ramdisk that the image itself names."""
        if not uuid or given == self.config.null_kernel or uuid == self.config.null_kernel:
            return None
        return self.images.by_uuid(tx.conn, context, uuid)

    def _place(self, tx: Transaction, context: RequestContext, text: str | None) -> tuple[str | None, str | None]:
        zone, _, host = (text or self.config.default_schedule_zone or "").partition(":")
        if zone and not services.zone_exists(tx.conn, zone):
            raise errors.ZoneNotFound(zone)
        return zone or None, (host or None) if context.is_admin else None

    def _check_storage(self, tx: Transaction, context: RequestContext, spec: LaunchSpec, plan: _Plan) -> None:
        """Volumes and snapshots must be the caller's: the ids were once passed on unseen (CVE-2013-0208)."""
        for device in plan.devices:
            if device.volume is not None:
                rows = volumes.find_volumes(tx.conn, context, volumes.volume_is(device.volume))
                if not rows:
                    raise errors.VolumeNotFound(f"vol-{device.volume:08x}")
                if rows[0].status != "available" or spec.most > 1:
                    raise errors.IncorrectState(f"Volume vol-{device.volume:08x} cannot be attached.")
                plan.volumes[device.name] = rows[0]
            elif device.snapshot is not None:
                rows = volumes.find_snapshots(tx.conn, context, volumes.snapshot_is(device.snapshot))
                if not rows:
                    raise errors.SnapshotNotFound(f"snap-{device.snapshot:08x}")
                if rows[0].status != "available":
                    raise errors.IncorrectState(f"Snapshot snap-{device.snapshot:08x} is not available.")
                plan.volumes[device.name] = rows[0]

    def _count(self, tx: Transaction, context: RequestContext, spec: LaunchSpec, plan: _Plan) -> int:
        """How many instances the quota admits, between least and most."""
        project, flavor = context.project_id or "", plan.flavor
        left = self.quotas.left(tx, project, "instances", "cores", "ram", "volumes", "gigabytes")
        room = [left["instances"], left["cores"] // flavor.vcpus, left["ram"] // flavor.memory_mb]
        count = int(min(spec.most, *room))
        if count < spec.least:
            raise errors.InstanceLimitExceeded
        made = [device for device in plan.devices if device.snapshot is not None]
        size = sum(device.size or plan.volumes[device.name].volume_size for device in made)
        if len(made) * count > left["volumes"]:
            raise errors.VolumeLimitExceeded
        if size * count > left["gigabytes"]:
            raise errors.VolumeSizeTooLarge
        return count

    # -- writing ---------------------------------------------------------------------------------------

    def _write(self, tx: Transaction, context: RequestContext, spec: LaunchSpec, plan: _Plan) -> list[int]:
        reservation = "r-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
        if spec.client_token:
            queries.put_client_token(tx, context.project_id, spec.client_token, spec.fingerprint, reservation)
        uuids = [new_uuid() for _ in range(plan.count)]
        common = self._columns(context, spec, plan, reservation)
        each = [{"uuid": uuid, "launch_index": at} for at, uuid in enumerate(uuids)]
        numbers = queries.insert(tx, common, each)
        queries.name_by_number(tx, reservation)
        queries.put_into_groups(tx, numbers, plan.groups)
        self._write_devices(tx, context, plan, numbers)
        self._tell_scheduler(tx, context, spec, plan, uuids, common)
        return numbers

    def _columns(self, context: RequestContext, spec: LaunchSpec, plan: _Plan, reservation: str) -> dict[str, Any]:
        image, flavor = plan.image, plan.flavor
        terminate = spec.shutdown_terminate
        root = image.root_device_name
        return {
            "user_id": context.user_id,
            "project_id": context.project_id,
            "image_ref": image.uuid,
            "image_number": image.number,
            "kernel_id": plan.kernel.uuid if plan.kernel else None,
            "kernel_number": plan.kernel.number if plan.kernel else None,
            "ramdisk_id": plan.ramdisk.uuid if plan.ramdisk else None,
            "ramdisk_number": plan.ramdisk.number if plan.ramdisk else None,
            "reservation_id": reservation,
            "key_name": spec.key_name or None,
            "key_data": plan.key.public_key if plan.key else None,
            "power_state": 0,
            "vm_state": "building",
            "task_state": "scheduling",
            "progress": 0,
            "instance_type_id": flavor.id,
            "memory_mb": flavor.memory_mb,
            "vcpus": flavor.vcpus,
            "root_gb": flavor.root_gb,
            "ephemeral_gb": flavor.ephemeral_gb,
            "availability_zone": plan.zone,
            "user_data": spec.user_data,
            "architecture": image.architecture,
            "root_device_name": root,
            "volume_backed": any(
                device.name == (root or DEFAULT_ROOT) and (device.snapshot or device.volume) for device in plan.devices
            ),
            # 2012.1: an instance with a mapping stops rather than ends when it is shut down from inside.
            "shutdown_terminate": not plan.devices if terminate is None else terminate,
            "disable_terminate": spec.disable_terminate,
            "client_token": spec.client_token,
            "created_at": now(),
            "deleted": 0,
        }

    def _write_devices(self, tx: Transaction, context: RequestContext, plan: _Plan, numbers: Sequence[int]) -> None:
        rows = []
        for number in numbers:
            for device in plan.devices:
                volume = self._volume_of(tx, context, plan, device, number)
                kept = device.delete_on_termination
                rows.append(
                    {
                        "instance_id": number,
                        "device_name": device.name,
                        "virtual_name": device.virtual_name,
                        "snapshot_id": device.snapshot,
                        "volume_id": volume,
                        "volume_size": device.size,
                        "no_device": device.no_device,
                        "delete_on_termination": kept if kept is not None else volume is not None,
                    }
                )
        queries.add_devices(tx, rows)

    def _volume_of(
        self, tx: Transaction, context: RequestContext, plan: _Plan, device: Device, number: int
    ) -> int | None:
        """The volume at a device: one that exists, or a new one that the nodes make of the snapshot."""
        found = plan.volumes.get(device.name)
        if found is None:
            return None
        attaching = {"instance_id": number, "mountpoint": device.name}
        if device.volume is not None:
            if not volumes.change_volume(tx, device.volume, ("available",), {"status": "attaching", **attaching}):
                raise errors.IncorrectState(f"Volume vol-{device.volume:08x} cannot be attached.")
            return device.volume
        return volumes.insert_volume(
            tx,
            {
                "uuid": new_uuid(),
                "user_id": context.user_id,
                "project_id": context.project_id,
                "snapshot_id": device.snapshot,
                "size": device.size or found.volume_size,
                "availability_zone": plan.zone or self.config.storage_availability_zone,
                "status": "creating",
                **attaching,
            },
        )

    def _tell_scheduler(
        self,
        tx: Transaction,
        context: RequestContext,
        spec: LaunchSpec,
        plan: _Plan,
        uuids: Sequence[str],
        columns: Mapping[str, Any],
    ) -> None:
        """One message for the whole reservation, in the shape of 2012.1 (spec ec2.md 6.2)."""
        left_out = ("user_data", "key_data", "created_at", "deleted")
        properties = {name: value for name, value in columns.items() if name not in left_out}
        properties |= {"launch_time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "locked": False}
        if len(uuids) == 1:
            properties["uuid"] = uuids[0]
        flavor = plan.flavor
        request = {
            "image": {"id": plan.image.uuid, "name": plan.image.name, "min_ram": plan.image.min_ram},
            "instance_properties": properties,
            "instance_type": {
                "id": flavor.id,
                "name": flavor.name,
                "memory_mb": flavor.memory_mb,
                "vcpus": flavor.vcpus,
                "root_gb": flavor.root_gb,
                "ephemeral_gb": flavor.ephemeral_gb,
                "extra_specs": {},
            },
            "num_instances": len(uuids),
            "instance_uuids": list(uuids),
            "block_device_mapping": [],
            "security_group": list(spec.groups) or ["default"],
        }
        self.outbox.cast(
            tx,
            context,
            "scheduler",
            "run_instance",
            topic="compute",
            request_spec=request,
            admin_password=None,
            injected_files=None,
            requested_networks=None,
            is_first_time=True,
            filter_properties={"force_hosts": [plan.host] if plan.host else [], "scheduler_hints": None},
        )


def _merged(image: ImageRecord, flavor: Row[Any], asked: Sequence[Device]) -> list[Device]:
    """The devices of image and request; later ones take the place of earlier ones with the same name."""
    found: dict[str, Device] = {}
    for entry in image.mappings:
        virtual = str(entry.get("virtual", ""))
        size = _virtual_size(virtual, flavor)
        if size:
            name = str(entry.get("device", ""))
            name = name if name.startswith("/dev/") else f"/dev/{name}"
            found[name] = Device(name=name, virtual_name=virtual, size=size)
    for entry in image.block_device_mapping:
        found[entry["device_name"]] = Device(
            name=entry["device_name"],
            virtual_name=entry.get("virtual_name"),
            snapshot=entry.get("snapshot_id"),
            size=entry.get("volume_size"),
            no_device=bool(entry.get("no_device")),
            delete_on_termination=entry.get("delete_on_termination"),
        )
    for device in asked:
        for name, other in list(found.items()):
            if device.virtual_name and other.virtual_name == device.virtual_name:
                del found[name]  # a virtual device exists once per instance
        found[device.name] = device
    if len(found) > limits.MAX_BLOCK_DEVICES:
        raise errors.InvalidParameterValue(f"An instance has at most {limits.MAX_BLOCK_DEVICES} block devices.")
    return list(found.values())


def _virtual_size(virtual: str, flavor: Row[Any]) -> int:
    """GB of a virtual device: what the flavor has for it."""
    if virtual == "swap":
        return int(flavor.swap)
    return int(flavor.ephemeral_gb) if virtual == "ephemeral0" else 0
