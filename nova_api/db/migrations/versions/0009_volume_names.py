"""Volumes and snapshots tell a name or description that is empty from one that was never given.

Revision 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("volumes", "snapshots")
COLUMNS = ("display_name", "display_description")


def upgrade() -> None:
    for table in TABLES:
        for column in COLUMNS:
            _change(table, column, nullable=True)
            rows = sa.table(table, sa.column(column, sa.String))
            # Whatever is empty was shown as not given so far, and mostly was not.
            op.execute(sa.update(rows).where(rows.c[column] == "").values({column: None}))


def downgrade() -> None:
    for table in TABLES:
        for column in COLUMNS:
            rows = sa.table(table, sa.column(column, sa.String))
            op.execute(sa.update(rows).where(rows.c[column].is_(None)).values({column: ""}))
            _change(table, column, nullable=False)


def _change(table: str, column: str, *, nullable: bool) -> None:
    with op.batch_alter_table(table) as changed:
        changed.alter_column(column, existing_type=sa.String(length=255), nullable=nullable)
