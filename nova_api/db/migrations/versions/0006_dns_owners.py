"""Entries of DNS know who made them: in a domain of nobody, only they change them.

Revision 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    comment = "who made it; in a domain of nobody only they change it"
    with op.batch_alter_table("dns_entries") as table:
        table.add_column(sa.Column("project_id", sa.String(length=255), nullable=True, comment=comment))


def downgrade() -> None:
    with op.batch_alter_table("dns_entries") as table:
        table.drop_column("project_id")
