"""Availability zones, as the services spread over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nova_api.config import Config
from nova_api.db import services
from nova_api.db.engine import Database


@dataclass(frozen=True, slots=True)
class Zone:
    """:ivar available: an enabled service is in it"""

    name: str
    available: bool


@dataclass(frozen=True, slots=True)
class ServiceState:
    """:ivar alive: it has reported within ``service_down_time``"""

    host: str
    binary: str
    topic: str
    zone: str
    disabled: bool
    alive: bool
    updated_at: datetime | None


class Zones:
    """Zones and services, as a service."""

    def __init__(self, db: Database, config: Config) -> None:
        self.db, self.config = db, config

    def list(self) -> Sequence[Zone]:
        """Zones of enabled services in the order in which they were first seen, then those of disabled ones only."""
        states = self.services()
        enabled = dict.fromkeys(state.zone for state in states if not state.disabled)
        disabled = dict.fromkeys(state.zone for state in states if state.zone not in enabled)
        return [*(Zone(name, True) for name in enabled), *(Zone(name, False) for name in disabled)]

    def services(self) -> Sequence[ServiceState]:
        """All services in the order in which they were first seen."""
        with self.db.read() as conn:
            rows = services.every(conn)
        down = self.config.service_down_time
        return [
            ServiceState(
                host=row.host,
                binary=row.binary,
                topic=row.topic,
                zone=row.availability_zone,
                disabled=bool(row.disabled),
                alive=services.alive(row, down),
                updated_at=row.updated_at,
            )
            for row in rows
        ]
