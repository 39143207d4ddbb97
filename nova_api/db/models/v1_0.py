"""What only the Compute API 1.0 knows: shared IP groups, backup schedules, numbers."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, String, Table, UniqueConstraint

from nova_api.db.models.columns import PLAIN, SEQUENCE, UtcDateTime, metadata, now, row_id, soft, times, uuid

shared_ip_groups = Table(
    "shared_ip_groups",
    metadata,
    row_id(),
    Column("user_id", String(255)),
    Column("project_id", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    *soft(),
    Index(None, "project_id", "deleted", "id"),
    **SEQUENCE,
)
#: A server is in one group at most; its row goes with the server and with the group.
shared_ip_group_members = Table(
    "shared_ip_group_members",
    metadata,
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("group_id", ForeignKey("shared_ip_groups.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **PLAIN,
)
#: Floating addresses that a second server of the owner's group may use as well.
shared_ips = Table(
    "shared_ips",
    metadata,
    row_id(),
    Column("address", String(39), nullable=False),
    Column("owner_instance_id", ForeignKey("instances.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("group_id", ForeignKey("shared_ip_groups.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("configured", Boolean(name="configured"), nullable=False, comment="its host is to set the address up"),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    UniqueConstraint("address", "instance_id"),
    **SEQUENCE,
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
    *times(),
    Index(None, "enabled", "daily"),
    **PLAIN,
)

#: The integer ids of the 1.0 API for what has an id of another form: given at first sight, never given again.
image_numbers = Table(
    "image_numbers",
    metadata,
    row_id(),
    uuid(),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **SEQUENCE,
)
flavor_numbers = Table(
    "flavor_numbers",
    metadata,
    row_id(),
    Column("flavorid", String(255), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **SEQUENCE,
)
