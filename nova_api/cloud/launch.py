"""RunInstances: everything is looked at before anything is written, and all of it is one transaction.

(Spec ec2.md 4.9, 4.10. 2012.1 wrote the row, its groups and its mappings in transactions of their own; a failing
request left a row that counted against the quota.)
"""

import re
import secrets
import string
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nova_api import errors
from nova_api.cloud.image import DEFAULT_ROOT, ImageRecord, Images
from nova_api.cloud.keypairs import KeyPairs
from nova_api.cloud.launch_plan import Device, LaunchSpec, Plan, Planner, ServerSpec
from nova_api.cloud.policy import Policy
from nova_api.cloud.quota import Quotas
from nova_api.cloud.securitygroups import SecurityGroups
from nova_api.config import Config
from nova_api.context import RequestContext, new_uuid
from nova_api.db import flavors, shared_ips, volumes
from nova_api.db import instances as queries
from nova_api.db.engine import Transaction
from nova_api.db.models import now
from nova_api.rpc.outbox import Outbox

__all__ = ["Device", "LaunchSpec", "Launcher", "ServerSpec"]

_ALPHABET = string.digits + string.ascii_lowercase
#: What 2012.1 told a scheduler of every instance, where a launch says nothing of it.
_UNSAID: Mapping[str, Any] = {
    "display_name": None,
    "display_description": "",
    "access_ip_v4": None,
    "access_ip_v6": None,
    "config_drive": "",
    "config_drive_id": "",
    "os_type": None,
    "vm_mode": None,
}
_OF_FLAVOR = (
    "id",
    "flavorid",
    "name",
    "memory_mb",
    "vcpus",
    "root_gb",
    "ephemeral_gb",
    "swap",
    "rxtx_factor",
    "vcpu_weight",
)
_NO_HOST_NAME = re.compile(r"[^\w.-]+", re.ASCII)


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
        self.outbox, self.config = outbox, config
        self.planner = Planner(
            quotas=quotas,
            policy=policy,
            config=config,
            images=images,
            key_pairs=key_pairs,
            security_groups=security_groups,
        )

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
        plan = self.planner.plan(tx, context, spec)
        return self._write(tx, context, spec, plan)

    # -- writing ---------------------------------------------------------------------------------------

    def _write(self, tx: Transaction, context: RequestContext, spec: LaunchSpec, plan: Plan) -> list[int]:
        reservation = "r-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
        if spec.client_token:
            queries.put_client_token(tx, context.project_id, spec.client_token, spec.fingerprint, reservation)
        uuids = [new_uuid() for _ in range(plan.count)]
        common = self._columns(context, spec, plan, reservation)
        each = [{"uuid": uuid, "launch_index": at} for at, uuid in enumerate(uuids)]
        numbers = queries.insert(tx, common, each)
        if spec.server is None:
            queries.name_by_number(tx, reservation)
        else:
            queries.add_metadata(tx, numbers, spec.server.metadata)
            if spec.server.shared_ip_group is not None:
                shared_ips.add_members(tx, spec.server.shared_ip_group, numbers)
        queries.put_into_groups(tx, numbers, plan.groups)
        self._write_devices(tx, context, plan, numbers)
        self._tell_scheduler(tx, context, spec, plan, uuids, common)
        return numbers

    def _columns(self, context: RequestContext, spec: LaunchSpec, plan: Plan, reservation: str) -> dict[str, Any]:
        of_image, flavor = _image_columns(plan), plan.flavor
        terminate = spec.shutdown_terminate
        root = of_image["root_device_name"]
        return {
            "user_id": context.user_id,
            "project_id": context.project_id,
            **of_image,
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
            "volume_backed": any(
                device.name == (root or DEFAULT_ROOT) and (device.snapshot or device.volume) for device in plan.devices
            ),
            # 2012.1: an instance with a mapping stops rather than ends when it is shut down from inside.
            "shutdown_terminate": not _has_mapping(plan) if terminate is None else terminate,
            "disable_terminate": spec.disable_terminate,
            "client_token": spec.client_token,
            "created_at": now(),
            "deleted": 0,
            "auto_disk_config": _disk_config(spec.server, plan.image),
            **_server_columns(spec.server),
        }

    def _write_devices(self, tx: Transaction, context: RequestContext, plan: Plan, numbers: Sequence[int]) -> None:
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
        self, tx: Transaction, context: RequestContext, plan: Plan, device: Device, number: int
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
        plan: Plan,
        uuids: Sequence[str],
        columns: Mapping[str, Any],
    ) -> None:
        """One message for the whole reservation, in the shape of 2012.1 (spec ec2.md 6.2).

        User data and keys, which no scheduler looks at, stay in the datastore: a broker is no place for secrets.
        """
        server = spec.server
        left_out = ("user_data", "key_data", "created_at", "deleted")
        properties = {**_UNSAID, **{name: value for name, value in columns.items() if name not in left_out}}
        properties |= {
            "kernel_id": properties["kernel_id"] or "",
            "ramdisk_id": properties["ramdisk_id"] or "",
            "launch_time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "locked": False,
            "metadata": dict(server.metadata) if server else {},
        }
        if len(uuids) == 1:
            properties["uuid"] = uuids[0]
        flavor, image = plan.flavor, plan.image
        request = {
            "image": {"id": image.uuid, "name": image.name, "min_ram": image.min_ram} if image else {},
            "instance_properties": properties,
            "instance_type": {
                **{name: getattr(flavor, name) for name in _OF_FLAVOR},
                "extra_specs": flavors.extra_specs(tx.conn, flavor.id),
            },
            "num_instances": len(uuids),
            "instance_uuids": list(uuids),
            "block_device_mapping": [_flat(device) for device in plan.devices],
            "security_group": list(spec.groups) or ["default"],
        }
        self.outbox.cast(
            tx,
            context,
            "scheduler",
            "run_instance",
            topic="compute",
            request_spec=request,
            admin_password=server.admin_password if server else None,
            injected_files=[list(one) for one in server.files] if server and server.files else None,
            requested_networks=None
            if server is None or server.networks is None
            else [list(n) for n in server.networks],
            is_first_time=True,
            filter_properties={
                "force_hosts": [plan.host] if plan.host else [],
                "scheduler_hints": dict(server.hints or {}) if server else None,
            },
        )


