"""Nodes that die, on PostgreSQL and RabbitMQ: what was accepted is done once, by them or by others."""

import re
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api.db import models
from tests.servers import RunningCloud, broker, running_cloud, spawn
from tests.services.test_whole_cloud import ask, database

pytestmark = pytest.mark.xdist_group("rabbitmq")

MANY = 10
#: A node is given up after four seconds of silence; it takes about as long for what it is given, two at a time.
QUICK = (
    "embedded_nodes=false",
    "service_down_time=4",
    "report_interval=0.5",
    "simulated_boot_seconds=1.5",
    "node_workers=2",
)


@dataclass
class Site:
    """An API process and two nodes."""

    cloud: RunningCloud
    folder: Path
    options: list[str]
    engine: sa.Engine
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, host: str) -> None:
        output = self.folder / f"{host}.out"
        said = output.read_bytes().count(b"is up") if output.exists() else 0
        options = ("--state", str(self.cloud.state), *self.options, "--host", host)
        self.nodes[host] = spawn("node", *options, output=output)
        self.wait(lambda: output.read_bytes().count(b"is up") > said, f"{host} does not start")

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, (what, self.states())
            time.sleep(0.1)

    def rows(self, query: Any) -> list[Any]:
        with self.engine.connect() as conn:
            return list(conn.execute(query))

    def states(self) -> list[tuple[str, str | None, str | None]]:
        table = models.instances.c
        found = self.rows(sa.select(table.vm_state, table.task_state, table.host).where(table.deleted == 0))
        return [(row.vm_state, row.task_state, row.host) for row in found]

    def run(self) -> list[str]:
        """Start instances, and wait until both nodes build."""
        arguments = {"ImageId": "ami-00000003", "InstanceType": "m1.tiny", "MinCount": str(MANY), "MaxCount": str(MANY)}
        ids = re.findall(r"<instanceId>(i-[0-9a-f]+)<", ask(self.cloud, "RunInstances", **arguments))
        self.wait(lambda: sum(task == "spawning" for _, task, _ in self.states()) >= 3, "nobody builds")
        assert Counter(host for _, _, host in self.states()) == {"one": MANY // 2, "two": MANY // 2}
        return ids

    def all_run(self, ids: list[str]) -> None:
        """Wait until every instance is active, once: with one address, and a guest where its row says it is."""
        self.wait(lambda: all(state[:2] == ("active", None) for state in self.states()), "not all run")
        used = self.rows(sa.select(models.fixed_ips.c.instance_id).where(models.fixed_ips.c.instance_id.is_not(None)))
        assert Counter(Counter(row.instance_id for row in used).values()) == {1: MANY}
        table = models.instances.c
        where = {f"i-{row.id:08x}": row.host for row in self.rows(sa.select(table.id, table.host))}
        for number in (number for number in ids if self.nodes[where[number]].poll() is None):
            assert "<output>" in ask(self.cloud, "GetConsoleOutput", InstanceId=number)
        assert self.rows(sa.select(models.instance_builds)) == []

    def state_of(self, host: str) -> str:
        """Of the compute service of a node, as nova-manage lists it."""
        output = self.folder / f"manage-{uuid.uuid4().hex}.out"
        options = ("--state", str(self.cloud.state), *self.options, "service", "list")
        assert spawn("manage", *options, output=output).wait(60) == 0
        (line,) = [
            line.split() for line in output.read_text().splitlines() if f" {host} " in line and "compute" in line
        ]
        return line[4]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with database("postgresql") as url, broker() as place:
        given = (f"sql_connection={url}", f"rpc_transport={place}", *QUICK)
        options = [part for setting in given for part in ("--set", setting)]
        with running_cloud(tmp_path, *options) as cloud:
            made = Site(cloud, tmp_path, options, sa.create_engine(url))
            try:
                made.start("one")
                made.start("two")
                yield made
            finally:
                for process in made.nodes.values():
                    process.kill()
                    process.wait()
                made.engine.dispose()


def test_a_node_that_is_stopped_finishes_or_hands_back(site: Site) -> None:
    ids = site.run()
    site.nodes["one"].send_signal(signal.SIGTERM)
    assert site.nodes["one"].wait(30) == 0
    assert site.state_of("one") == "down" and site.state_of("two") == "up"
    site.all_run(ids)
    hosts = Counter(host for _, _, host in site.states())
    assert hosts["two"] > MANY // 2 and sum(hosts.values()) == MANY


def test_a_node_that_is_started_anew_goes_on(site: Site) -> None:
    ids = site.run()
    site.nodes["one"].send_signal(signal.SIGTERM)
    assert site.nodes["one"].wait(30) == 0
    site.start("one")
    site.all_run(ids)


def test_the_builds_of_a_node_that_is_killed_go_to_another(site: Site) -> None:
    ids = site.run()
    site.nodes["one"].kill()
    site.nodes["one"].wait()
    site.wait(lambda: all(state != "building" for state, _, _ in site.states()), "not all are built")
    left = [host for state, _, host in site.states() if host == "one"]
    site.wait(lambda: site.state_of("one") == "down", "it still counts as up")
    # What it had begun to run is on its disks; it is ended without it all the same.
    ended = ask(site.cloud, "TerminateInstances", **{f"InstanceId.{n}": one for n, one in enumerate(ids, 1)})
    assert ended.count("<instanceId>") == MANY
    site.wait(lambda: site.states() == [], f"not all have ended, {len(left)} of them on the dead node")
    assert not site.rows(sa.select(models.fixed_ips.c.id).where(models.fixed_ips.c.instance_id.is_not(None)))
    site.start("one")
    site.wait(lambda: site.state_of("one") == "up", "it does not return")
    site.all_run(site.run())


def test_volumes_of_a_node_that_is_killed_are_made_by_another(site: Site) -> None:
    site.nodes["one"].kill()
    site.nodes["one"].wait()
    volumes = models.volumes.c
    for _ in range(4):
        ask(site.cloud, "CreateVolume", Size="1", AvailabilityZone="nova")
    site.wait(
        lambda: (
            Counter((row.status, row.host) for row in site.rows(sa.select(volumes.status, volumes.host)))
            == {("available", "two"): 4}
        ),
        "not all are made",
    )
