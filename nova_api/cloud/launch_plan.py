"""What a launch is checked for before anything is written (spec ec2.md 4.9, openstack-core.md 5.5).

Two doors start instances: EC2 names images and flavors by its own ids and by name, OpenStack by UUID and flavor id.
From there on they are checked alike.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy.engine import Row

from nova_api import errors, limits
from nova_api.cloud.image import ImageRecord, Images
from nova_api.cloud.keypairs import KeyPairs
from nova_api.cloud.keys import check_keys
from nova_api.cloud.policy import Policy
from nova_api.cloud.quota import UNLIMITED, Quotas
from nova_api.cloud.securitygroups import SecurityGroups
from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.db import flavors, networks, services, shared_ips, volumes
from nova_api.db.engine import Transaction


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
class ServerSpec:
    """The part of a launch that EC2 does not have.

    :ivar files: path and content (base64) of files to put into the server
    :ivar networks: UUID and, if any, fixed address of its networks, in order; None leaves the choice to the cloud
    :ivar config_drive: empty, ``True``, or the UUID of an image
    :ivar hints: for the scheduler
    :ivar shared_ip_group: number of the group that it is put into
    """

    name: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[str, str]] = ()
    networks: Sequence[tuple[str, str | None]] | None = None
    admin_password: str | None = field(default=None, repr=False)
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    config_drive: str = ""
    auto_disk_config: bool | None = None
    hints: Mapping[str, Any] | None = None
    shared_ip_group: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """What a caller wants to run.

    :ivar image: id or name as the caller wrote it, empty for a server that boots from the first of its devices; kernel
        and ramdisk likewise
    :ivar least: instances without which the request fails; most: how many are wanted
    :ivar flavor: None takes the configured default
    :ivar zone: ``zone``, or ``zone:host`` for administrators
    :ivar shutdown_terminate: None decides by the devices
    :ivar server: what only the OpenStack door can say; then ``image`` is a UUID and ``flavor`` a flavor id
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
    server: "ServerSpec | None" = None

    @property
    def fingerprint(self) -> str:
        """What two requests with one client token must have in common."""
        text = json.dumps(asdict(self), sort_keys=True, default=list)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(slots=True)
class Plan:
    """What the checks of a launch have found out.

    :ivar image: None for a server that boots from the first of its devices
    """

    image: ImageRecord | None
    kernel: ImageRecord | None
    ramdisk: ImageRecord | None
    flavor: Row[Any]
    devices: list[Device]
    count: int = 0
    zone: str | None = None
    host: str | None = None
    key: Row[Any] | None = None
    groups: Sequence[int] = ()
    volumes: dict[str, Row[Any]] = field(default_factory=dict)