def _image_columns(plan: Plan) -> dict[str, Any]:
    """What an instance has of its image; without one, its first device is where it boots from."""
    image = plan.image
    return {
        "image_ref": image.uuid if image else None,
        "image_number": image.number if image else None,
        "architecture": image.architecture if image else None,
        "root_device_name": image.root_device_name if image else plan.devices[0].name,
    }


def _flat(device: Device) -> dict[str, Any]:
    """A device as 2012.1 wrote it into messages (spec ec2.md 4.9)."""
    return {
        "device_name": device.name,
        "virtual_name": device.virtual_name,
        "snapshot_id": device.snapshot,
        "volume_id": device.volume,
        "volume_size": device.size,
        "no_device": device.no_device,
        "delete_on_termination": device.delete_on_termination,
    }


def _has_mapping(plan: Plan) -> bool:
    """Whether request or image name any device, also one that the instance does not get (spec ec2.md 4.9)."""
    return bool(plan.devices or (plan.image and (plan.image.mappings or plan.image.block_device_mapping)))


def _server_columns(server: ServerSpec | None) -> dict[str, Any]:
    if server is None:
        return {}
    return {
        "display_name": server.name,
        "display_description": server.name,
        "hostname": host_name(server.name),
        "access_ip_v4": server.access_ip_v4,
        "access_ip_v6": server.access_ip_v6,
        "config_drive": server.config_drive,
    }


def _disk_config(server: ServerSpec | None, image: ImageRecord | None) -> bool | None:
    """Whether the host lays out the disk: as the request says, else as the image does."""
    if server is not None and server.auto_disk_config is not None:
        return server.auto_disk_config
    said = image.properties.get("auto_disk_config") if image else None
    return None if said is None else said.strip().lower() in ("1", "t", "true", "y", "yes", "on")


def host_name(name: str) -> str:
    """A server's name as its system can bear it."""
    return _NO_HOST_NAME.sub("", re.sub(r"[ _]", "-", name)).lower().strip(".-")[:63]
