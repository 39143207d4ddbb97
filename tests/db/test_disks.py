import sqlalchemy as sa

from nova_api.context import new_uuid
from nova_api.db import disks
from nova_api.db.engine import Database
from nova_api.db.models import image_properties, images
from tests.databases import add


def test_the_oldest_backups_end(any_db: Database) -> None:
    numbers = []
    for kind in ("daily", "daily", "weekly", "daily"):
        numbers.append(add(any_db, images, uuid=new_uuid(), instance_uuid="u"))
        values = {"image_id": numbers[-1], "key": "backup_type", "value": kind}
        any_db.write(lambda tx, values=values: tx.execute(sa.insert(image_properties).values(**values)))
    any_db.write(lambda tx: disks.rotate_backups(tx, "u", "daily", 1))
    with any_db.read() as conn:
        left = conn.execute(sa.select(images.c.id).where(images.c.deleted == 0)).scalars().all()
    assert list(left) == numbers[2:]