class Planner:
    """Carries out the checks."""

    def __init__(
        self,
        *,
        quotas: Quotas,
        policy: Policy,
        config: Config,
        images: Images,
        key_pairs: KeyPairs,
        security_groups: SecurityGroups,
    ) -> None:
        self.quotas, self.policy, self.config = quotas, policy, config
        self.images, self.key_pairs, self.security_groups = images, key_pairs, security_groups

    def plan(self, tx: Transaction, context: RequestContext, spec: LaunchSpec) -> Plan:
        """All checks, in the order of 2012.1."""
        if spec.server is not None:
            return self._plan_server(tx, context, spec, spec.server)
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
        plan = Plan(image, kernel, ramdisk, flavor, merged_devices(image, flavor, spec.devices), zone=zone, host=host)
        self._check_storage(tx, context, spec, plan)
        left = self._left(tx, context)
        plan.count = _admitted(left, spec, flavor)
        _check_volumes(left, plan)
        if image.min_ram > flavor.memory_mb or (image.min_disk > flavor.root_gb and flavor.root_gb):
            raise errors.ImageTooLarge(f"The instance type {name} is too small for the image {spec.image}.")
        self._add_key_and_groups(tx, context, spec, plan)
        return plan

    def _add_key_and_groups(self, tx: Transaction, context: RequestContext, spec: LaunchSpec, plan: Plan) -> None:
        default = self.security_groups.ensure_default(tx, context)
        if spec.key_name:
            plan.key = self.key_pairs.get(tx.conn, context, spec.key_name)
        named = self.security_groups.resolve(tx.conn, context, spec.groups, spec.group_ids)
        plan.groups = named or [default]

    def _plan_server(self, tx: Transaction, context: RequestContext, spec: LaunchSpec, server: ServerSpec) -> Plan:
        """The checks of a server, in the order of 2012.1."""
        conn = tx.conn
        flavor = flavors.by_flavorid(conn, spec.flavor or "")
        if flavor is None:
            raise errors.FlavorNotFound(spec.flavor or "")
        self.policy.check(context, "compute:create")
        if server.networks is not None:
            self.policy.check(context, "compute:create:attach_network")
        if spec.devices:
            self.policy.check(context, "compute:create:attach_volume")
        left = self._left(tx, context)
        count = _admitted(left, spec, flavor)
        allowed = self.quotas.limits_in(tx, context.project_id or "")
        check_metadata(allowed, server.metadata)
        check_files(allowed, server.files)
        self._check_networks(tx, context, server.networks or (), count)
        self._check_ip_group(tx, context, server.shared_ip_group, count)
        image, kernel, ramdisk = self._image_of(tx, context, spec)
        if image is not None and image.state != "available":
            raise errors.ImageNotAvailable
        if server.config_drive not in ("", "True"):
            self.images.by_uuid(conn, context, server.config_drive)
        if image is not None:
            check_size(image, flavor)
        plan = Plan(image, kernel, ramdisk, flavor, merged_devices(image, flavor, spec.devices), count)
        self._check_storage(tx, context, spec, plan)
        _check_volumes(left, plan)
        self._add_key_and_groups(tx, context, spec, plan)
        # 2012.1 left an unknown zone to the scheduler: whatever it checked itself goes before.
        plan.zone, plan.host = self._place(tx, context, spec.zone)
        return plan

    def _image_of(
        self, tx: Transaction, context: RequestContext, spec: LaunchSpec
    ) -> tuple[ImageRecord | None, ImageRecord | None, ImageRecord | None]:
        """A server's image with its kernel and ramdisk; all None for one that boots from a volume alone."""
        if not spec.image:
            return None, None, None
        image = self.images.by_uuid(tx.conn, context, spec.image)
        kernel, ramdisk = (self._image_part(tx, context, part, None) for part in (image.kernel_id, image.ramdisk_id))
        return image, kernel, ramdisk

    def _check_ip_group(self, tx: Transaction, context: RequestContext, group: int | None, count: int) -> None:
        """A shared IP group must be the caller's, and have room."""
        if group is None:
            return
        if shared_ips.locked(tx, context, group) is None:
            raise errors.SharedIpGroupNotFound(group)
        if self.quotas.shared_ip_members_left(tx, context.project_id or "", group) < count:
            raise errors.SharedIpGroupMemberLimitExceeded

    @staticmethod
    def _check_networks(
        tx: Transaction, context: RequestContext, wanted: Sequence[tuple[str, str | None]], count: int
    ) -> None:
        """Networks must be the caller's or everybody's, addresses free, and asked for by one server only."""
        for uuid, address in wanted:
            network = networks.of_project(tx.conn, context.project_id, uuid)
            if network is None:
                raise errors.NetworkNotFound(uuid)
            if address is not None:
                found = networks.fixed_address(tx.conn, network.id, address)
                if found is None:
                    raise errors.FixedIpInvalid(address)
                if found.instance_id is not None or found.reserved:
                    raise errors.FixedIpInUse(address)
                if count > 1:
                    raise errors.InvalidParameterValue(f"Fixed IP address {address} cannot be that of {count} servers.")

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

    def _check_storage(self, tx: Transaction, context: RequestContext, spec: LaunchSpec, plan: Plan) -> None:
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

    def _left(self, tx: Transaction, context: RequestContext) -> Mapping[str, float]:
        """What the quota leaves of everything that a launch takes from."""
        return self.quotas.left(tx, context.project_id or "", "instances", "cores", "ram", "volumes", "gigabytes")


