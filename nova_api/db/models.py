"""The tables.

SQLAlchemy Core tables rather than mapped classes: every query names the columns it needs and gets rows, so there is
nothing to load lazily. The columns are those of 2012.1 (spec ec2.md 8.1) with real constraints.

``deleted`` is 0 while a row lives and the row's own id afterwards: a unique constraint over (name, deleted) then means
"unique among the living" on every database. Kinds that nobody asks about after their end are deleted for good.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.dialects import mysql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: A row id that SQLite accepts as its rowid alias.
RowId = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; naive in the database, microseconds kept everywhere."""

    impl = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def now() -> datetime:
    """The time as rows carry it."""
    return datetime.now(UTC)


def _id() -> Column[int]:
    return Column("id", RowId, primary_key=True, autoincrement=True)


def _times() -> list[Column[Any]]:
    return [
        Column("created_at", UtcDateTime, nullable=False, default=now),
        Column("updated_at", UtcDateTime, nullable=True, onupdate=now),
    ]


def _soft() -> list[Column[Any]]:
    return [
        *_times(),
        Column("deleted_at", UtcDateTime, nullable=True),
        Column("deleted", RowId, nullable=False, default=0),
    ]


def _uuid() -> Column[str]:
    return Column("uuid", String(36), nullable=False, unique=True)


def _owner(*, indexed: bool = False) -> list[Column[Any]]:
    return [Column("user_id", String(255)), Column("project_id", String(255), index=indexed)]


