"""Hosts as the operator sees them (spec openstack-extensions.md 10.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Row

from nova_api import errors
from nova_api.cloud.remote import ask
from nova_api.context import RequestContext
from nova_api.db import hosts as queries
from nova_api.db import services
from nova_api.db.engine import Database
from nova_api.rpc.client import Rpc


class HostNotFound(errors.NotFound):
    """:param host: that has no compute service."""

    def __init__(self, host: str) -> None:
        super().__init__(f"Host {host} could not be found.")


@dataclass(frozen=True, slots=True)
class Resources:
    """What a host has, or somebody takes of it.

    :ivar project: a project, or ``(total)``, ``(used_now)``, ``(used_max)``
    :ivar memory_mb: MB; disk_gb is GB
    """

    project: str
    cpu: int
    memory_mb: int
    disk_gb: int


class Hosts:
    """Hosts as a service."""

    def __init__(self, db: Database, rpc: Rpc) -> None:
        self.db, self.rpc = db, rpc

    def list(self) -> Sequence[tuple[str, str]]:
        """Host and topic of every service, in the order in which they were first seen."""
        with self.db.read() as conn:
            return [(row.host, row.topic) for row in services.every(conn)]

    def resources(self, host: str) -> Sequence[Resources]:
        """What a compute host has, what is used of it, and by whom.

        :raises HostNotFound: it is no compute host
        """
        with self.db.read() as conn:
            has = queries.capacity(conn, host)
            if has is None:
                raise HostNotFound(host)
            rows = queries.used(conn, host)
        # MariaDB sums integers into decimals.
        projects = [
            Resources(row.project_id or "", int(row.vcpus), int(row.memory_mb), int(row.local_gb)) for row in rows
        ]
        used = [sum(getattr(one, name) for one in projects) for name in ("cpu", "memory_mb", "disk_gb")]
        total = Resources("(total)", has.vcpus, has.memory_mb, has.local_gb)
        return [total, Resources("(used_now)", *used), Resources("(used_max)", *used), *projects]

    def nodes(self) -> Sequence[Row[Any]]:
        """Every compute node with what it has and what is used of it, oldest first."""
        with self.db.read() as conn:
            return queries.nodes(conn)

    def servers(self, hosts: Sequence[str]) -> Sequence[Row[Any]]:
        """``id``, ``uuid`` and ``host`` of the instances on hosts, oldest first."""
        with self.db.read() as conn:
            return queries.servers(conn, hosts)

    def set_enabled(self, context: RequestContext, host: str, enabled: bool) -> str:
        """Have a host's node take it out of scheduling, or back.

        :returns: what the node says it is now: ``enabled`` or ``disabled``
        :raises HostNotFound: it is no compute host
        :raises ServiceUnavailable: its node does not answer
        """
        return self._ask(context, host, "set_host_enabled", enabled=enabled)

    def set_maintenance(self, context: RequestContext, host: str, on: bool) -> str:
        """Have a host's node begin or end maintenance.

        :returns: ``on_maintenance`` or ``off_maintenance``
        :raises HostNotFound: it is no compute host
        :raises ServiceUnavailable: its node does not answer
        """
        return self._ask(context, host, "host_maintenance_mode", host=host, mode=on)

    def power(self, context: RequestContext, host: str, action: str) -> str:
        """Have a host's node start it up, shut it down or reboot it.

        :param action: ``startup``, ``shutdown`` or ``reboot``
        :returns: what the node says it does
        :raises HostNotFound: it is no compute host
        :raises ServiceUnavailable: its node does not answer
        """
        return self._ask(context, host, "host_power_action", action=action)

    def require(self, host: str) -> None:
        """Refuse what is no compute host.

        :raises HostNotFound: it is none
        """
        with self.db.read() as conn:
            if not queries.runs_compute(conn, host):
                raise HostNotFound(host)

    def _ask(self, context: RequestContext, host_name: str, method: str, /, **args: object) -> str:
        self.require(host_name)
        return str(ask(self.rpc, context, f"compute.{host_name}", method, **args))
