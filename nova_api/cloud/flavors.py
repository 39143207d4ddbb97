"""Flavors: the sizes that servers come in."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Row

from nova_api.db import flavors as queries
from nova_api.db.engine import Database


class Flavors:
    """Flavors as a service."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def list(self, *, min_ram: int | None = None, min_disk: int | None = None) -> Sequence[Row[Any]]:
        """All flavors, by name.

        :param min_ram: MB that they have at least; min_disk: GB of the root disk
        """
        with self.db.read() as conn:
            return queries.find(conn, min_ram=min_ram, min_disk=min_disk)

    def get(self, flavorid: str) -> Row[Any] | None:
        """The flavor with an id as the OpenStack API shows it."""
        with self.db.read() as conn:
            return queries.by_flavorid(conn, flavorid)
