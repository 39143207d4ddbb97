"""Processes whose broker or database goes away and comes back: what clients read, and what becomes of their work.

``NOVA_API_TEST_OUTAGE_SECONDS`` makes the outages longer.
"""

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from nova_api.db import models
from tests.proxy import Proxy
from tests.servers import RunningCloud, broker, end, running_cloud, spawn
from tests.services.private import private
from tests.services.test_whole_cloud import ask, database
from tests.wire.conftest import get, signed_query

pytestmark = [pytest.mark.xdist_group("outages"), pytest.mark.slow]

OUTAGE_SECONDS = float(os.environ.get("NOVA_API_TEST_OUTAGE_SECONDS", "4"))
IMAGE = "ami-00000003"
LOAD = 4  # clients at a time


class Load:
    """Clients that make volumes, one after the other, and note how they were answered."""

    def __init__(self, cloud: RunningCloud) -> None:
        self.cloud = cloud
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self.codes: Counter[str] = Counter()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(LOAD)]

    def _run(self) -> None:
        while not self.over.is_set():
            began = time.monotonic()
            query = signed_query(self.cloud, [("Action", "CreateVolume"), ("Size", "1"), ("AvailabilityZone", "nova")])
            answer = get(self.cloud, query).decode()
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.statuses[int(answer.split(" ", 2)[1])] += 1
            self.codes.update(re.findall(r"<Code>(\w+)<", answer))
            self.over.wait(0.05)

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self.threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in self.threads:
                thread.join(60)


def settled(url: str, seconds: float = 120) -> Counter[str]:
    """Wait until no message is left and nothing is on its way; how many volumes are in which state."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    end = time.monotonic() + seconds
    while True:
        with engine.connect() as conn:
            left = conn.execute(sa.select(sa.func.count()).select_from(models.outbox)).scalar_one()
            states = Counter(conn.execute(sa.select(models.volumes.c.status)).scalars())
        if not left and not states["creating"]:
            return states
        assert time.monotonic() < end, (left, states)
        time.sleep(0.2)


@contextmanager
def cloud_of(folder: Path, url: str, place: str) -> Iterator[RunningCloud]:
    """An API process and a node."""
    settings = {"sql_connection": url, "rpc_transport": place, "simulated_immediate": "true"}
    settings |= {"quota_volumes": "1000000", "quota_gigabytes": "1000000", "lockout_attempts": "1000000"}
    shared = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    with running_cloud(folder, *shared, "--set", "embedded_nodes=false") as cloud:
        topics = ("--topics", "scheduler,compute,network,volume,cert")
        node = spawn("node", "--state", str(folder / "node"), *shared, *topics, output=folder / "nova-node.out")
        try:
            deadline = time.monotonic() + 60
            while "is up as" not in (folder / "nova-node.out").read_text():
                assert time.monotonic() < deadline and node.poll() is None
                time.sleep(0.05)
            yield cloud
        finally:
            assert end(node, 60) == 0


def test_a_broker_that_is_away_is_not_noticed_by_clients(tmp_path: Path) -> None:
    with database("postgresql") as url, broker() as real:
        host, _, rest = real.rpartition("@")[2].partition("/")
        name, _, port = host.rpartition(":")
        proxy = Proxy((name, int(port)))
        place = f"{real.rpartition('@')[0]}@127.0.0.1:{proxy.port}/{rest}"
        with cloud_of(tmp_path, url, place) as cloud:
            load = Load(cloud)
            with load.running():
                time.sleep(1)
                proxy.down()
                time.sleep(OUTAGE_SECONDS)
                proxy.up()
                back = time.monotonic()
                time.sleep(1)
            states = settled(url)
            print(f"{OUTAGE_SECONDS:.0f} s without broker: {dict(load.statuses)}, slowest {load.slowest:.2f} s;")
            print(f"all work done {time.monotonic() - back:.1f} s after it was back")
            assert set(load.statuses) == {200}
            assert states == {"available": load.statuses[200]}
        proxy.down()


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_database_that_is_killed_is_a_clean_503_until_it_is_back(tmp_path: Path, kind: str) -> None:
    with private(kind) as server, broker() as place, cloud_of(tmp_path, server.url, place) as cloud:
        load = Load(cloud)
        with load.running():
            time.sleep(1)
            for _ in range(2):
                server.kill()
                time.sleep(OUTAGE_SECONDS / 2)
                server.start()
                good = load.statuses[200]
                deadline = time.monotonic() + 60
                while load.statuses[200] < good + 5:
                    assert time.monotonic() < deadline, load.statuses
                    time.sleep(0.05)
        states = settled(server.url)
        print(f"{kind} killed twice: {dict(load.statuses)}, slowest {load.slowest:.2f} s")
        assert set(load.statuses) == {200, 503}
        assert set(load.codes) == {"Unavailable"}
        assert states["available"] >= load.statuses[200]  # what was answered 200 is there, once
        # A commit whose answer was lost may be there too; one for a client at each blow.
        assert states["available"] <= load.statuses[200] + 2 * LOAD
        assert set(states) <= {"available", "creating"} and not states["creating"]
        assert "Traceback" not in cloud.log_path.read_text()
        assert ask(cloud, "DescribeVolumes").count("<volumeId>") > 0
