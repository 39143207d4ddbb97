"""What a volume driver is, and the simulated one.

Subclass :class:`VolumeStore`, name the class in the option ``volume_driver``, and nothing else changes. As
with hypervisors, every method returns when the change is done, may be called again after a call that
succeeded or died, and raises :class:`VolumeStoreError` when it cannot be done.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from nova_api.config import Config


class VolumeStoreError(Exception):
    """The store could not do it.

    :param message: for the log
    """


class VolumeStore(ABC):
    """The volumes of one host.

    :param config: the options of this process; a driver reads its own from it
    :param sleep: how to wait, seconds
    """

    def __init__(self, config: Config, *, sleep: Callable[[float], None] | None = None) -> None:
        self.config = config

    @abstractmethod
    def create(self, volume_id: int, size_gb: int, snapshot_id: int | None) -> str:
        """Make a volume, empty or filled from a snapshot; one that is there already is left alone.

        :returns: where it is, kept in ``volumes.provider_location``
        """

    @abstractmethod
    def delete(self, volume_id: int) -> None:
        """Remove a volume. No volume is fine."""

    @abstractmethod
    def create_snapshot(self, volume_id: int, snapshot_id: int) -> None:
        """Keep what a volume holds now, in use or not; a snapshot that is there stays as it is."""

    @abstractmethod
    def delete_snapshot(self, snapshot_id: int) -> None:
        """Remove a snapshot. No snapshot is fine."""

    @abstractmethod
    def initialize_connection(self, volume_id: int, host: str) -> dict[str, Any]:
        """Let a host use a volume.

        :param host: the compute node
        :returns: what its hypervisor driver needs to find it; can travel as JSON
        """

    @abstractmethod
    def terminate_connection(self, volume_id: int, host: str) -> None:
        """A host no longer uses a volume. One that never did is fine."""


class SimulatedVolumeStore(VolumeStore):
    """Volumes that exist in the datastore only: nothing is kept here, so nothing is lost with the process.

    :param config: ``simulated_*``
    :param sleep: how to wait; ``time.sleep`` by default
    """

    def __init__(self, config: Config, *, sleep: Callable[[float], None] | None = None) -> None:
        super().__init__(config)
        self._sleep = sleep or time.sleep

    def create(self, volume_id: int, size_gb: int, snapshot_id: int | None) -> str:
        self._take(self.config.simulated_volume_seconds)
        return _target(volume_id)

    def delete(self, volume_id: int) -> None:
        self._take(self.config.simulated_volume_seconds)

    def create_snapshot(self, volume_id: int, snapshot_id: int) -> None:
        self._take(self.config.simulated_snapshot_seconds)

    def delete_snapshot(self, snapshot_id: int) -> None:
        self._take(self.config.simulated_snapshot_seconds)

    def initialize_connection(self, volume_id: int, host: str) -> dict[str, Any]:
        return {
            "driver_volume_type": "iscsi",
            "data": {"volume_id": volume_id, "target_iqn": _target(volume_id), "target_lun": 1},
        }

    def terminate_connection(self, volume_id: int, host: str) -> None:
        """Nothing was reserved for the host."""

    def _take(self, seconds: float) -> None:
        if seconds and not self.config.simulated_immediate:
            self._sleep(seconds)


def _target(volume_id: int) -> str:
    return f"iqn.2010-10.org.openstack:volume-{volume_id:08x}"
