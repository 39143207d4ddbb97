"""A cloud of nodes without doors: rows are written by hand, messages take the real way."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api.config import Config
from nova_api.context import RequestContext, new_uuid
from nova_api.db import models, networks, services
from nova_api.db.engine import Database, Transaction
from nova_api.nodes.compute import ComputeManager
from nova_api.nodes.drivers.simulated import SimulatedHypervisor
from nova_api.nodes.drivers.volumestore import SimulatedVolumeStore
from nova_api.nodes.network import NetworkManager
from nova_api.nodes.scheduler import SchedulerManager
from nova_api.nodes.volume import VolumeManager
from nova_api.rpc import delivery
from nova_api.rpc.client import Rpc
from nova_api.rpc.consumer import ServiceRunner
from nova_api.rpc.inprocess import InProcessTransport
from nova_api.rpc.outbox import Outbox

CONTEXT = RequestContext(user_id="alice", project_id="acme")


class Twice:
    """A manager whose every message is delivered twice."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        for name in manager.methods:
            setattr(self, name, self._twice(getattr(manager, name)))

    @staticmethod
    def _twice(method: Callable[..., Any]) -> Callable[..., Any]:
        def deliver(context: RequestContext, **args: Any) -> Any:
            method(context, **args)
            return method(context, **args)

        return deliver


class World:
    """One process of nodes, which can be killed and started again on the same rows."""

    def __init__(self, db: Database, config: Config) -> None:
        self.db, self.config = db, config
        self.runners: list[ServiceRunner] = []
        self.hosts: dict[str, ComputeManager] = {}

    def start(self, *hosts: str, twice: bool = False, workers: int = 16) -> "World":
        """Start scheduler, network, volume and a compute node for each host (``h1`` without any)."""
        self.transport = InProcessTransport()
        self.outbox = Outbox(self.db, self.transport, new_uuid())
        self.rpc = Rpc(self.transport, default_timeout=20.0)
        self.volume = VolumeManager(self.db, SimulatedVolumeStore(self.config), "v1")
        self.network = NetworkManager(self.db)
        managers: list[tuple[str, str, Any]] = [
            ("scheduler", "s1", SchedulerManager(self.db, self.outbox, self.config, "s1")),
            ("volume", "v1", self.volume),
            ("network", "n1", self.network),
        ]
        for host in hosts or ("h1",):
            driver = SimulatedHypervisor(self.config)
            node = ComputeManager(self.db, self.outbox, self.rpc, driver, host)
            self.hosts[host] = node
            managers.append(("compute", host, node))
        for topic, host, manager in managers:
            manager.start()
            self.db.write(lambda tx, h=host, t=topic: services.report(tx, h, t, f"nova-{t}", "nova"))
            given = Twice(manager) if twice else manager
            self.runners.append(ServiceRunner(self.transport, topic, host, given, manager.methods, workers=workers))
        for runner in self.runners:
            runner.start()
        self.outbox.start()
        return self

    def stop(self, timeout: float = 10.0) -> None:
        for runner in self.runners:
            runner.stop(timeout)
        self.runners.clear()
        self.outbox.stop()

    def cast(self, to: str, method: str, /, **args: Any) -> None:
        self.db.write(lambda tx: self.outbox.cast(tx, CONTEXT, to, method, **args))

    def settle(self, seconds: float = 60.0) -> None:
        """Wait until every message has been handled."""
        until = time.monotonic() + seconds
        while depth := self.outbox.depth():
            assert time.monotonic() < until, f"{depth} messages are left"
            time.sleep(0.005)

    # -- rows

    def insert(self, table: sa.Table, **values: Any) -> int:
        def work(tx: Transaction) -> int:
            key = tx.execute(sa.insert(table).values(**values)).inserted_primary_key
            assert key is not None
            return int(key[0])

        return self.db.write(work)

    def update(self, table: sa.Table, number: int, **values: Any) -> None:
        self.db.write(lambda tx: tx.execute(sa.update(table).where(table.c.id == number).values(**values)))

    def row(self, table: sa.Table, number: int) -> Any:
        with self.db.read() as conn:
            return conn.execute(sa.select(table).where(table.c.id == number)).one()

    def rows(self, table: sa.Table, *where: Any) -> list[Any]:
        with self.db.read() as conn:
            return list(conn.execute(sa.select(table).where(*where).order_by(*table.primary_key)))

    def instance(self, **values: Any) -> Any:
        """A row as RunInstances writes it."""
        given = {
            "uuid": new_uuid(),
            "user_id": "alice",
            "project_id": "acme",
            "reservation_id": "r-12345678",
            "vm_state": "building",
            "task_state": "scheduling",
            "instance_type_id": 1,
            "memory_mb": 512,
            "vcpus": 1,
            "hostname": "server",
            **values,
        }
        return self.row(models.instances, self.insert(models.instances, **given))

    def run(self, count: int = 1, **values: Any) -> list[Any]:
        """Instances on their way: rows and one message to the scheduler, as RunInstances makes them."""
        rows = [self.instance(**values) for _ in range(count)]
        self.schedule(rows)
        return rows

    def schedule(self, rows: list[Any], **filters: Any) -> None:
        """The message to the scheduler."""
        self.cast(
            "scheduler",
            "run_instance",
            topic="compute",
            request_spec={"instance_uuids": [row.uuid for row in rows], "instance_properties": {}},
            admin_password=None,
            injected_files=None,
            requested_networks=None,
            is_first_time=True,
            filter_properties={"force_hosts": [], "scheduler_hints": None, **filters},
        )

    def running(self, **values: Any) -> Any:
        """An instance that runs."""
        (row,) = self.run(**values)
        self.settle()
        return self.again(row)

    def again(self, row: Any) -> Any:
        """An instance as it is now."""
        return self.row(models.instances, row.id)

    def do(self, row: Any, task: str, method: str, **args: Any) -> Any:
        """Start a task of an instance as the API does, and wait for its end."""
        self.update(models.instances, row.id, task_state=task)
        self.cast(f"compute.{self.again(row).host}", method, instance_uuid=row.uuid, **args)
        self.settle()
        return self.again(row)

    def volume_row(self, **values: Any) -> int:
        given = {"uuid": new_uuid(), "project_id": "acme", "size": 2, "availability_zone": "nova", **values}
        return self.insert(models.volumes, **{"status": "available", "host": "v1", **given})

    def addresses(self) -> list[tuple[int, str]]:
        """Instance and address of every fixed address in use."""
        used = self.rows(models.fixed_ips, models.fixed_ips.c.instance_id.is_not(None))
        return [(row.instance_id, row.address) for row in used]

    def call(self, row: Any, method: str, /, **args: Any) -> Any:
        return self.rpc.call(CONTEXT, f"compute.{self.again(row).host}", method, instance_uuid=row.uuid, **args)


def make_world(db: Database, **options: Any) -> World:
    models.metadata.create_all(db.engine)
    config = Config(**{"simulated_immediate": True, "state_path": "/nonexistent", **options})
    world = World(db, config)
    world.insert(models.flavors, name="m1.tiny", flavorid="1", memory_mb=512, vcpus=1)
    db.write(lambda tx: networks.create(tx, "private", "10.0.0.0/24"))
    return world


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Nodes that are not started yet."""
    monkeypatch.setattr(delivery, "backoff", lambda tries: 0.02)
    db = Database(f"sqlite:///{tmp_path}/nodes.sqlite")
    made = make_world(db)
    try:
        yield made
    finally:
        made.stop(2.0)
        db.close()
