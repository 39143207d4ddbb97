"""The process dies in the middle, and nothing that was accepted is lost."""

import re
import time
from pathlib import Path

from tests.servers import RunningCloud, running_cloud
from tests.wire.conftest import get, signed_query

MANY = 50


def ask(cloud: RunningCloud, action: str, **params: str) -> str:
    answer = get(cloud, signed_query(cloud, [("Action", action), *params.items()]))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return answer.decode()


def states(cloud: RunningCloud) -> dict[str, str]:
    text = ask(cloud, "DescribeInstances")
    return dict(re.findall(r"<instanceId>(i-[0-9a-f]+)</instanceId>.*?<instanceState>.*?<name>([a-z-]+)</name>", text))


def wait_for(cloud: RunningCloud, wanted: int) -> dict[str, str]:
    until = time.monotonic() + 120
    while True:
        found = states(cloud)
        if sum(state == "running" for state in found.values()) >= wanted:
            return found
        assert time.monotonic() < until, found
        time.sleep(0.2)


def document(folder: Path) -> Path:
    """The conformance world with room for the test's instances."""
    import json

    from tests.servers import BOOTSTRAP

    world = json.loads(BOOTSTRAP.read_text())
    world["quotas"]["acme"] = {"instances": MANY, "cores": MANY, "ram": MANY * 512}
    path = folder / "bootstrap.json"
    path.write_text(json.dumps(world))
    return path


def test_sigkill_while_instances_build(tmp_path: Path) -> None:
    world = document(tmp_path)
    slow = ("--set", "simulated_boot_seconds=3")
    with running_cloud(tmp_path, *slow, bootstrap=world) as cloud:
        text = ask(
            cloud,
            "RunInstances",
            ImageId="ami-00000003",
            InstanceType="m1.tiny",
            MinCount="50",
            MaxCount="50",
        )
        started = set(re.findall(r"<instanceId>(i-[0-9a-f]+)<", text))
        assert len(started) == MANY
        time.sleep(0.5)
        cloud.kill()
    with running_cloud(tmp_path, bootstrap=world) as cloud:
        found = wait_for(cloud, MANY)
        assert set(found) == started
        assert set(found.values()) == {"running"}
        text = ask(cloud, "DescribeInstances")
        addresses = re.findall(r"<privateIpAddress>([0-9.]+)</privateIpAddress>", text)
        assert len(addresses) == len(set(addresses)) == MANY
        # The quota is used up exactly: one more is refused, and after one has ended one more fits.
        answer = get(
            cloud,
            signed_query(cloud, [("Action", "RunInstances"), ("ImageId", "ami-00000003"), ("InstanceType", "m1.tiny")]),
        )
        assert b"InstanceLimitExceeded" in answer
        ask(cloud, "TerminateInstances", **{f"InstanceId.{n}": i for n, i in enumerate(sorted(started), 1)})
        until = time.monotonic() + 60
        while states(cloud) and set(states(cloud).values()) != {"terminated"}:
            assert time.monotonic() < until, states(cloud)
            time.sleep(0.2)
        # Every address is back: the same number fits again.
        ask(
            cloud,
            "RunInstances",
            ImageId="ami-00000003",
            InstanceType="m1.tiny",
            MinCount="50",
            MaxCount="50",
        )
        wait_for(cloud, MANY)
        assert cloud.stop() == 0


def test_sigterm_finishes_and_a_second_start_goes_on(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as cloud:
        ask(cloud, "CreateSecurityGroup", GroupName="kept", GroupDescription="d")
        assert cloud.stop() == 0
    with running_cloud(tmp_path) as cloud:
        assert "<groupName>kept</groupName>" in ask(cloud, "DescribeSecurityGroups")
