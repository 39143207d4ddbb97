"""Availability zones, as the services spread over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nova_api import errors
from nova_api.config import Config
from nova_api.db import services
from nova_api.db.engine import Database, Transaction


class ServiceNotFound(errors.NotFound):
    """:param host: that has no such service; binary is the name of its program."""

    def __init__(self, host: str, binary: str) -> None:
        super().__init__(f"Could not find binary {binary} on host {host}.")


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

    def set_enabled(self, host: str, binary: str, enabled: bool) -> None:
        """Take a service out of scheduling, or back.

        :param binary: name of its program, ``nova-compute``
        :raises ServiceNotFound: the host has none
        """
        topics = [one.topic for one in self.services() if (one.host, one.binary) == (host, binary)]
        if not topics:
            raise ServiceNotFound(host, binary)

        def work(tx: Transaction) -> None:
            for topic in topics:
                services.set_disabled(tx, host, topic, not enabled)

        self.db.write(work)
