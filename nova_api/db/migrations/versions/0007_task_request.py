"""Instances know which request began their task: a message of an earlier one that comes late is not for it.

Revision 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    comment = "request that began the task, where its message says more"
    with op.batch_alter_table("instances") as table:
        table.add_column(sa.Column("task_request", sa.String(length=64), nullable=True, comment=comment))


def downgrade() -> None:
    with op.batch_alter_table("instances") as table:
        table.drop_column("task_request")
