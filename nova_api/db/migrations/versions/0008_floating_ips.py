"""Several floating addresses may lead to one fixed address, as in 2012.1.

Revision 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The index comes first: MySQL does not give up the last one that a foreign key has.
    with op.batch_alter_table("floating_ips") as table:
        table.create_index(op.f("ix_floating_ips_fixed_ip_id"), ["fixed_ip_id"])
        table.drop_constraint(op.f("uq_floating_ips_fixed_ip_id"), type_="unique")


def downgrade() -> None:
    # The earlier release knows one floating address per fixed address: the first one, which EC2 shows, stays.
    rows = sa.table("floating_ips", sa.column("id", sa.BigInteger), sa.column("fixed_ip_id", sa.BigInteger))
    first = sa.select(sa.func.min(rows.c.id)).where(rows.c.fixed_ip_id.is_not(None)).group_by(rows.c.fixed_ip_id)
    kept = list(op.get_bind().execute(first).scalars())
    op.execute(sa.update(rows).where(rows.c.fixed_ip_id.is_not(None), rows.c.id.not_in(kept)).values(fixed_ip_id=None))
    with op.batch_alter_table("floating_ips") as table:
        table.create_unique_constraint(op.f("uq_floating_ips_fixed_ip_id"), ["fixed_ip_id"])
        table.drop_index(op.f("ix_floating_ips_fixed_ip_id"))
