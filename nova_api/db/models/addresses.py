"""Networks, addresses, DNS."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, String, Table, UniqueConstraint

from nova_api.db.models.columns import PLAIN, SEQUENCE, UtcDateTime, metadata, now, row_id, times, uuid

networks = Table(
    "networks",
    metadata,
    row_id(),
    uuid(),
    Column("label", String(255), nullable=False, unique=True),
    Column("cidr", String(64), nullable=False),
    Column("gateway", String(39), nullable=True),
    Column("dns1", String(39), nullable=True),
    Column("bridge", String(64), nullable=False, default="br100"),
    Column("project_id", String(255), nullable=True, comment="NULL: for everybody"),
    Column("host", String(255), nullable=True),
    *times(),
    **SEQUENCE,
)
virtual_interfaces = Table(
    "virtual_interfaces",
    metadata,
    row_id(),
    uuid(),
    Column("address", String(17), nullable=False, unique=True, comment="MAC"),
    Column("network_id", ForeignKey("networks.id"), nullable=False),
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **SEQUENCE,
)
fixed_ips = Table(
    "fixed_ips",
    metadata,
    row_id(),
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
    **SEQUENCE,
)
floating_ips = Table(
    "floating_ips",
    metadata,
    row_id(),
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
    **SEQUENCE,
)
dns_domains = Table(
    "dns_domains",
    metadata,
    Column("domain", String(255), primary_key=True),
    Column("scope", String(16), nullable=False, comment="public or private"),
    Column("availability_zone", String(255), nullable=True),
    Column("project_id", String(255), nullable=True),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    **PLAIN,
)
dns_entries = Table(
    "dns_entries",
    metadata,
    row_id(),
    Column("domain", ForeignKey("dns_domains.domain", ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("address", String(39), nullable=False, index=True),
    Column("dns_type", String(16), nullable=False, default="A"),
    Column("project_id", String(255), nullable=True, comment="who made it; in a domain of nobody only they change it"),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    UniqueConstraint("domain", "name"),
    **SEQUENCE,
)
