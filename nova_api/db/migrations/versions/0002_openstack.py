"""Tables of the OpenStack door: resizes, consoles, extra specs, aggregates, volume types, name records.

Revision 0002.
"""

import sqlalchemy as sa
from alembic import op

from nova_api.db.models import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = (
    "aggregates",
    "dns_domains",
    "volume_types",
    "aggregate_hosts",
    "aggregate_metadata",
    "dns_entries",
    "instance_type_extra_specs",
    "volume_type_extra_specs",
    "console_tokens",
    "consoles",
    "instance_actions",
    "migrations",
    "volume_metadata",
)


def upgrade() -> None:
    op.create_table(
        "aggregates",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("availability_zone", sa.String(length=255), nullable=False),
        sa.Column("operational_state", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.Column("deleted_at", UtcDateTime, nullable=True),
        sa.Column("deleted", RowId, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aggregates")),
        sa.UniqueConstraint("name", name=op.f("uq_aggregates_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "dns_domains",
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False, comment="public or private"),
        sa.Column("availability_zone", sa.String(length=255), nullable=True),
        sa.Column("project_id", sa.String(length=255), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_dns_domains")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "volume_types",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.Column("deleted_at", UtcDateTime, nullable=True),
        sa.Column("deleted", RowId, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_volume_types")),
        sa.UniqueConstraint("name", "deleted", name=op.f("uq_volume_types_name_deleted")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "aggregate_hosts",
        sa.Column("host", sa.String(length=255), nullable=False, comment="a host is in one aggregate at most"),
        sa.Column("aggregate_id", RowId, nullable=False),
        sa.ForeignKeyConstraint(
            ["aggregate_id"], ["aggregates.id"], name=op.f("fk_aggregate_hosts_aggregate_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_aggregate_hosts")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_index(op.f("ix_aggregate_hosts_aggregate_id"), "aggregate_hosts", ["aggregate_id"], unique=False)
    op.create_table(
        "aggregate_metadata",
        sa.Column("aggregate_id", RowId, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["aggregate_id"], ["aggregates.id"], name=op.f("fk_aggregate_metadata_aggregate_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("aggregate_id", "key", name=op.f("pk_aggregate_metadata")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "dns_entries",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("address", sa.String(length=39), nullable=False),
        sa.Column("dns_type", sa.String(length=16), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["domain"], ["dns_domains.domain"], name=op.f("fk_dns_entries_domain"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dns_entries")),
        sa.UniqueConstraint("domain", "name", name=op.f("uq_dns_entries_domain_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_dns_entries_address"), "dns_entries", ["address"], unique=False)
    op.create_table(
        "instance_type_extra_specs",
        sa.Column("instance_type_id", RowId, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_type_id"],
            ["instance_types.id"],
            name=op.f("fk_instance_type_extra_specs_instance_type_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("instance_type_id", "key", name=op.f("pk_instance_type_extra_specs")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "volume_type_extra_specs",
        sa.Column("volume_type_id", RowId, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["volume_type_id"],
            ["volume_types.id"],
            name=op.f("fk_volume_type_extra_specs_volume_type_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("volume_type_id", "key", name=op.f("pk_volume_type_extra_specs")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "console_tokens",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("instance_id", RowId, nullable=False),
        sa.Column("console_type", sa.String(length=32), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("internal_access_path", sa.String(length=255), nullable=True),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instances.id"], name=op.f("fk_console_tokens_instance_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_console_tokens")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_index(op.f("ix_console_tokens_instance_id"), "console_tokens", ["instance_id"], unique=False)
    op.create_table(
        "consoles",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("instance_id", RowId, nullable=False),
        sa.Column("console_type", sa.String(length=32), nullable=False),
        sa.Column("password", sa.Text(), nullable=False, comment="encrypted with the key of secret_key_file"),
        sa.Column("host", sa.String(length=255), nullable=False, comment="the node that serves it"),
        sa.Column("public_hostname", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instances.id"], name=op.f("fk_consoles_instance_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consoles")),
        sa.UniqueConstraint("host", "port", name=op.f("uq_consoles_host_port")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_consoles_instance_id"), "consoles", ["instance_id"], unique=False)
    op.create_table(
        "instance_actions",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("instance_id", RowId, nullable=False),
        sa.Column("action", sa.String(length=255), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instances.id"], name=op.f("fk_instance_actions_instance_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_actions")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_instance_actions_instance_id"), "instance_actions", ["instance_id"], unique=False)
    op.create_table(
        "migrations",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("instance_id", RowId, nullable=False),
        sa.Column("source_compute", sa.String(length=255), nullable=False),
        sa.Column("dest_compute", sa.String(length=255), nullable=False),
        sa.Column(
            "status", sa.String(length=32), nullable=False, comment="migrating, finished, confirmed, reverted, error"
        ),
        sa.Column("old_instance_type_id", RowId, nullable=False),
        sa.Column("new_instance_type_id", RowId, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instances.id"], name=op.f("fk_migrations_instance_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["new_instance_type_id"], ["instance_types.id"], name=op.f("fk_migrations_new_instance_type_id")
        ),
        sa.ForeignKeyConstraint(
            ["old_instance_type_id"], ["instance_types.id"], name=op.f("fk_migrations_old_instance_type_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migrations")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_migrations_instance_id"), "migrations", ["instance_id"], unique=False)
    op.create_table(
        "volume_metadata",
        sa.Column("volume_id", RowId, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["volume_id"], ["volumes.id"], name=op.f("fk_volume_metadata_volume_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("volume_id", "key", name=op.f("pk_volume_metadata")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.add_column("compute_nodes", sa.Column("hypervisor_hostname", sa.String(length=255), nullable=True))
    op.add_column(
        "compute_nodes",
        sa.Column("maintenance", sa.Boolean(name="maintenance"), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("instances", sa.Column("fault_at", UtcDateTime, nullable=True))


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    with op.batch_alter_table("compute_nodes") as batch:
        batch.drop_column("maintenance")
        batch.drop_column("hypervisor_hostname")
    with op.batch_alter_table("instances") as batch:
        batch.drop_column("fault_at")
