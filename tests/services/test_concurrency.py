"""Sixteen requests at once against two nova-api processes on one database: limits and states admit one of them."""

import http.client
import json
import re
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api.db import models, quotas
from nova_api.db.engine import Database
from tests.servers import RunningCloud, broker, end, running_cloud, spawn
from tests.services.test_whole_cloud import database
from tests.wire.conftest import get, signed_query

pytestmark = pytest.mark.xdist_group("concurrency")

AT_ONCE = 16
IMAGE = "ami-00000003"
#: What a refusal may be: bad request, forbidden, conflict, over the limit.
REFUSALS = {400, 403, 409, 413}


@dataclass
class Pair:
    """Two API processes, a node, and their database.

    :ivar token: of alice, good at both
    """

    clouds: list[RunningCloud]
    node: Any
    db: Database
    token: str = ""

    def ec2(self, number: int, action: str, **params: str) -> tuple[int, str]:
        """Status and text of an answer of a process."""
        cloud = self.clouds[number % 2]
        answer = get(cloud, signed_query(cloud, [("Action", action), *params.items()])).decode()
        return int(answer.split(" ", 2)[1]), answer

    def openstack(self, number: int, method: str, path: str, document: Any = None, **headers: str) -> tuple[int, str]:
        """:meth:`ec2` at the other door."""
        connection = http.client.HTTPConnection("127.0.0.1", self.clouds[number % 2].port("compute_v1.1"), timeout=90)
        try:
            given = {"X-Auth-Token": self.token, "Content-Type": "application/json", **headers}
            body = None if document is None else json.dumps(document)
            connection.request(method, f"/v1.1{path}", body, given)
            answer = connection.getresponse()
            text = answer.read().decode()
            self.token = answer.headers.get("X-Auth-Token") or self.token
            return answer.status, text
        finally:
            connection.close()

    def done(self, action: str, **params: str) -> str:
        """The answer to what has to succeed."""
        status, text = self.ec2(0, action, **params)
        assert status == 200, text
        return text

    def until(self, wanted: str, action: str, **params: str) -> None:
        end = time.monotonic() + 90
        while wanted not in (text := self.done(action, **params)):
            assert time.monotonic() < end, text
            time.sleep(0.1)

    def used(self, resource: str) -> int:
        with self.db.read() as conn:
            return quotas.used(conn, "acme", resource)

    def leave_one(self, resource: str, used: int | None = None) -> int:
        """Have the project's limit admit one more of a resource.

        :param used: how many there are, where the project is not who they count for
        """
        limit = 1 + (self.used(resource) if used is None else used)
        self.db.write(lambda tx: quotas.set_limit(tx, "acme", resource, limit))
        return limit

    def race(self, *ways: Callable[[int], tuple[int, str]]) -> str:
        """Go each way as often as any other, all at once, over both processes.

        :param ways: called with a number; even ones are for one process, odd ones for the other
        :returns: the answer to the one that was admitted
        """
        start = threading.Barrier(AT_ONCE)
        answers: list[tuple[int, str]] = []

        def go(number: int) -> None:
            start.wait(60)
            answers.append(ways[(number // 2) % len(ways)](number))

        threads = [threading.Thread(target=go, args=(number,)) for number in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert len(answers) == AT_ONCE
        admitted = [text for status, text in answers if status < 300]
        others = Counter(status for status, _ in answers if status >= 300)
        assert len(admitted) == 1 and set(others) <= REFUSALS, (others, answers)
        return admitted[0]


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder: Path = tmp_path_factory.mktemp("pair")
    with database(request.param) as url, broker() as place:
        settings = {
            "sql_connection": url,
            "rpc_transport": place,
            "secret_key_file": f"{folder}/secret.key",
            "embedded_nodes": "false",
            "simulated_immediate": "true",
            "lockout_attempts": "1000000",
        }
        shared = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        (folder / "one").mkdir()
        (folder / "two").mkdir()
        with running_cloud(folder / "one", *shared) as one, running_cloud(folder / "two", *shared) as two:
            topics = ("--topics", "scheduler,compute,network,volume,cert")
            name = ("--set", f"host=node-{uuid.uuid4().hex[:8]}")
            output = folder / "nova-node.out"
            node = spawn("node", "--state", str(folder / "node"), *shared, *name, *topics, output=output)
            db = Database(url)
            made = Pair([one, two], node, db)
            given = {"X-Auth-User": "alice", "X-Auth-Key": one.cloud["users"]["alice"]["os_key"]}
            try:
                assert made.openstack(0, "GET", "/", **given)[0] == 204
                until = time.monotonic() + 60
                while b"is up as" not in output.read_bytes():
                    assert node.poll() is None and time.monotonic() < until, output.read_text()
                    time.sleep(0.05)
                yield made
            finally:
                db.close()
                node.send_signal(signal.SIGCONT)
                assert end(node, 60) == 0


@pytest.fixture(autouse=True)
def whole(pair: Pair) -> Iterator[None]:
    """No test leaves a defect in a log."""
    yield
    for cloud in pair.clouds:
        assert "Traceback" not in cloud.log_path.read_text()


def image_of(pair: Pair) -> str:
    with pair.db.read() as conn:
        query = sa.select(models.images.c.uuid).where(models.images.c.id == int(IMAGE[4:], 16))
        return str(conn.execute(query).scalar_one())


def boot(pair: Pair) -> tuple[str, str]:
    """A running server; its id at EC2 and its UUID."""
    for resource in ("instances", "cores", "ram"):
        pair.db.write(lambda tx, resource=resource: quotas.set_limit(tx, "acme", resource, None))
    text = pair.done("RunInstances", ImageId=IMAGE, InstanceType="m1.tiny", MinCount="1", MaxCount="1")
    (number,) = re.findall(r"<instanceId>(i-[0-9a-f]+)<", text)
    pair.until("<name>running</name>", "DescribeInstances", **{"InstanceId.1": number})
    with pair.db.read() as conn:
        query = sa.select(models.instances.c.uuid).where(models.instances.c.id == int(number[2:], 16))
        return number, str(conn.execute(query).scalar_one())


def free_volume(pair: Pair) -> str:
    for resource in ("volumes", "gigabytes"):
        pair.db.write(lambda tx, resource=resource: quotas.set_limit(tx, "acme", resource, None))
    (volume,) = re.findall(r"vol-[0-9a-f]+", pair.done("CreateVolume", Size="1", AvailabilityZone="nova"))
    pair.until("<status>available</status>", "DescribeVolumes", **{"VolumeId.1": volume})
    return volume


@pytest.mark.parametrize("resource", ["instances", "cores", "ram"])
def test_servers(pair: Pair, resource: str) -> None:
    for other in ("instances", "cores", "ram"):
        pair.db.write(lambda tx, other=other: quotas.set_limit(tx, "acme", other, None))
    before = pair.used("instances")
    limit = pair.leave_one(resource)
    if resource == "ram":  # one more server of the smallest flavor has 512 of them
        limit += 511
        pair.db.write(lambda tx: quotas.set_limit(tx, "acme", "ram", limit))
    server = {"server": {"name": "one", "imageRef": image_of(pair), "flavorRef": "1"}}
    pair.race(
        lambda n: pair.ec2(n, "RunInstances", ImageId=IMAGE, InstanceType="m1.tiny", MinCount="1", MaxCount="1"),
        lambda n: pair.openstack(n, "POST", "/acme/servers", server),
    )
    assert (pair.used("instances"), pair.used(resource)) == (before + 1, limit)


@pytest.mark.parametrize("resource", ["volumes", "gigabytes"])
def test_volumes(pair: Pair, resource: str) -> None:
    other = "volumes" if resource == "gigabytes" else "gigabytes"
    pair.db.write(lambda tx: quotas.set_limit(tx, "acme", other, None))
    before, limit = pair.used("volumes"), pair.leave_one(resource)
    volume = {"volume": {"size": 1, "display_name": "one"}}
    pair.race(
        lambda n: pair.ec2(n, "CreateVolume", Size="1", AvailabilityZone="nova"),
        lambda n: pair.openstack(n, "POST", "/acme/os-volumes", volume),
    )
    assert (pair.used("volumes"), pair.used(resource)) == (before + 1, limit)


def test_floating_addresses(pair: Pair) -> None:
    limit = pair.leave_one("floating_ips")
    pair.race(
        lambda n: pair.ec2(n, "AllocateAddress"), lambda n: pair.openstack(n, "POST", "/acme/os-floating-ips", {})
    )
    assert pair.used("floating_ips") == limit


def test_security_groups(pair: Pair) -> None:
    pair.done("DescribeSecurityGroups")  # the default one counts too, and is made when it is first needed
    limit = pair.leave_one("security_groups")

    def group(number: int) -> dict[str, str]:
        return {"name": f"group-{uuid.uuid4().hex[:8]}", "description": f"of {number}"}

    def by_ec2(number: int) -> tuple[int, str]:
        made = group(number)
        return pair.ec2(number, "CreateSecurityGroup", GroupName=made["name"], GroupDescription=made["description"])

    pair.race(by_ec2, lambda n: pair.openstack(n, "POST", "/acme/os-security-groups", {"security_group": group(n)}))
    assert pair.used("security_groups") == limit


def test_one_name_of_a_key_pair(pair: Pair) -> None:
    name = f"key-{uuid.uuid4().hex[:8]}"
    pair.race(
        lambda n: pair.ec2(n, "CreateKeyPair", KeyName=name),
        lambda n: pair.openstack(n, "POST", "/acme/os-keypairs", {"keypair": {"name": name}}),
    )
    with pair.db.read() as conn:
        mine = sa.select(sa.func.count()).where(models.key_pairs.c.name == name)
        assert conn.execute(mine).scalar_one() == 1


def test_key_pairs(pair: Pair) -> None:
    with pair.db.read() as conn:
        before = quotas.key_pairs_of(conn, "alice")
    limit = pair.leave_one("key_pairs", before)

    def name() -> str:
        return f"key-{uuid.uuid4().hex}"

    pair.race(
        lambda n: pair.ec2(n, "CreateKeyPair", KeyName=name()),
        lambda n: pair.openstack(n, "POST", "/acme/os-keypairs", {"keypair": {"name": name()}}),
    )
    pair.db.write(lambda tx: quotas.set_limit(tx, "acme", "key_pairs", None))
    with pair.db.read() as conn:
        assert quotas.key_pairs_of(conn, "alice") == limit


def test_rules_of_a_security_group(pair: Pair) -> None:
    pair.db.write(lambda tx: quotas.set_limit(tx, "acme", "security_groups", None))
    name = f"rules-{uuid.uuid4().hex[:8]}"
    pair.done("CreateSecurityGroup", GroupName=name, GroupDescription="of rules")
    with pair.db.read() as conn:
        groups = models.security_groups
        group = conn.execute(sa.select(groups.c.id).where(groups.c.name == name)).scalar_one()
    port = iter(range(1000, 2000))
    limit = pair.leave_one("security_group_rules", 0)

    def by_ec2(number: int) -> tuple[int, str]:
        one = str(next(port))
        given = {"GroupName": name, "IpProtocol": "tcp", "FromPort": one, "ToPort": one, "CidrIp": "10.0.0.0/8"}
        return pair.ec2(number, "AuthorizeSecurityGroupIngress", **given)

    def by_openstack(number: int) -> tuple[int, str]:
        one = next(port)
        rule = {"parent_group_id": group, "ip_protocol": "tcp", "from_port": one, "to_port": one, "cidr": "10.0.0.0/8"}
        return pair.openstack(number, "POST", "/acme/os-security-group-rules", {"security_group_rule": rule})

    pair.race(by_ec2, by_openstack)
    with pair.db.read() as conn:
        assert quotas.rules_of(conn, group) == limit


def test_conflicting_changes_of_one_server(pair: Pair) -> None:
    number, server = boot(pair)
    pair.node.send_signal(signal.SIGSTOP)  # nothing is finished before everybody has asked
    try:
        pair.race(
            lambda n: pair.ec2(n, "RebootInstances", **{"InstanceId.1": number}),
            lambda n: pair.openstack(n, "POST", f"/acme/servers/{server}/action", {"pause": None}),
            lambda n: pair.openstack(n, "POST", f"/acme/servers/{server}/action", {"suspend": None}),
            lambda n: pair.openstack(n, "POST", f"/acme/servers/{server}/action", {"resize": {"flavorRef": "2"}}),
        )
        with pair.db.read() as conn:
            row = conn.execute(sa.select(models.instances).where(models.instances.c.uuid == server)).one()
            assert row.task_state is not None
    finally:
        pair.node.send_signal(signal.SIGCONT)


def test_one_volume_goes_to_one_server(pair: Pair) -> None:
    servers = [boot(pair) for _ in range(2)]
    volume = free_volume(pair)
    number = str(int(volume[4:], 16))

    def by_ec2(n: int) -> tuple[int, str]:
        return pair.ec2(n, "AttachVolume", VolumeId=volume, InstanceId=servers[n % 2][0], Device="/dev/vdf")

    def by_openstack(n: int) -> tuple[int, str]:
        attachment = {"volumeAttachment": {"volumeId": number, "device": "/dev/vdf"}}
        return pair.openstack(n, "POST", f"/acme/servers/{servers[n % 2][1]}/os-volume_attachments", attachment)

    pair.race(by_ec2, by_openstack)
    pair.until("<status>in-use</status>", "DescribeVolumes", **{"VolumeId.1": volume})
    pair.race(
        lambda n: pair.ec2(n, "DetachVolume", VolumeId=volume),
        lambda n: pair.ec2(n, "DetachVolume", VolumeId=volume, Device="/dev/vdf"),
    )
    pair.until("<status>available</status>", "DescribeVolumes", **{"VolumeId.1": volume})
    with pair.db.read() as conn:
        mine = models.block_devices.c.volume_id == int(number)
        assert conn.execute(sa.select(sa.func.count()).where(mine)).scalar_one() == 0


def test_addresses_are_given_out_once(pair: Pair) -> None:
    """As many servers as requests: each has an address of its own."""
    for resource in ("instances", "cores", "ram"):
        pair.db.write(lambda tx, resource=resource: quotas.set_limit(tx, "acme", resource, None))
    before = pair.used("instances")
    start = threading.Barrier(AT_ONCE)
    answers: list[tuple[int, str]] = []

    def go(number: int) -> None:
        start.wait(60)
        answers.append(pair.ec2(number, "RunInstances", ImageId=IMAGE, MinCount="1", MaxCount="1"))

    threads = [threading.Thread(target=go, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [status for status, _ in answers] == [200] * AT_ONCE, answers
    assert pair.used("instances") == before + AT_ONCE
    numbers = [int(one, 16) for _, text in answers for one in re.findall(r"<instanceId>i-([0-9a-f]+)<", text)]
    ids = {f"InstanceId.{n}": f"i-{number:08x}" for n, number in enumerate(numbers, 1)}
    end = time.monotonic() + 120
    while pair.done("DescribeInstances", **ids).count("<name>running</name>") != AT_ONCE:
        assert time.monotonic() < end
        time.sleep(0.2)
    with pair.db.read() as conn:
        held = sa.select(models.fixed_ips.c.instance_id).where(models.fixed_ips.c.instance_id.in_(numbers))
        assert sorted(conn.execute(held).scalars()) == sorted(numbers)
