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
from nova_api.cloud.image import DEFAULT_ROOT, Images
from nova_api.cloud.keypairs import KeyPairs
from nova_api.cloud.launch_plan import Device, LaunchSpec, Plan, Planner, ServerSpec
from nova_api.cloud.policy import Policy
from nova_api.cloud.quota import Quotas
from nova_api.cloud.securitygroups import SecurityGroups
from nova_api.config import Config
from nova_api.context import RequestContext, new_uuid
from nova_api.db import instances as queries
from nova_api.db import volumes
from nova_api.db.engine import Transaction
from nova_api.db.models import now
from nova_api.rpc.outbox import Outbox

__all__ = ["Device", "LaunchSpec", "Launcher", "ServerSpec"]

_ALPHABET = string.digits + string.ascii_lowercase
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
        queries.put_into_groups(tx, numbers, plan.groups)
        self._write_devices(tx, context, plan, numbers)
        self._tell_scheduler(tx, context, spec, plan, uuids, common)
        return numbers

    def _columns(self, context: RequestContext, spec: LaunchSpec, plan: Plan, reservation: str) -> dict[str, Any]:
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
        """One message for the whole reservation, in the shape of 2012.1 (spec ec2.md 6.2)."""
        server = spec.server
        left_out = ("user_data", "key_data", "created_at", "deleted")
        properties = {name: value for name, value in columns.items() if name not in left_out}
        properties |= {"launch_time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "locked": False}
        if server is not None:
            properties["metadata"] = dict(server.metadata)
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
            admin_password=server.admin_password if server else None,
            injected_files=[list(one) for one in server.files] if server and server.files else None,
            requested_networks=None
            if server is None or server.networks is None
            else [list(n) for n in server.networks],
            is_first_time=True,
            filter_properties={
                "force_hosts": [plan.host] if plan.host else [],
                "scheduler_hints": server.hints if server else None,
            },
        )


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
        "auto_disk_config": server.auto_disk_config,
    }


def host_name(name: str) -> str:
    """A server's name as its system can bear it."""
    return _NO_HOST_NAME.sub("", re.sub(r"[ _]", "-", name)).lower().strip(".-")[:63]
