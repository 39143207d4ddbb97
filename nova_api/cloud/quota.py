"""Quotas: counted over live rows, in the transaction that spends them, under the project's lock.

There is no usage table that could drift: what is used is what lives. (Spec ec2.md 8.2: check-then-insert without a
lock let parallel requests overshoot.)
"""

from collections.abc import Mapping

from nova_api.config import Config
from nova_api.db import quotas as queries
from nova_api.db.engine import Database, Transaction

UNLIMITED = -1
#: Every resource that has a limit; the option is ``quota_`` and the name.
RESOURCES = (
    "instances",
    "cores",
    "ram",
    "volumes",
    "gigabytes",
    "snapshots",
    "floating_ips",
    "security_groups",
    "security_group_rules",
    "key_pairs",
    "metadata_items",
    "shared_ip_groups",
    "shared_ip_group_members",
    "injected_files",
    "injected_file_content_bytes",
    "injected_file_path_bytes",
)


class Quotas:
    """Limits of projects and what is left of them.

    :param config: defaults, ``quota_*``
    """

    def __init__(self, config: Config, db: Database) -> None:
        self.db = db
        self.defaults = {name: self._default(config, name) for name in RESOURCES}

    @staticmethod
    def _default(config: Config, name: str) -> int:
        option = f"quota_max_{name}" if name.startswith("injected") else f"quota_{name}"
        return int(getattr(config, option))

    def limits(self, project_id: str) -> dict[str, int]:
        """All limits of a project; :data:`UNLIMITED` for none."""
        with self.db.read() as conn:
            return self._merged(queries.limits(conn, project_id))

    def _merged(self, own: dict[str, int | None]) -> dict[str, int]:
        merged = dict(self.defaults)
        for name, limit in own.items():
            if name in merged:
                merged[name] = UNLIMITED if limit is None else limit
        return merged

    def set_limit(self, project_id: str, resource: str, limit: int) -> None:
        """Give a project a limit of its own.

        :param limit: :data:`UNLIMITED` for none
        :raises KeyError: no such resource
        """
        self.set_limits(project_id, {resource: limit})

    def set_limits(self, project_id: str, limits: Mapping[str, int]) -> None:
        """:meth:`set_limit` for several at a time: all, or none.

        :raises KeyError: no such resource
        """
        values = {name: None if limits[name] == UNLIMITED else limits[name] for name in limits}
        if not set(values) <= set(self.defaults):
            raise KeyError(sorted(set(values) - set(self.defaults))[0])

        def work(tx: Transaction) -> None:
            for name, value in values.items():
                queries.set_limit(tx, project_id, name, value)

        self.db.write_racing(work)  # against another request that makes the first row

    def left(self, tx: Transaction, project_id: str, *resources: str) -> dict[str, float]:
        """Lock the project and tell how much of each resource it may still take.

        The lock is held to the end of the transaction, so what is told stays true until then. Call it before the
        transaction writes anything else, or two transactions may wait for each other.

        :param resources: names out of :data:`nova_api.db.quotas.PROJECT_RESOURCES`
        :returns: what is left, ``inf`` where there is no limit; negative when a limit was lowered below the use
        """
        queries.lock(tx, project_id)
        limits = self._merged(queries.limits(tx.conn, project_id))
        return {
            name: float("inf") if limits[name] == UNLIMITED else limits[name] - queries.used(tx.conn, project_id, name)
            for name in resources
        }

    def limits_in(self, tx: Transaction, project_id: str) -> dict[str, int]:
        """:meth:`limits` inside of a transaction."""
        return self._merged(queries.limits(tx.conn, project_id))

    def key_pairs_left(self, tx: Transaction, project_id: str, user_id: str) -> float:
        """How many key pairs a user may still make; the limit is the project's, the count the user's."""
        queries.lock(tx, f"user:{user_id}"[:255])  # as long as a name of a lock may be; two users may wait for one
        return self._remaining(tx, project_id, "key_pairs", queries.key_pairs_of(tx.conn, user_id))

    def rules_left(self, tx: Transaction, project_id: str, group_id: int) -> float:
        """How many rules a security group may still take."""
        queries.lock(tx, project_id)
        return self._remaining(tx, project_id, "security_group_rules", queries.rules_of(tx.conn, group_id))

    def shared_ip_members_left(self, tx: Transaction, project_id: str, group_id: int) -> float:
        """How many servers a shared IP group, which the transaction has locked, may still take."""
        return self._remaining(tx, project_id, "shared_ip_group_members", queries.members_of(tx.conn, group_id))

    def _remaining(self, tx: Transaction, project_id: str, resource: str, used: int) -> float:
        limit = self._merged(queries.limits(tx.conn, project_id))[resource]
        return float("inf") if limit == UNLIMITED else limit - used
