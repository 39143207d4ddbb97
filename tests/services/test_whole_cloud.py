"""The cloud on real servers: PostgreSQL or MariaDB, RabbitMQ, and nodes in a process of their own."""

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.servers import RunningCloud, broker, end, running_cloud, service, spawn
from tests.wire.conftest import get, signed_query


@contextmanager
def database(kind: str) -> Iterator[str]:
    """A database of this test's own; its URL."""
    url = sa.make_url(service(kind))
    name = f"nova_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as conn:
            conn.exec_driver_sql(f"CREATE DATABASE {name}")
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as conn:
            force = " WITH (FORCE)" if kind == "postgresql" else ""
            conn.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}{force}")
        engine.dispose()


def ask(cloud: RunningCloud, action: str, **params: str) -> str:
    answer = get(cloud, signed_query(cloud, [("Action", action), *params.items()]))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return answer.decode()


def until(cloud: RunningCloud, wanted: str, action: str, **params: str) -> str:
    end = time.monotonic() + 60
    while wanted not in (text := ask(cloud, action, **params)):
        assert time.monotonic() < end, text
        time.sleep(0.2)
    return text


def walk(cloud: RunningCloud) -> None:
    """Boot an instance with a volume and an address, and end it."""
    text = ask(cloud, "RunInstances", ImageId="ami-00000003", InstanceType="m1.tiny", MinCount="2", MaxCount="2")
    one, two = re.findall(r"<instanceId>(i-[0-9a-f]+)<", text)
    ids = {"InstanceId.1": one, "InstanceId.2": two}
    end = time.monotonic() + 60
    while ask(cloud, "DescribeInstances", **ids).count("<name>running</name>") != 2:
        assert time.monotonic() < end
        time.sleep(0.2)
    volume = re.findall(r"vol-[0-9a-f]+", ask(cloud, "CreateVolume", Size="1", AvailabilityZone="nova"))[0]
    until(cloud, "<status>available</status>", "DescribeVolumes", **{"VolumeId.1": volume})
    ask(cloud, "AttachVolume", VolumeId=volume, InstanceId=one, Device="/dev/vdb")
    until(cloud, "<status>in-use</status>", "DescribeVolumes", **{"VolumeId.1": volume})
    assert "<output>" in ask(cloud, "GetConsoleOutput", InstanceId=one)
    ask(cloud, "TerminateInstances", **ids)
    until(cloud, "<status>available</status>", "DescribeVolumes", **{"VolumeId.1": volume})
    ask(cloud, "DeleteVolume", VolumeId=volume)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_embedded_nodes_on_a_database_server(tmp_path: Path, kind: str) -> None:
    with database(kind) as url, running_cloud(tmp_path, "--set", f"sql_connection={url}") as cloud:
        walk(cloud)


@pytest.mark.xdist_group("rabbitmq")
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_nodes_of_their_own_behind_rabbitmq(tmp_path: Path, kind: str) -> None:
    exchange = f"nova-{uuid.uuid4().hex[:8]}"
    with database(kind) as url, broker() as place:
        shared = ["--set", f"sql_connection={url}", "--set", f"rpc_transport={place}"]
        shared += ["--set", f"control_exchange={exchange}", "--set", "rabbit_durable_queues=false"]
        suffix = f"node-{uuid.uuid4().hex[:8]}"
        shared += ["--set", f"host={suffix}"]
        with running_cloud(tmp_path, *shared, "--set", "embedded_nodes=false") as cloud:
            node = spawn(
                "node",
                "--state",
                str(cloud.state),
                *shared,
                "--topics",
                "scheduler,compute,network,volume,cert",
                output=tmp_path / "nova-node.out",
            )
            try:
                walk(cloud)
            finally:
                assert end(node, 30) == 0
