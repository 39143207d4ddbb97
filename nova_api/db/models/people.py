"""Users, projects, their roles and keys, tokens, quotas."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, String, Table, Text

from nova_api.db.models.columns import PLAIN, UtcDateTime, metadata, now, times

users = Table(
    "users",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("is_admin", Boolean(name="is_admin"), nullable=False, default=False),
    *times(),
    **PLAIN,
)
projects = Table(
    "projects",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("description", String(255), nullable=False, default=""),
    Column("project_manager", ForeignKey("users.id", ondelete="SET NULL"), nullable=True),
    *times(),
    **PLAIN,
)
memberships = Table(
    "user_project_association",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    **PLAIN,
)
global_roles = Table(
    "user_role_association",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(255), primary_key=True),
    **PLAIN,
)
project_roles = Table(
    "user_project_role_association",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(255), primary_key=True),
    **PLAIN,
)
access_keys = Table(
    "access_keys",
    metadata,
    Column("access_key", String(255), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("secret", Text, nullable=False, comment="encrypted with the key of secret_key_file"),
    Column("description", String(255), nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **PLAIN,
)
auth_tokens = Table(
    "auth_tokens",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("project_id", String(255), nullable=True),
    Column("server_management_url", String(1024), nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **PLAIN,
)

quotas = Table(
    "quotas",
    metadata,
    Column("project_id", String(255), primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("hard_limit", BigInteger, nullable=True, comment="NULL: unlimited"),
    **PLAIN,
)
#: One row per project that ever spent a quota; locked while a transaction counts and spends.
project_locks = Table("project_locks", metadata, Column("project_id", String(255), primary_key=True), **PLAIN)
