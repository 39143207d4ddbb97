"""What the tables have in common: their metadata, types of columns, columns that many have."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, String, TypeDecorator
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


def row_id() -> Column[int]:
    """The number of a row."""
    return Column("id", RowId, primary_key=True, autoincrement=True)


def times() -> list[Column[Any]]:
    """When a row was made and last changed."""
    return [
        Column("created_at", UtcDateTime, nullable=False, default=now),
        Column("updated_at", UtcDateTime, nullable=True, onupdate=now),
    ]


def soft() -> list[Column[Any]]:
    """Those of a row that stays after its end."""
    return [
        *times(),
        Column("deleted_at", UtcDateTime, nullable=True),
        Column("deleted", RowId, nullable=False, default=0),
    ]


def uuid() -> Column[str]:
    """The name of a row that clients are given."""
    return Column("uuid", String(36), nullable=False, unique=True)


def owner(*, indexed: bool = False) -> list[Column[Any]]:
    """Who has it.

    :param indexed: whether rows are looked up by project
    """
    return [Column("user_id", String(255)), Column("project_id", String(255), index=indexed)]


#: Options of a table with a row id. AUTOINCREMENT keeps SQLite from giving the number of a deleted row to a new one.
SEQUENCE: dict[str, Any] = {
    "sqlite_autoincrement": True,
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
#: Options of a table without one.
PLAIN: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
