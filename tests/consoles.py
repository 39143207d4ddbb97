"""A cloud with a console node and a compute node that knows nothing but screens.

Used by tests/cloud and tests/openstack.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa

from nova_api import testing
from nova_api.cloud.consoles import Consoles
from nova_api.context import RequestContext, new_uuid
from nova_api.db import models
from nova_api.db.engine import Database, Transaction
from nova_api.nodes import service
from nova_api.nodes.console_topics import ConsoleTopics
from nova_api.nodes.service import NodeService
from nova_api.runtime import Runtime

ALICE = RequestContext("alice", "acme")
MALLORY = RequestContext("mallory", "evil")
ROOT = RequestContext("root", "adminproj", is_admin=True, roles=("admin",))


def add_instance(db: Database, **values: Any) -> Any:
    """A row as a launch leaves it."""

    def work(tx: Transaction) -> Any:
        flavor = tx.execute(sa.select(models.flavors.c.id)).scalar()
        if flavor is None:
            made = tx.execute(sa.insert(models.flavors).values(name="f", flavorid="f", memory_mb=1, vcpus=1))
            flavor = made.inserted_primary_key[0] if made.inserted_primary_key else 0
        given = {
            "uuid": new_uuid(),
            "user_id": "alice",
            "project_id": "acme",
            "reservation_id": "r-1",
            "vm_state": "active",
            "instance_type_id": flavor,
            "memory_mb": 1,
            "vcpus": 1,
            "host": "h1",
            **values,
        }
        key = tx.execute(sa.insert(models.instances).values(**given)).inserted_primary_key
        return tx.execute(sa.select(models.instances).where(models.instances.c.id == (key and key[0]))).one()

    return db.write(work)


def end_instance(db: Database, number: int) -> None:
    """What the end of an instance does to its row."""
    ended = sa.update(models.instances).where(models.instances.c.id == number).values(deleted=number)
    db.write(lambda tx: tx.execute(ended))


class Screens(ConsoleTopics):
    """The part of a compute node that is asked here.

    :ivar asked: method and arguments of the calls
    """

    methods: ClassVar[tuple[str, ...]] = ("get_console_topic", "get_vnc_console")
    binary: ClassVar[str] = "nova-compute"

    def __init__(self, db: Database, host: str) -> None:
        self.db, self.host, self.down_time = db, host, 60.0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.broken = False

    def start(self) -> None:
        """Nothing."""

    def get_console_topic(self, context: RequestContext, **args: object) -> str:
        self.asked.append(("get_console_topic", args))
        if self.broken:
            raise RuntimeError("no topic")
        return super().get_console_topic(context, **args)

    def get_vnc_console(self, context: RequestContext, **args: object) -> dict[str, Any]:
        self.asked.append(("get_vnc_console", args))
        return {"host": "10.1.1.1", "port": 5999, "internal_access_path": "/path"}


class ConsoleWorld:
    """The nodes, and the service under test."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.db = runtime, runtime.db
        self.screens = Screens(runtime.db, "h1")
        self.consoles = Consoles(runtime.db, runtime.rpc, runtime.outbox, runtime.policy, runtime.config)

    def instance(self, **values: Any) -> Any:
        """A server of Alice's."""
        return add_instance(self.db, **values)

    def settle(self) -> None:
        """Wait until every message has been handled."""
        until = time.monotonic() + 30.0
        while depth := self.runtime.outbox.depth():
            assert time.monotonic() < until, f"{depth} messages are left"
            time.sleep(0.005)

    def rows(self, table: sa.Table) -> list[Any]:
        """All rows of a table."""
        with self.db.read() as conn:
            return list(conn.execute(sa.select(table).order_by(*table.primary_key)))


@contextmanager
def console_world(state: Path, **options: Any) -> Iterator[ConsoleWorld]:
    """Running nodes on host ``h1``.

    :param state: folder for the datastore
    """
    given = {"host": "h1", "console_public_hostname": "consoles.example.com", **options}
    runtime = testing.make_runtime(state, **given)
    world = ConsoleWorld(runtime)
    running = [*service.start_all(runtime, ["console"]), NodeService("compute", world.screens, runtime)]
    try:
        running[-1].start()  # type: ignore[attr-defined]  # the last one is a node
        runtime.outbox.start()
        yield world
    finally:
        service.stop_all(running, 10.0)
        runtime.close()
