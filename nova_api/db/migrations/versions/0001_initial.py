"""The tables of the first release.

Revision 0001.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from nova_api.db.models import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LongText = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "client_tokens",
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("reservation_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "token", name=op.f("pk_client_tokens")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "compute_nodes",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("local_gb", sa.Integer(), nullable=False),
        sa.Column("hypervisor_type", sa.String(length=64), nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compute_nodes")),
        sa.UniqueConstraint("host", name=op.f("uq_compute_nodes_host")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "images",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("project_id", sa.String(length=255), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("container_format", sa.String(length=32), nullable=False),
        sa.Column("disk_format", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("is_public", sa.Boolean(name="is_public"), nullable=False),
        sa.Column("location", sa.String(length=1024), nullable=True),
        sa.Column("kernel_id", sa.String(length=36), nullable=True, comment="uuid of an image"),
        sa.Column("ramdisk_id", sa.String(length=36), nullable=True, comment="uuid of an image"),
        sa.Column("architecture", sa.String(length=64), nullable=True),
        sa.Column("root_device_name", sa.String(length=255), nullable=True),
        sa.Column("root_device_type", sa.String(length=16), nullable=False, comment="or ebs"),
        sa.Column("min_ram", sa.Integer(), nullable=False),
        sa.Column("min_disk", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.String(length=64), nullable=True),
        sa.Column(
            "instance_uuid", sa.String(length=36), nullable=True, comment="the server that a snapshot was made of"
        ),
        sa.Column("mappings", sa.Text(), nullable=False, comment="JSON: virtual devices"),
        sa.Column("block_device_mapping", sa.Text(), nullable=False, comment="JSON: volumes and snapshots"),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.Column("deleted_at", UtcDateTime, nullable=True),
        sa.Column("deleted", RowId, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("uuid", name=op.f("uq_images_uuid")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_images_deleted_is_public"), "images", ["deleted", "is_public"], unique=False)
    op.create_index(op.f("ix_images_project_id"), "images", ["project_id"], unique=False)
    op.create_table(
        "instance_types",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("flavorid", sa.String(length=255), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("root_gb", sa.Integer(), nullable=False),
        sa.Column("ephemeral_gb", sa.Integer(), nullable=False),
        sa.Column("swap", sa.Integer(), nullable=False),
        sa.Column("rxtx_factor", sa.Float(), nullable=False),
        sa.Column("vcpu_weight", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.Column("deleted_at", UtcDateTime, nullable=True),
        sa.Column("deleted", RowId, nullable=False),
        sa.CheckConstraint("memory_mb > 0 AND vcpus > 0 AND root_gb >= 0", name=op.f("ck_instance_types_sizes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_types")),
        sa.UniqueConstraint("flavorid", "deleted", name=op.f("uq_instance_types_flavorid_deleted")),
        sa.UniqueConstraint("name", "deleted", name=op.f("uq_instance_types_name_deleted")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "key_pairs",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=255), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_pairs")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_key_pairs_user_id_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "networks",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("label", sa.String(length=255), nullable=False),
        sa.Column("cidr", sa.String(length=64), nullable=False),
        sa.Column("gateway", sa.String(length=39), nullable=True),
        sa.Column("dns1", sa.String(length=39), nullable=True),
        sa.Column("bridge", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=True, comment="NULL: for everybody"),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_networks")),
        sa.UniqueConstraint("label", name=op.f("uq_networks_label")),
        sa.UniqueConstraint("uuid", name=op.f("uq_networks_uuid")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outbox",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("topic", sa.String(length=255), nullable=False),
        sa.Column("body", LongText, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.Column("claimed_until", UtcDateTime, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "project_locks",
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_locks")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "quotas",
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("resource", sa.String(length=64), nullable=False),
        sa.Column("hard_limit", sa.BigInteger(), nullable=True, comment="NULL: unlimited"),
        sa.PrimaryKeyConstraint("project_id", "resource", name=op.f("pk_quotas")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "security_groups",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_groups")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_security_groups_project_id_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "services",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("binary", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("report_count", sa.Integer(), nullable=False),
        sa.Column("disabled", sa.Boolean(name="disabled"), nullable=False),
        sa.Column("availability_zone", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
        sa.UniqueConstraint("host", "topic", name=op.f("uq_services_host_topic")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("is_admin", sa.Boolean(name="is_admin"), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "access_keys",
        sa.Column("access_key", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False, comment="encrypted with the key of secret_key_file"),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_access_keys_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("access_key", name=op.f("pk_access_keys")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_index(op.f("ix_access_keys_user_id"), "access_keys", ["user_id"], unique=False)
    op.create_table(
        "auth_tokens",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=True),
        sa.Column("server_management_url", sa.String(length=1024), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_auth_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_auth_tokens")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_index(op.f("ix_auth_tokens_user_id"), "auth_tokens", ["user_id"], unique=False)
    op.create_table(
        "image_properties",
        sa.Column("image_id", RowId, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_image_properties_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", "key", name=op.f("pk_image_properties")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "instances",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("project_id", sa.String(length=255), nullable=True),
        sa.Column("image_ref", sa.String(length=36), nullable=True, comment="uuid of an image"),
        sa.Column("image_number", RowId, nullable=True, comment="its EC2 number"),
        sa.Column("kernel_id", sa.String(length=36), nullable=True, comment="uuid of an image"),
        sa.Column("kernel_number", RowId, nullable=True, comment="its EC2 number"),
        sa.Column("ramdisk_id", sa.String(length=36), nullable=True, comment="uuid of an image"),
        sa.Column("ramdisk_number", RowId, nullable=True, comment="its EC2 number"),
        sa.Column("reservation_id", sa.String(length=32), nullable=False),
        sa.Column("launch_index", sa.Integer(), nullable=False),
        sa.Column("key_name", sa.String(length=255), nullable=True),
        sa.Column("key_data", sa.Text(), nullable=True),
        sa.Column("power_state", sa.Integer(), nullable=False),
        sa.Column("vm_state", sa.String(length=32), nullable=False),
        sa.Column("task_state", sa.String(length=64), nullable=True),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("instance_type_id", RowId, nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("root_gb", sa.Integer(), nullable=False),
        sa.Column("ephemeral_gb", sa.Integer(), nullable=False),
        sa.Column("hostname", sa.String(length=255), nullable=False),
        sa.Column("display_name", sa.String(length=255), nullable=False),
        sa.Column("display_description", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("availability_zone", sa.String(length=255), nullable=True),
        sa.Column("user_data", sa.Text(), nullable=False, comment="base64, as sent"),
        sa.Column("scheduled_at", UtcDateTime, nullable=True),
        sa.Column("launched_at", UtcDateTime, nullable=True),
        sa.Column("terminated_at", UtcDateTime, nullable=True),
        sa.Column("locked", sa.Boolean(name="locked"), nullable=False),
        sa.Column("os_type", sa.String(length=255), nullable=True),
        sa.Column("architecture", sa.String(length=255), nullable=True),
        sa.Column("vm_mode", sa.String(length=255), nullable=True),
        sa.Column("root_device_name", sa.String(length=255), nullable=True),
        sa.Column("default_ephemeral_device", sa.String(length=255), nullable=True),
        sa.Column("default_swap_device", sa.String(length=255), nullable=True),
        sa.Column("config_drive", sa.String(length=255), nullable=False),
        sa.Column("access_ip_v4", sa.String(length=39), nullable=True),
        sa.Column("access_ip_v6", sa.String(length=39), nullable=True),
        sa.Column("auto_disk_config", sa.Boolean(name="auto_disk_config"), nullable=True),
        sa.Column("shutdown_terminate", sa.Boolean(name="shutdown_terminate"), nullable=False),
        sa.Column("disable_terminate", sa.Boolean(name="disable_terminate"), nullable=False),
        sa.Column("volume_backed", sa.Boolean(name="volume_backed"), nullable=False),
        sa.Column("client_token", sa.String(length=64), nullable=True),
        sa.Column("fault_code", sa.Integer(), nullable=True),
        sa.Column("fault_message", sa.String(length=255), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.Column("deleted_at", UtcDateTime, nullable=True),
        sa.Column("deleted", RowId, nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_type_id"], ["instance_types.id"], name=op.f("fk_instances_instance_type_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("uuid", name=op.f("uq_instances_uuid")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_instances_deleted_id"), "instances", ["deleted", "id"], unique=False)
    op.create_index(op.f("ix_instances_host"), "instances", ["host"], unique=False)
    op.create_index("ix_instances_project_id_deleted_at", "instances", ["project_id", "deleted_at"], unique=False)
    op.create_index(
        op.f("ix_instances_project_id_deleted_id"), "instances", ["project_id", "deleted", "id"], unique=False
    )
    op.create_index(op.f("ix_instances_reservation_id"), "instances", ["reservation_id"], unique=False)
    op.create_table(
        "projects",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("project_manager", sa.String(length=255), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.ForeignKeyConstraint(
            ["project_manager"], ["users.id"], name=op.f("fk_projects_project_manager"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "security_group_rules",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("parent_group_id", RowId, nullable=False),
        sa.Column("protocol", sa.String(length=5), nullable=True),
        sa.Column("from_port", sa.Integer(), nullable=True),
        sa.Column("to_port", sa.Integer(), nullable=True),
        sa.Column("cidr", sa.String(length=255), nullable=True),
        sa.Column("group_id", RowId, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("(cidr IS NULL) <> (group_id IS NULL)", name=op.f("ck_security_group_rules_one_source")),
        sa.ForeignKeyConstraint(
            ["group_id"], ["security_groups.id"], name=op.f("fk_security_group_rules_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["parent_group_id"],
            ["security_groups.id"],
            name=op.f("fk_security_group_rules_parent_group_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_group_rules")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_security_group_rules_group_id"), "security_group_rules", ["group_id"], unique=False)
    op.create_index(
        op.f("ix_security_group_rules_parent_group_id"), "security_group_rules", ["parent_group_id"], unique=False
    )
    op.create_table(
        "user_role_association",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_role_association_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "role", name=op.f("pk_user_role_association")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "instance_metadata",
        sa.Column("instance_id", RowId, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instances.id"], name=op.f("fk_instance_metadata_instance_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("instance_id", "key", name=op.f("pk_instance_metadata")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "security_group_instance_association",
        sa.Column("instance_id", RowId, nullable=False),
        sa.Column("security_group_id", RowId, nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["instances.id"],
            name=op.f("fk_security_group_instance_association_instance_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["security_group_id"],
            ["security_groups.id"],
            name=op.f("fk_security_group_instance_association_security_group_id"),
        ),
        sa.PrimaryKeyConstraint(
            "instance_id", "security_group_id", name=op.f("pk_security_group_instance_association")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_index(
        op.f("ix_security_group_instance_association_security_group_id"),
        "security_group_instance_association",
        ["security_group_id"],
        unique=False,
    )
    op.create_table(
        "user_project_association",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_user_project_association_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_project_association_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "project_id", name=op.f("pk_user_project_association")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "user_project_role_association",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_user_project_role_association_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_project_role_association_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "project_id", "role", name=op.f("pk_user_project_role_association")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_table(
        "virtual_interfaces",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("address", sa.String(length=17), nullable=False, comment="MAC"),
        sa.Column("network_id", RowId, nullable=False),
        sa.Column("instance_id", RowId, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instances.id"], name=op.f("fk_virtual_interfaces_instance_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_virtual_interfaces_network_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_virtual_interfaces")),
        sa.UniqueConstraint("address", name=op.f("uq_virtual_interfaces_address")),
        sa.UniqueConstraint("uuid", name=op.f("uq_virtual_interfaces_uuid")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_virtual_interfaces_instance_id"), "virtual_interfaces", ["instance_id"], unique=False)
    op.create_table(
        "volumes",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("project_id", sa.String(length=255), nullable=True),
        sa.Column("snapshot_id", RowId, nullable=True, comment="the snapshot it was made from"),
        sa.Column("size", sa.Integer(), nullable=False, comment="GB"),
        sa.Column("availability_zone", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("attach_status", sa.String(length=32), nullable=False),
        sa.Column("instance_id", RowId, nullable=True),
        sa.Column("mountpoint", sa.String(length=255), nullable=True),
        sa.Column("attach_time", UtcDateTime, nullable=True),
        sa.Column("display_name", sa.String(length=255), nullable=False),
        sa.Column("display_description", sa.String(length=255), nullable=False),
        sa.Column("provider_location", sa.String(length=255), nullable=True),
        sa.Column("volume_type_id", RowId, nullable=True),
        sa.Column("scheduled_at", UtcDateTime, nullable=True),
        sa.Column("launched_at", UtcDateTime, nullable=True),
        sa.Column("terminated_at", UtcDateTime, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.Column("deleted_at", UtcDateTime, nullable=True),
        sa.Column("deleted", RowId, nullable=False),
        sa.CheckConstraint("attach_status IN ('attached', 'detached')", name=op.f("ck_volumes_attach_status")),
        sa.CheckConstraint("size > 0", name=op.f("ck_volumes_size")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_volumes_instance_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_volumes")),
        sa.UniqueConstraint("uuid", name=op.f("uq_volumes_uuid")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_volumes_host"), "volumes", ["host"], unique=False)
    op.create_index(op.f("ix_volumes_instance_id"), "volumes", ["instance_id"], unique=False)
    op.create_index(op.f("ix_volumes_project_id_deleted_id"), "volumes", ["project_id", "deleted", "id"], unique=False)
    op.create_table(
        "fixed_ips",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("address", sa.String(length=39), nullable=False),
        sa.Column("network_id", RowId, nullable=False),
        sa.Column("instance_id", RowId, nullable=True),
        sa.Column("virtual_interface_id", RowId, nullable=True),
        sa.Column("reserved", sa.Boolean(name="reserved"), nullable=False),
        sa.Column("leased", sa.Boolean(name="leased"), nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_fixed_ips_instance_id")),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_fixed_ips_network_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["virtual_interface_id"], ["virtual_interfaces.id"], name=op.f("fk_fixed_ips_virtual_interface_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fixed_ips")),
        sa.UniqueConstraint("network_id", "address", name=op.f("uq_fixed_ips_network_id_address")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_fixed_ips_address"), "fixed_ips", ["address"], unique=False)
    op.create_index(op.f("ix_fixed_ips_instance_id"), "fixed_ips", ["instance_id"], unique=False)
    op.create_index(
        op.f("ix_fixed_ips_network_id_instance_id_reserved_id"),
        "fixed_ips",
        ["network_id", "instance_id", "reserved", "id"],
        unique=False,
    )
    op.create_table(
        "snapshots",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("project_id", sa.String(length=255), nullable=True),
        sa.Column("volume_id", RowId, nullable=False),
        sa.Column("volume_size", sa.Integer(), nullable=False, comment="GB"),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("progress", sa.String(length=8), nullable=False),
        sa.Column("display_name", sa.String(length=255), nullable=False),
        sa.Column("display_description", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.Column("deleted_at", UtcDateTime, nullable=True),
        sa.Column("deleted", RowId, nullable=False),
        sa.ForeignKeyConstraint(["volume_id"], ["volumes.id"], name=op.f("fk_snapshots_volume_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
        sa.UniqueConstraint("uuid", name=op.f("uq_snapshots_uuid")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_snapshots_project_id_deleted_id"), "snapshots", ["project_id", "deleted", "id"], unique=False
    )
    op.create_index(op.f("ix_snapshots_volume_id"), "snapshots", ["volume_id"], unique=False)
    op.create_table(
        "block_device_mapping",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("instance_id", RowId, nullable=False),
        sa.Column("device_name", sa.String(length=255), nullable=False),
        sa.Column("virtual_name", sa.String(length=255), nullable=True),
        sa.Column("snapshot_id", RowId, nullable=True),
        sa.Column("volume_id", RowId, nullable=True),
        sa.Column("volume_size", sa.Integer(), nullable=True),
        sa.Column("no_device", sa.Boolean(name="no_device"), nullable=False),
        sa.Column("delete_on_termination", sa.Boolean(name="delete_on_termination"), nullable=False),
        sa.Column("connection_info", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instances.id"], name=op.f("fk_block_device_mapping_instance_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name=op.f("fk_block_device_mapping_snapshot_id")),
        sa.ForeignKeyConstraint(["volume_id"], ["volumes.id"], name=op.f("fk_block_device_mapping_volume_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block_device_mapping")),
        sa.UniqueConstraint("instance_id", "device_name", name=op.f("uq_block_device_mapping_instance_id_device_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_block_device_mapping_volume_id"), "block_device_mapping", ["volume_id"], unique=False)
    op.create_table(
        "floating_ips",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("address", sa.String(length=39), nullable=False),
        sa.Column("pool", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=True, comment="NULL: free"),
        sa.Column("fixed_ip_id", RowId, nullable=True),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("auto_assigned", sa.Boolean(name="auto_assigned"), nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=True),
        sa.ForeignKeyConstraint(["fixed_ip_id"], ["fixed_ips.id"], name=op.f("fk_floating_ips_fixed_ip_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_floating_ips")),
        sa.UniqueConstraint("address", name=op.f("uq_floating_ips_address")),
        sa.UniqueConstraint("fixed_ip_id", name=op.f("uq_floating_ips_fixed_ip_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_floating_ips_pool_project_id_id"), "floating_ips", ["pool", "project_id", "id"], unique=False
    )
    op.create_index(op.f("ix_floating_ips_project_id"), "floating_ips", ["project_id"], unique=False)


def downgrade() -> None:
    # Their indexes go with the tables; MariaDB would not let go of those that foreign keys need.
    for name in (
        "floating_ips",
        "block_device_mapping",
        "snapshots",
        "fixed_ips",
        "volumes",
        "virtual_interfaces",
        "user_project_role_association",
        "user_project_association",
        "security_group_instance_association",
        "instance_metadata",
        "user_role_association",
        "security_group_rules",
        "projects",
        "instances",
        "image_properties",
        "auth_tokens",
        "access_keys",
        "users",
        "services",
        "security_groups",
        "quotas",
        "project_locks",
        "outbox",
        "networks",
        "key_pairs",
        "instance_types",
        "images",
        "compute_nodes",
        "client_tokens",
    ):
        op.drop_table(name)
