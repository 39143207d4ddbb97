"""What projects have used: hours of their servers and what those took (spec openstack-extensions.md 8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Row

from nova_api.db import usage as queries
from nova_api.db.engine import Database

_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantUsage:
    """Hours of a project's servers in a window of time.

    :ivar vcpus: hours times virtual CPUs; memory_mb and local_gb likewise, in MB and GB
    :ivar servers: the servers, with ``seconds`` within the window; None when they were not asked for
    """

    tenant: str
    hours: float
    vcpus: float
    memory_mb: float
    local_gb: float
    servers: Sequence[Row[Any]] | None = None


class Usage:
    """Usage as a service."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def every(self, start: datetime, end: datetime, *, detailed: bool) -> Sequence[TenantUsage]:
        """The usage of every project that had a server in a window of time, by project.

        :param detailed: with the servers
        """
        with self.db.read() as conn:
            if detailed:
                return _by_tenant(queries.servers(conn, start, end))
            rows = queries.totals(conn, start, end)
        return [
            TenantUsage(
                tenant=row.project_id,
                hours=float(row.seconds) / _HOUR,
                vcpus=float(row.vcpus) / _HOUR,
                memory_mb=float(row.memory_mb) / _HOUR,
                local_gb=float(row.local_gb) / _HOUR,
            )
            for row in rows
        ]

    def of(self, tenant: str, start: datetime, end: datetime) -> TenantUsage | None:
        """The usage of one project with its servers; None when it had none."""
        with self.db.read() as conn:
            found = _by_tenant(queries.servers(conn, start, end, tenant))
        return found[0] if found else None


def _by_tenant(rows: Sequence[Row[Any]]) -> list[TenantUsage]:
    tenants: dict[str, list[Row[Any]]] = {}
    for row in rows:
        tenants.setdefault(row.project_id, []).append(row)
    return [_sum(tenant, servers) for tenant, servers in tenants.items()]


def _sum(tenant: str, servers: Sequence[Row[Any]]) -> TenantUsage:
    hours = [float(row.seconds) / _HOUR for row in servers]
    pairs = list(zip(hours, servers, strict=True))
    return TenantUsage(
        tenant=tenant,
        hours=sum(hours),
        vcpus=sum(each * row.vcpus for each, row in pairs),
        memory_mb=sum(each * row.memory_mb for each, row in pairs),
        local_gb=sum(each * row.local_gb for each, row in pairs),
        servers=servers,
    )
