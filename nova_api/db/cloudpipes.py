"""Queries of cloudpipes: the instances of one image."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.models import fixed_ips, instances, projects


def find(conn: Connection, image: str, project: str | None = None) -> Sequence[Row[Any]]:
    """Living instances of an image with their first fixed address, oldest first.

    :param image: UUID
    :param project: only its own
    """
    address = (
        sa.select(sa.func.min(fixed_ips.c.address)).where(fixed_ips.c.instance_id == instances.c.id).scalar_subquery()
    )
    query: sa.Select[Any] = sa.select(
        instances.c.uuid, instances.c.project_id, instances.c.created_at, address.label("address")
    ).where(instances.c.image_ref == image, instances.c.deleted == 0)
    if project is not None:
        query = query.where(instances.c.project_id == project)
    return conn.execute(query.order_by(instances.c.id)).all()


def project_exists(conn: Connection, project: str) -> bool:
    """Whether there is such a project."""
    return conn.execute(sa.select(projects.c.id).where(projects.c.id == project)).first() is not None
