"""What an instance may know of itself, by its address (spec ec2.md 5.4)."""

from collections.abc import Sequence
from dataclasses import dataclass

from nova_api.config import Config
from nova_api.context import admin_context
from nova_api.db import floating, instances, networks, services
from nova_api.db.engine import Database


@dataclass(frozen=True, slots=True)
class DeviceFact:
    """A block device of an instance.

    :ivar on_volume: a volume or snapshot is behind it
    """

    name: str
    virtual_name: str | None
    on_volume: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceMetadata:
    """The facts.

    :ivar user_data: base64, as it was given
    """

    number: int
    address: str
    image_number: int | None
    kernel_number: int | None
    ramdisk_number: int | None
    launch_index: int
    hostname: str
    flavor: str
    reservation_id: str
    public_address: str
    zone: str | None
    groups: Sequence[str]
    key_name: str | None
    key_data: str | None
    user_data: str
    root_device_name: str | None
    ephemeral_device: str | None
    swap_device: str | None
    devices: Sequence[DeviceFact]


class Metadata:
    """Metadata of running instances as a service."""

    def __init__(self, db: Database, config: Config) -> None:
        self.db, self.config = db, config

    def instance_metadata(self, address: str) -> InstanceMetadata | None:
        """The facts of the living instance that holds a fixed address; None when there is none."""
        with self.db.read() as conn:
            number = networks.holder(conn, address)
            row = None if number is None else instances.one(conn, admin_context(), number)
            if row is None:
                return None
            public = floating.of_fixed_address(conn, address)
            return InstanceMetadata(
                number=row.id,
                address=address,
                image_number=row.image_number,
                kernel_number=row.kernel_number,
                ramdisk_number=row.ramdisk_number,
                launch_index=row.launch_index,
                hostname=f"{row.hostname}.{self.config.dhcp_domain}" if self.config.dhcp_domain else row.hostname,
                flavor=instances.flavor_name(conn, row.instance_type_id),
                reservation_id=row.reservation_id,
                public_address=public or "",
                zone=services.zones_of_hosts(conn).get(row.host),
                groups=[group.name for group in instances.groups(conn, row.id)],
                key_name=row.key_name,
                key_data=row.key_data,
                user_data=row.user_data,
                root_device_name=row.root_device_name,
                ephemeral_device=row.default_ephemeral_device,
                swap_device=row.default_swap_device,
                devices=[
                    DeviceFact(device.device_name, device.virtual_name, device.volume_id is not None)
                    for device in instances.devices(conn, row.id)
                ],
            )
