"""What is on its way to other nodes."""

from sqlalchemy import Column, Integer, String, Table, Text
from sqlalchemy.dialects import mysql

from nova_api.db.models.columns import SEQUENCE, UtcDateTime, metadata, now, row_id

outbox = Table(
    "outbox",
    metadata,
    row_id(),
    Column("topic", String(255), nullable=False),
    Column("body", Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False, default=now),
    Column("claimed_by", String(64), nullable=True),
    Column("claimed_until", UtcDateTime, nullable=True),
    Column("attempts", Integer, nullable=False, default=0),
    **SEQUENCE,
)
