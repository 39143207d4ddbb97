"""Volumes, snapshots and volume types."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from nova_api.db.models.columns import PLAIN, SEQUENCE, RowId, UtcDateTime, metadata, owner, row_id, soft, uuid

volumes = Table(
    "volumes",
    metadata,
    row_id(),
    uuid(),
    *owner(),
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
    *soft(),
    Index(None, "project_id", "deleted", "id"),
    CheckConstraint("size > 0", name="size"),
    CheckConstraint("attach_status IN ('attached', 'detached')", name="attach_status"),
    **SEQUENCE,
)
snapshots = Table(
    "snapshots",
    metadata,
    row_id(),
    uuid(),
    *owner(),
    Column("volume_id", ForeignKey("volumes.id"), nullable=False, index=True),
    Column("volume_size", Integer, nullable=False, comment="GB"),
    Column("status", String(32), nullable=False),
    Column("progress", String(8), nullable=False, default="0%"),
    Column("display_name", String(255), nullable=True),
    Column("display_description", String(255), nullable=True),
    *soft(),
    Index(None, "project_id", "deleted", "id"),
    **SEQUENCE,
)
volume_metadata = Table(
    "volume_metadata",
    metadata,
    Column("volume_id", ForeignKey("volumes.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", String(255), nullable=False, default=""),
    **PLAIN,
)
volume_types = Table(
    "volume_types",
    metadata,
    row_id(),
    Column("name", String(255), nullable=False),
    *soft(),
    UniqueConstraint("name", "deleted"),
    **SEQUENCE,
)
volume_type_extra_specs = Table(
    "volume_type_extra_specs",
    metadata,
    Column("volume_type_id", ForeignKey("volume_types.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", String(255), nullable=False, default=""),
    **PLAIN,
)
