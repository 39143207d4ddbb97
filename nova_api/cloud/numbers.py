"""The integer ids of the 1.0 API (spec openstack-core.md 9.1).

A server has its row's. Images have UUIDs, so each gets the next number of a sequence when it is first shown; the EC2
number is another one. A flavor's id is a text, and mostly the text of a number: that is its number then. Any other
text is numbered from :data:`FIRST` on, where no such number is.
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.exc import IntegrityError

from nova_api import errors, limits
from nova_api.context import RequestContext
from nova_api.db import numbers as queries
from nova_api.db.engine import ATTEMPTS, Database
from nova_api.db.numbers import FLAVORS, IMAGES, Kind

#: Numbers of flavors from here on are of the sequence.
FIRST = 1_000_000_000


class Numbers:
    """Integer ids as a service."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def of_images(self, uuids: Iterable[str]) -> Mapping[str, int]:
        """The numbers of images, by UUID; those that have none get one."""
        return self._of(IMAGES, set(uuids))

    def image(self, number: int) -> str | None:
        """The UUID of the image that has a number."""
        return self._named(IMAGES, number)

    def of_flavors(self, flavorids: Iterable[str]) -> Mapping[str, int]:
        """The numbers of flavors, by their ids; those that have none get one."""
        wanted = set(flavorids)
        plain = {one: int(one) for one in wanted if _is_plain(one)}
        return {**plain, **{key: FIRST + number for key, number in self._of(FLAVORS, wanted - set(plain)).items()}}

    def flavor(self, number: int) -> str | None:
        """The id of the flavor that has a number."""
        return str(number) if number < FIRST else self._named(FLAVORS, number - FIRST)

    def of_servers(self, context: RequestContext, uuids: Sequence[str]) -> Mapping[str, int]:
        """The numbers of those of the servers that are the caller's, living or not."""
        if not uuids:
            return {}
        with self.db.read() as conn:
            return queries.servers(conn, context, uuids)

    def _of(self, kind: Kind, ids: set[str]) -> Mapping[str, int]:
        if not ids:
            return {}
        for _ in range(ATTEMPTS):
            with self.db.read() as conn:
                found = queries.known(conn, kind, ids)
            missing = ids - set(found)
            if not missing:
                return found
            try:
                self.db.write(lambda tx, missing=missing: queries.add(tx, kind, missing))  # type: ignore[misc]
            except IntegrityError:
                # Another request has seen one of them first; its number counts, ours is lost.
                continue
        raise errors.ServiceUnavailable("The datastore is busy. Please try your request again.")

    def _named(self, kind: Kind, number: int) -> str | None:
        if not 0 < number <= limits.MAX_DATABASE_ID:
            return None
        with self.db.read() as conn:
            return queries.named(conn, kind, number)


def _is_plain(flavorid: str) -> bool:
    """Whether the id of a flavor is the text of a number that no other text is."""
    if not (flavorid.isascii() and flavorid.isdigit() and len(flavorid) < len(str(FIRST))):
        return False
    return flavorid == "0" or not flavorid.startswith("0")