def _admitted(left: Mapping[str, float], spec: LaunchSpec, flavor: Row[Any]) -> int:
    """How many instances the quota admits, between least and most."""
    room = [left["instances"], left["cores"] // flavor.vcpus, left["ram"] // flavor.memory_mb]
    count = int(min(spec.most, *room))
    if count < spec.least:
        raise errors.InstanceLimitExceeded
    if count > limits.MAX_INSTANCES_PER_CALL:
        raise errors.InvalidParameterValue(f"A request starts at most {limits.MAX_INSTANCES_PER_CALL} instances.")
    return count


def _check_volumes(left: Mapping[str, float], plan: Plan) -> None:
    """The volumes that are made of snapshots count against the quota too."""
    made = [device for device in plan.devices if device.snapshot is not None]
    size = sum(device.size or plan.volumes[device.name].volume_size for device in made)
    if len(made) * plan.count > left["volumes"]:
        raise errors.VolumeLimitExceeded
    if size * plan.count > left["gigabytes"]:
        raise errors.VolumeSizeTooLarge


def merged_devices(image: ImageRecord | None, flavor: Row[Any], asked: Sequence[Device]) -> list[Device]:
    """The devices of image and request; later ones take the place of earlier ones with the same name."""
    found: dict[str, Device] = {}
    for entry in image.mappings if image else ():
        virtual = str(entry.get("virtual", ""))
        size = _virtual_size(virtual, flavor)
        if size:
            name = str(entry.get("device", ""))
            name = name if name.startswith("/dev/") else f"/dev/{name}"
            found[name] = Device(name=name, virtual_name=virtual, size=size)
    for entry in image.block_device_mapping if image else ():
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


def check_size(image: ImageRecord, flavor: Row[Any]) -> None:
    """Refuse a flavor that is smaller than an image asks for.

    :raises ImageTooLarge: memory, or disk where the flavor has one
    """
    if image.min_ram > flavor.memory_mb:
        raise errors.ImageTooLarge("Instance type's memory is too small for requested image.")
    if flavor.root_gb and image.min_disk > flavor.root_gb:
        raise errors.ImageTooLarge("Instance type's disk is too small for requested image.")


def check_metadata(allowed: Mapping[str, int], metadata: Mapping[str, str]) -> None:
    """Refuse more metadata, or longer, than a server may have.

    :param allowed: limits of the project
    :raises MetadataLimitExceeded: too many items, or a key or value beyond 255 characters
    :raises InvalidParameterValue: as :func:`check_keys`
    """
    too_many = allowed["metadata_items"] != UNLIMITED and len(metadata) > allowed["metadata_items"]
    if too_many or any(max(len(key), len(value)) > limits.MAX_NAME for key, value in metadata.items()):
        raise errors.MetadataLimitExceeded
    check_keys(metadata)


def check_files(allowed: Mapping[str, int], files: Sequence[tuple[str, str]]) -> None:
    """Refuse files that are too many, too long, or would land outside of the server.

    :param allowed: limits of the project
    :raises OnsetFileLimitExceeded: too many, a path too long, a content too long
    :raises InvalidParameterValue: a path that leaves the server's disk (CVE-2012-3360)
    """
    names = ("injected_files", "injected_file_path_bytes", "injected_file_content_bytes")
    most, path_bytes, content_bytes = (float("inf") if allowed[name] == UNLIMITED else allowed[name] for name in names)
    if len(files) > most:
        raise errors.OnsetFileLimitExceeded("Personality file limit exceeded")
    for path, content in files:
        if len(path.encode("utf-8", "surrogatepass")) > path_bytes:
            raise errors.OnsetFileLimitExceeded("Personality file path too long")
        if len(base64.b64decode(content)) > content_bytes:
            raise errors.OnsetFileLimitExceeded("Personality file content too long")
        if "\x00" in path or not path.startswith("/") or ".." in path.split("/"):
            raise errors.InvalidParameterValue(f"Bad personality format: path {path!r} is not allowed")
