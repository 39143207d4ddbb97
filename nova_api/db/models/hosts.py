"""Services and the hosts they run on, aggregates of hosts; flavors, which say what a host must have."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Integer,
    String,
    Table,
    UniqueConstraint,
    false,
)

from nova_api.db.models.columns import PLAIN, SEQUENCE, UtcDateTime, metadata, now, row_id, soft

services = Table(
    "services",
    metadata,
    row_id(),
    Column("host", String(255), nullable=False),
    Column("binary", String(64), nullable=False),
    Column("topic", String(64), nullable=False),
    Column("report_count", Integer, nullable=False, default=0),
    Column("disabled", Boolean(name="disabled"), nullable=False, default=False),
    Column("availability_zone", String(255), nullable=False, default="nova"),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    Column("updated_at", UtcDateTime, nullable=True),
    UniqueConstraint("host", "topic"),
    **SEQUENCE,
)
compute_nodes = Table(
    "compute_nodes",
    metadata,
    row_id(),
    Column("host", String(255), nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("local_gb", Integer, nullable=False),
    Column("hypervisor_type", String(64), nullable=False, default=""),
    Column("hypervisor_hostname", String(255), nullable=True),
    Column("maintenance", Boolean(name="maintenance"), nullable=False, default=False, server_default=false()),
    Column("updated_at", UtcDateTime, nullable=True),
    **SEQUENCE,
)
flavors = Table(
    "instance_types",
    metadata,
    row_id(),
    Column("name", String(255), nullable=False),
    Column("flavorid", String(255), nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("root_gb", Integer, nullable=False, default=0),
    Column("ephemeral_gb", Integer, nullable=False, default=0),
    Column("swap", Integer, nullable=False, default=0),
    Column("rxtx_factor", Float, nullable=False, default=1.0),
    Column("vcpu_weight", Integer, nullable=True),
    *soft(),
    UniqueConstraint("name", "deleted"),
    UniqueConstraint("flavorid", "deleted"),
    CheckConstraint("memory_mb > 0 AND vcpus > 0 AND root_gb >= 0", name="sizes"),
    **SEQUENCE,
)
flavor_extra_specs = Table(
    "instance_type_extra_specs",
    metadata,
    Column("instance_type_id", ForeignKey("instance_types.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", String(255), nullable=False, default=""),
    **PLAIN,
)
aggregates = Table(
    "aggregates",
    metadata,
    row_id(),
    Column("name", String(255), nullable=False, unique=True),
    Column("availability_zone", String(255), nullable=False),
    Column("operational_state", String(32), nullable=False, default="created"),
    *soft(),
    **SEQUENCE,
)
aggregate_hosts = Table(
    "aggregate_hosts",
    metadata,
    Column("host", String(255), primary_key=True, comment="a host is in one aggregate at most"),
    Column("aggregate_id", ForeignKey("aggregates.id", ondelete="CASCADE"), nullable=False, index=True),
    **PLAIN,
)
aggregate_metadata = Table(
    "aggregate_metadata",
    metadata,
    Column("aggregate_id", ForeignKey("aggregates.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", String(255), nullable=False, default=""),
    **PLAIN,
)
