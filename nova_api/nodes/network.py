"""The network node: makes the host follow what the datastore says about floating addresses.

The API changes the datastore and tells the node afterwards. The node looks at the datastore anew, so that
messages in any order, or twice, end in what is true.
"""

import threading
from abc import ABC, abstractmethod
from typing import ClassVar

from nova_api.context import RequestContext
from nova_api.db import networks
from nova_api.db.engine import Database


class HostNetwork(ABC):
    """Address translation of a host; every method may be called again."""

    @abstractmethod
    def bind(self, floating: str, fixed: str) -> None:
        """Send what comes for ``floating`` to ``fixed``, in place of whatever had it."""

    @abstractmethod
    def unbind(self, floating: str) -> None:
        """Nothing has ``floating`` any more."""


class SimulatedHostNetwork(HostNetwork):
    """A translation table without packets.

    :ivar table: floating address -> fixed address
    """

    def __init__(self) -> None:
        self.table: dict[str, str] = {}

    def bind(self, floating: str, fixed: str) -> None:
        self.table[floating] = fixed

    def unbind(self, floating: str) -> None:
        self.table.pop(floating, None)


class NetworkManager:
    """Answers ``network``.

    :param db: the datastore
    :param driver: what programs the host
    """

    methods: ClassVar[tuple[str, ...]] = ("associate_floating_ip", "disassociate_floating_ip")
    binary: ClassVar[str] = "nova-network"

    def __init__(self, db: Database, driver: HostNetwork | None = None) -> None:
        self.db = db
        self.driver = driver or SimulatedHostNetwork()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Program what was associated before this process began."""
        with self.db.read() as conn:
            bound = networks.bound_floating_addresses(conn)
        for floating, fixed in bound.items():
            self.driver.bind(floating, fixed)

    def associate_floating_ip(
        self, context: RequestContext, floating_address: str, fixed_address: str, **_unused: object
    ) -> None:
        """A floating address points to a fixed one now."""
        self._follow(floating_address)

    def disassociate_floating_ip(self, context: RequestContext, address: str, **_unused: object) -> None:
        """A floating address points to nothing now."""
        self._follow(address)

    def _follow(self, floating: str) -> None:
        with self._lock:  # between the look and the change no other message may look
            with self.db.read() as conn:
                fixed = networks.fixed_address_of(conn, floating)
            if fixed is None:
                self.driver.unbind(floating)
            else:
                self.driver.bind(floating, fixed)