# AUTOINCREMENT keeps SQLite from giving the number of a deleted row to a new one.
_SEQUENCE: dict[str, Any] = {
    "sqlite_autoincrement": True,
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
_PLAIN: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

# -- identity ------------------------------------------------------------------------------------------

users = Table(
    "users",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("is_admin", Boolean(name="is_admin"), nullable=False, default=False),
    *_times(),
    **_PLAIN,
)
projects = Table(
    "projects",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("description", String(255), nullable=False, default=""),
    Column("project_manager", ForeignKey("users.id", ondelete="SET NULL"), nullable=True),
    *_times(),
    **_PLAIN,
)
memberships = Table(
    "user_project_association",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    **_PLAIN,
)
global_roles = Table(
    "user_role_association",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(255), primary_key=True),
    **_PLAIN,
)
project_roles = Table(
    "user_project_role_association",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(255), primary_key=True),
    **_PLAIN,
)
access_keys = Table(
    "access_keys",
    metadata,
    Column("access_key", String(255), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("secret", Text, nullable=False, comment="encrypted with the key of secret_key_file"),
    Column("description", String(255), nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **_PLAIN,
)
auth_tokens = Table(
    "auth_tokens",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("project_id", String(255), nullable=True),
    Column("server_management_url", String(1024), nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **_PLAIN,
)

# -- quotas --------------------------------------------------------------------------------------------

quotas = Table(
    "quotas",
    metadata,
    Column("project_id", String(255), primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("hard_limit", BigInteger, nullable=True, comment="NULL: unlimited"),
    **_PLAIN,
)
#: One row per project that ever spent a quota; locked while a transaction counts and spends.
project_locks = Table("project_locks", metadata, Column("project_id", String(255), primary_key=True), **_PLAIN)

# -- services and flavors --------------------------------------------------------------------------------

services = Table(
    "services",
    metadata,
    _id(),
    Column("host", String(255), nullable=False),
    Column("binary", String(64), nullable=False),
    Column("topic", String(64), nullable=False),
    Column("report_count", Integer, nullable=False, default=0),
    Column("disabled", Boolean(name="disabled"), nullable=False, default=False),
    Column("availability_zone", String(255), nullable=False, default="nova"),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    Column("updated_at", UtcDateTime, nullable=True),
    UniqueConstraint("host", "topic"),
    **_SEQUENCE,
)
compute_nodes = Table(
    "compute_nodes",
    metadata,
    _id(),
    Column("host", String(255), nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("local_gb", Integer, nullable=False),
    Column("hypervisor_type", String(64), nullable=False, default=""),
    Column("hypervisor_hostname", String(255), nullable=True),
    Column("maintenance", Boolean(name="maintenance"), nullable=False, default=False, server_default=false()),
    Column("updated_at", UtcDateTime, nullable=True),
    **_SEQUENCE,
)
flavors = Table(
    "instance_types",
    metadata,
    _id(),
    Column("name", String(255), nullable=False),
    Column("flavorid", String(255), nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("root_gb", Integer, nullable=False, default=0),
    Column("ephemeral_gb", Integer, nullable=False, default=0),
    Column("swap", Integer, nullable=False, default=0),
    Column("rxtx_factor", Float, nullable=False, default=1.0),
    Column("vcpu_weight", Integer, nullable=True),
    *_soft(),
    UniqueConstraint("name", "deleted"),
    UniqueConstraint("flavorid", "deleted"),
    CheckConstraint("memory_mb > 0 AND vcpus > 0 AND root_gb >= 0", name="sizes"),
    **_SEQUENCE,
)
flavor_extra_specs = Table(
    "instance_type_extra_specs",
    metadata,
    Column("instance_type_id", ForeignKey("instance_types.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", String(255), nullable=False, default=""),
    **_PLAIN,
)
aggregates = Table(
    "aggregates",
    metadata,
    _id(),
    Column("name", String(255), nullable=False, unique=True),
    Column("availability_zone", String(255), nullable=False),
    Column("operational_state", String(32), nullable=False, default="created"),
    *_soft(),
    **_SEQUENCE,
)
aggregate_hosts = Table(
    "aggregate_hosts",
    metadata,
    Column("host", String(255), primary_key=True, comment="a host is in one aggregate at most"),
    Column("aggregate_id", ForeignKey("aggregates.id", ondelete="CASCADE"), nullable=False, index=True),
    **_PLAIN,
)
aggregate_metadata = Table(
    "aggregate_metadata",
    metadata,
    Column("aggregate_id", ForeignKey("aggregates.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", String(255), nullable=False, default=""),
    **_PLAIN,
)

# -- images ----------------------------------------------------------------------------------------------

images = Table(
    "images",
    metadata,
    _id(),
    _uuid(),
    *_owner(indexed=True),
    Column("name", String(255), nullable=False, default=""),
    Column("description", String(255), nullable=False, default=""),
    Column("container_format", String(32), nullable=False, default="ami"),
    Column("disk_format", String(32), nullable=False, default="ami"),
    Column("status", String(32), nullable=False, default="active"),
    Column("progress", Integer, nullable=False, default=100),
    Column("is_public", Boolean(name="is_public"), nullable=False, default=False),
    Column("location", String(1024), nullable=True),
    Column("kernel_id", String(36), nullable=True, comment="uuid of an image"),
    Column("ramdisk_id", String(36), nullable=True, comment="uuid of an image"),
    Column("architecture", String(64), nullable=True),
    Column("root_device_name", String(255), nullable=True),
    Column("root_device_type", String(16), nullable=False, default="instance-store", comment="or ebs"),
    Column("min_ram", Integer, nullable=False, default=0),
    Column("min_disk", Integer, nullable=False, default=0),
    Column("size", BigInteger, nullable=False, default=0),
    Column("checksum", String(64), nullable=True),
    Column("instance_uuid", String(36), nullable=True, comment="the server that a snapshot was made of"),
    Column("mappings", Text, nullable=False, default="[]", comment="JSON: virtual devices"),
    Column("block_device_mapping", Text, nullable=False, default="[]", comment="JSON: volumes and snapshots"),
    *_soft(),
    Index(None, "deleted", "is_public"),
    **_SEQUENCE,
)
image_properties = Table(
    "image_properties",
    metadata,
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", Text, nullable=False, default=""),
    **_PLAIN,
)

# -- key pairs and security groups ------------------------------------------------------------------------

key_pairs = Table(
    "key_pairs",
    metadata,
    _id(),
    Column("user_id", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("fingerprint", String(255), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    UniqueConstraint("user_id", "name"),
    **_SEQUENCE,
)
security_groups = Table(
    "security_groups",
    metadata,
    _id(),
    Column("user_id", String(255)),
    Column("project_id", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", String(255), nullable=False, default=""),
    *_times(),
    UniqueConstraint("project_id", "name"),
    **_SEQUENCE,
)
security_group_rules = Table(
    "security_group_rules",
    metadata,
    _id(),
    Column("parent_group_id", ForeignKey("security_groups.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("protocol", String(5), nullable=True),
    Column("from_port", Integer, nullable=True),
    Column("to_port", Integer, nullable=True),
    Column("cidr", String(255), nullable=True),
    Column("group_id", ForeignKey("security_groups.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    CheckConstraint("(cidr IS NULL) <> (group_id IS NULL)", name="one_source"),
    **_SEQUENCE,
)

# -- instances ---------------------------------------------------------------------------------------------

instances = Table(
    "instances",
    metadata,
    _id(),
    _uuid(),
    *_owner(),
    Column("image_ref", String(36), nullable=True, comment="uuid of an image"),
    Column("image_number", RowId, nullable=True, comment="its EC2 number"),
    Column("kernel_id", String(36), nullable=True, comment="uuid of an image"),
    Column("kernel_number", RowId, nullable=True, comment="its EC2 number"),
    Column("ramdisk_id", String(36), nullable=True, comment="uuid of an image"),
    Column("ramdisk_number", RowId, nullable=True, comment="its EC2 number"),
    Column("reservation_id", String(32), nullable=False),
    Column("launch_index", Integer, nullable=False, default=0),
    Column("key_name", String(255), nullable=True),
    Column("key_data", Text, nullable=True),
    Column("power_state", Integer, nullable=False, default=0),
    Column("vm_state", String(32), nullable=False),
    Column("task_state", String(64), nullable=True),
    Column(
        "task_request", String(64), nullable=True, comment="request that began the task, where its message says more"
    ),
    Column("progress", Integer, nullable=False, default=0),
    Column("instance_type_id", ForeignKey("instance_types.id"), nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("root_gb", Integer, nullable=False, default=0),
    Column("ephemeral_gb", Integer, nullable=False, default=0),
    Column("hostname", String(255), nullable=False, default=""),
    Column("display_name", String(255), nullable=False, default=""),
    Column("display_description", String(255), nullable=False, default=""),
    Column("host", String(255), nullable=True, index=True),
    Column("availability_zone", String(255), nullable=True),
    Column("user_data", Text, nullable=False, default="", comment="base64, as sent"),
    Column("scheduled_at", UtcDateTime, nullable=True),
    Column("launched_at", UtcDateTime, nullable=True),
    Column("terminated_at", UtcDateTime, nullable=True),
    Column("locked", Boolean(name="locked"), nullable=False, default=False),
    Column("os_type", String(255), nullable=True),
    Column("architecture", String(255), nullable=True),
    Column("vm_mode", String(255), nullable=True),
    Column("root_device_name", String(255), nullable=True),
    Column("default_ephemeral_device", String(255), nullable=True),
    Column("default_swap_device", String(255), nullable=True),
    Column("config_drive", String(255), nullable=False, default=""),
    Column("access_ip_v4", String(39), nullable=True),
    Column("access_ip_v6", String(39), nullable=True),
    Column("auto_disk_config", Boolean(name="auto_disk_config"), nullable=True),
    Column("shutdown_terminate", Boolean(name="shutdown_terminate"), nullable=False, default=True),
    Column("disable_terminate", Boolean(name="disable_terminate"), nullable=False, default=False),
    Column("volume_backed", Boolean(name="volume_backed"), nullable=False, default=False),
    Column("client_token", String(64), nullable=True),
    Column("fault_code", Integer, nullable=True),
    Column("fault_message", String(255), nullable=True),
    Column("fault_at", UtcDateTime, nullable=True),
    *_soft(),
    # The order of lists (creation) is the order of ids; one index serves lists of a project and of the whole cloud.
    Index(None, "project_id", "deleted", "id"),
    Index(None, "deleted", "id"),
    Index("ix_instances_project_id_deleted_at", "project_id", "deleted_at"),
    Index(None, "reservation_id"),
    **_SEQUENCE,
)
instance_metadata = Table(
    "instance_metadata",
    metadata,
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", String(255), nullable=False, default=""),
    **_PLAIN,
)
instance_groups = Table(
    "security_group_instance_association",
    metadata,
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True),
    Column("security_group_id", ForeignKey("security_groups.id"), primary_key=True, index=True),
    **_PLAIN,
)
#: What the builds that go on were told besides what is in the rows of their instances.
instance_builds = Table(
    "instance_builds",
    metadata,
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column(
        "arguments",
        Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb"),
        nullable=False,
        comment="JSON: password, files, networks, hints",
    ),
    **_PLAIN,
)
#: Resizes and migrations: where an instance came from, and what it was.
migrations = Table(
    "migrations",
    metadata,
    _id(),
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("source_compute", String(255), nullable=False),
    Column("dest_compute", String(255), nullable=False),
    Column("status", String(32), nullable=False, comment="migrating, finished, confirmed, reverted, error"),
    Column("old_instance_type_id", ForeignKey("instance_types.id"), nullable=False),
    Column("new_instance_type_id", ForeignKey("instance_types.id"), nullable=False),
    *_times(),
    **_SEQUENCE,
)
#: What happened to an instance on its node, for administrators.
instance_actions = Table(
    "instance_actions",
    metadata,
    _id(),
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("action", String(255), nullable=False),
    Column("error", Text, nullable=True),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **_SEQUENCE,
)
consoles = Table(
    "consoles",
    metadata,
    _id(),
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("console_type", String(32), nullable=False),
    Column("password", Text, nullable=False, comment="encrypted with the key of secret_key_file"),
    Column("host", String(255), nullable=False, comment="the node that serves it"),
    Column("public_hostname", String(255), nullable=False),
    Column("port", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    UniqueConstraint("host", "port"),
    **_SEQUENCE,
)
#: Tokens of consoles in a browser; they admit once, and not for long.
console_tokens = Table(
    "console_tokens",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("console_type", String(32), nullable=False),
    Column("host", String(255), nullable=False),
    Column("port", Integer, nullable=False),
    Column("internal_access_path", String(255), nullable=True),
    Column("expires_at", UtcDateTime, nullable=False),
    **_PLAIN,
)
#: ClientToken of RunInstances: which reservation a token made, and of what parameters.
client_tokens = Table(
    "client_tokens",
    metadata,
    Column("project_id", String(255), primary_key=True),
    Column("token", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("reservation_id", String(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **_PLAIN,
)
block_devices = Table(
    "block_device_mapping",
    metadata,
    _id(),
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), nullable=False),
    Column("device_name", String(255), nullable=False),
    Column("virtual_name", String(255), nullable=True),
    Column("snapshot_id", ForeignKey("snapshots.id"), nullable=True),
    Column("volume_id", ForeignKey("volumes.id"), nullable=True, index=True),
    Column("volume_size", Integer, nullable=True),
    Column("no_device", Boolean(name="no_device"), nullable=False, default=False),
    Column("delete_on_termination", Boolean(name="delete_on_termination"), nullable=False, default=False),
    Column("connection_info", Text, nullable=True),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    UniqueConstraint("instance_id", "device_name"),
    **_SEQUENCE,
)

# -- volumes -----------------------------------------------------------------------------------------------

volumes = Table(
    "volumes",
    metadata,
    _id(),
    _uuid(),
    *_owner(),
    Column("snapshot_id", RowId, nullable=True, comment="the snapshot it was made from"),
    Column("size", Integer, nullable=False, comment="GB"),
    Column("availability_zone", String(255), nullable=False),
    Column("host", String(255), nullable=True, index=True),
    Column("status", String(32), nullable=False),
    Column("attach_status", String(32), nullable=False, default="detached"),
    Column("instance_id", ForeignKey("instances.id"), nullable=True, index=True),
    Column("mountpoint", String(255), nullable=True),
    Column("attach_time", UtcDateTime, nullable=True),
    Column("display_name", String(255), nullable=True),
    Column("display_description", String(255), nullable=True),
    Column("provider_location", String(255), nullable=True),
    Column("volume_type_id", RowId, nullable=True),
    Column("scheduled_at", UtcDateTime, nullable=True),
    Column("launched_at", UtcDateTime, nullable=True),
    Column("terminated_at", UtcDateTime, nullable=True),
    *_soft(),
    Index(None, "project_id", "deleted", "id"),
    CheckConstraint("size > 0", name="size"),
    CheckConstraint("attach_status IN ('attached', 'detached')", name="attach_status"),
    **_SEQUENCE,
)
snapshots = Table(
    "snapshots",
    metadata,
    _id(),
    _uuid(),
    *_owner(),
    Column("volume_id", ForeignKey("volumes.id"), nullable=False, index=True),
    Column("volume_size", Integer, nullable=False, comment="GB"),
    Column("status", String(32), nullable=False),
    Column("progress", String(8), nullable=False, default="0%"),
    Column("display_name", String(255), nullable=True),
    Column("display_description", String(255), nullable=True),
    *_soft(),
    Index(None, "project_id", "deleted", "id"),
    **_SEQUENCE,
)
volume_metadata = Table(
    "volume_metadata",
    metadata,
    Column("volume_id", ForeignKey("volumes.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", String(255), nullable=False, default=""),
    **_PLAIN,
)
volume_types = Table(
    "volume_types",
    metadata,
    _id(),
    Column("name", String(255), nullable=False),
    *_soft(),
    UniqueConstraint("name", "deleted"),
    **_SEQUENCE,
)
volume_type_extra_specs = Table(
    "volume_type_extra_specs",
    metadata,
    Column("volume_type_id", ForeignKey("volume_types.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", String(255), nullable=False, default=""),
    **_PLAIN,
)

# -- networks ----------------------------------------------------------------------------------------------

networks = Table(
    "networks",
    metadata,
    _id(),
    _uuid(),
    Column("label", String(255), nullable=False, unique=True),
    Column("cidr", String(64), nullable=False),
    Column("gateway", String(39), nullable=True),
    Column("dns1", String(39), nullable=True),
    Column("bridge", String(64), nullable=False, default="br100"),
    Column("project_id", String(255), nullable=True, comment="NULL: for everybody"),
    Column("host", String(255), nullable=True),
    *_times(),
    **_SEQUENCE,
)
virtual_interfaces = Table(
    "virtual_interfaces",
    metadata,
    _id(),
    _uuid(),
    Column("address", String(17), nullable=False, unique=True, comment="MAC"),
    Column("network_id", ForeignKey("networks.id"), nullable=False),
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **_SEQUENCE,
)
fixed_ips = Table(
    "fixed_ips",
    metadata,
    _id(),
    Column("address", String(39), nullable=False),
    Column("network_id", ForeignKey("networks.id", ondelete="CASCADE"), nullable=False),
    Column("instance_id", ForeignKey("instances.id"), nullable=True, index=True),
    Column("virtual_interface_id", ForeignKey("virtual_interfaces.id"), nullable=True),
    Column("reserved", Boolean(name="reserved"), nullable=False, default=False),
    Column("leased", Boolean(name="leased"), nullable=False, default=False),
    Column("updated_at", UtcDateTime, nullable=True),
    UniqueConstraint("network_id", "address"),
    Index(None, "address"),
    Index(None, "network_id", "instance_id", "reserved", "id"),
    **_SEQUENCE,
)
floating_ips = Table(
    "floating_ips",
    metadata,
    _id(),
    Column("address", String(39), nullable=False, unique=True),
    Column("pool", String(255), nullable=False),
    Column("project_id", String(255), nullable=True, comment="NULL: free"),
    Column("fixed_ip_id", ForeignKey("fixed_ips.id"), nullable=True),
    Column("host", String(255), nullable=True),
    Column("auto_assigned", Boolean(name="auto_assigned"), nullable=False, default=False),
    Column("updated_at", UtcDateTime, nullable=True),
    Index(None, "fixed_ip_id"),
    Index(None, "pool", "project_id", "id"),
    Index(None, "project_id"),
    **_SEQUENCE,
)
dns_domains = Table(
    "dns_domains",
    metadata,
    Column("domain", String(255), primary_key=True),
    Column("scope", String(16), nullable=False, comment="public or private"),
    Column("availability_zone", String(255), nullable=True),
    Column("project_id", String(255), nullable=True),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **_PLAIN,
)
dns_entries = Table(
    "dns_entries",
    metadata,
    _id(),
    Column("domain", ForeignKey("dns_domains.domain", ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("address", String(39), nullable=False, index=True),
    Column("dns_type", String(16), nullable=False, default="A"),
    Column("project_id", String(255), nullable=True, comment="who made it; in a domain of nobody only they change it"),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    UniqueConstraint("domain", "name"),
    **_SEQUENCE,
)

# -- the 1.0 API -------------------------------------------------------------------------------------------

shared_ip_groups = Table(
    "shared_ip_groups",
    metadata,
    _id(),
    Column("user_id", String(255)),
    Column("project_id", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    *_soft(),
    Index(None, "project_id", "deleted", "id"),
    **_SEQUENCE,
)
#: A server is in one group at most; its row goes with the server and with the group.
shared_ip_group_members = Table(
    "shared_ip_group_members",
    metadata,
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("group_id", ForeignKey("shared_ip_groups.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **_PLAIN,
)
#: Floating addresses that a second server of the owner's group may use as well.
shared_ips = Table(
    "shared_ips",
    metadata,
    _id(),
    Column("address", String(39), nullable=False),
    Column("owner_instance_id", ForeignKey("instances.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("group_id", ForeignKey("shared_ip_groups.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("configured", Boolean(name="configured"), nullable=False, comment="its host is to set the address up"),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    UniqueConstraint("address", "instance_id"),
    **_SEQUENCE,
)
backup_schedules = Table(
    "backup_schedules",
    metadata,
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("enabled", Boolean(name="enabled"), nullable=False),
    Column("weekly", String(16), nullable=False, comment="DISABLED, or a day: SUNDAY"),
    Column("daily", String(16), nullable=False, comment="DISABLED, or two hours, UTC: H_0400_0600"),
    Column("last_daily_at", UtcDateTime, nullable=True, comment="when the last daily image was begun"),
    Column("last_weekly_at", UtcDateTime, nullable=True, comment="when the last weekly image was begun"),
    *_times(),
    Index(None, "enabled", "daily"),
    **_PLAIN,
)

#: The integer ids of the 1.0 API for what has an id of another form: given at first sight, never given again.
image_numbers = Table(
    "image_numbers",
    metadata,
    _id(),
    _uuid(),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **_SEQUENCE,
)
flavor_numbers = Table(
    "flavor_numbers",
    metadata,
    _id(),
    Column("flavorid", String(255), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **_SEQUENCE,
)

# -- messages ----------------------------------------------------------------------------------------------

outbox = Table(
    "outbox",
    metadata,
    _id(),
    Column("topic", String(255), nullable=False),
    Column("body", Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    Column("claimed_by", String(64), nullable=True),
    Column("claimed_until", UtcDateTime, nullable=True),
    Column("attempts", Integer, nullable=False, default=0),
    **_SEQUENCE,
)
