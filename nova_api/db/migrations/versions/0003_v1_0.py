"""Tables of the 1.0 API: shared IP groups with their members and addresses, backup schedules, integer ids.

Revision 0003.
"""

import sqlalchemy as sa
from alembic import op

from nova_api.db.models import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBERS = ("image_numbers", "flavor_numbers")
TABLES = ("shared_ip_groups", "backup_schedules", "shared_ip_group_members", "shared_ips", *NUMBERS)


def upgrade() -> None:
    op.create_table(
        "shared_ip_groups",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.Column("deleted_at", UtcDateTime, nullable=True),
        sa.Column("deleted", RowId, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_ip_groups")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_shared_ip_groups_project_id_deleted_id"),
        "shared_ip_groups",
        ["project_id", "deleted", "id"],
        unique=False,
    )
    op.create_table(
        "backup_schedules",
        sa.Column("instance_id", RowId, autoincrement=False, nullable=False),
        sa.Column("enabled", sa.Boolean(name="enabled"), nullable=False),
        sa.Column("weekly", sa.String(length=16), nullable=False, comment="DISABLED, or a day: SUNDAY"),
        sa.Column("daily", sa.String(length=16), nullable=False, comment="DISABLED, or two hours, UTC: H_0400_0600"),
        sa.Column("last_daily_at", UtcDateTime, nullable=True, comment="when the last daily image was begun"),
        sa.Column("last_weekly_at", UtcDateTime, nullable=True, comment="when the last weekly image was begun"),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instances.id"], name=op.f("fk_backup_schedules_instance_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_backup_schedules")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_index(op.f("ix_backup_schedules_enabled_daily"), "backup_schedules", ["enabled", "daily"], unique=False)
    op.create_table(
        "shared_ip_group_members",
        sa.Column("instance_id", RowId, autoincrement=False, nullable=False),
        sa.Column("group_id", RowId, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["shared_ip_groups.id"], name=op.f("fk_shared_ip_group_members_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instances.id"], name=op.f("fk_shared_ip_group_members_instance_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_shared_ip_group_members")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_index(op.f("ix_shared_ip_group_members_group_id"), "shared_ip_group_members", ["group_id"], unique=False)
    op.create_table(
        "shared_ips",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("address", sa.String(length=39), nullable=False),
        sa.Column("owner_instance_id", RowId, nullable=False),
        sa.Column("instance_id", RowId, nullable=False),
        sa.Column("group_id", RowId, nullable=False),
        sa.Column(
            "configured", sa.Boolean(name="configured"), nullable=False, comment="its host is to set the address up"
        ),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["shared_ip_groups.id"], name=op.f("fk_shared_ips_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instances.id"], name=op.f("fk_shared_ips_instance_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["owner_instance_id"], ["instances.id"], name=op.f("fk_shared_ips_owner_instance_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_ips")),
        sa.UniqueConstraint("address", "instance_id", name=op.f("uq_shared_ips_address_instance_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_shared_ips_group_id"), "shared_ips", ["group_id"], unique=False)
    op.create_index(op.f("ix_shared_ips_instance_id"), "shared_ips", ["instance_id"], unique=False)
    op.create_index(op.f("ix_shared_ips_owner_instance_id"), "shared_ips", ["owner_instance_id"], unique=False)
    op.create_table(
        "image_numbers",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_numbers")),
        sa.UniqueConstraint("uuid", name=op.f("uq_image_numbers_uuid")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "flavor_numbers",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("flavorid", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flavor_numbers")),
        sa.UniqueConstraint("flavorid", name=op.f("uq_flavor_numbers_flavorid")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
