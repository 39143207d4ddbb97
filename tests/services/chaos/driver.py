"""A hypervisor whose guests outlive its process, as real ones do: each is a file, so that the audit can count them."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from nova_api.config import Config
from nova_api.nodes.drivers.hypervisor import BlockDevice, Guest, Interface
from nova_api.nodes.drivers.simulated import SimulatedHypervisor

#: Names the folder that holds a folder of guests for every host.
GUESTS = "NOVA_API_CHAOS_GUESTS"


class LastingHypervisor(SimulatedHypervisor):
    """The simulated hypervisor with a file for every guest, named by its number.

    :param config: ``host`` names the folder of this node
    """

    def __init__(self, config: Config, **options: Any) -> None:
        super().__init__(config, **options)
        self._folder = Path(os.environ[GUESTS]) / config.host
        self._folder.mkdir(parents=True, exist_ok=True)

    def guests(self) -> Collection[int]:
        """Those that are here, whichever process made them."""
        return tuple(int(path.name) for path in self._folder.iterdir())

    def spawn(
        self, guest: Guest, interfaces: Sequence[Interface], devices: Sequence[BlockDevice], **given: Any
    ) -> None:
        """Make the guest, and note that it is here."""
        super().spawn(guest, interfaces, devices, **given)
        (self._folder / str(guest.id)).touch()

    def destroy(self, guest: Guest) -> None:
        """End the guest, and note that it is gone."""
        super().destroy(guest)
        (self._folder / str(guest.id)).unlink(missing_ok=True)


def guests(folder: Path) -> dict[int, list[str]]:
    """The hosts that have each guest."""
    found: dict[int, list[str]] = {}
    for path in sorted(folder.glob("*/*")):
        found.setdefault(int(path.name), []).append(path.parent.name)
    return found
