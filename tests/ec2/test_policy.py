"""Which rules of the policy file an action asks (spec ec2.md 2.10)."""

from typing import Any

import pytest

from nova_api import errors
from nova_api.cloud.policy import Policy
from nova_api.testing import Cloud
from tests.ec2.conftest import ESSEX, ask, refuse

INSTANCE, VOLUME = {"InstanceId": "i-00000001"}, {"VolumeId": "vol-00000001"}
ATTACH = {**INSTANCE, **VOLUME, "Device": "/dev/vdc"}
#: In an order in which each is possible.
ASKED: list[tuple[str, dict[str, str], str]] = [
    ("DescribeInstanceAttribute", {**INSTANCE, "Attribute": "instanceType"}, "compute:get"),
    ("GetConsoleOutput", INSTANCE, "compute:get compute:get_console_output"),
    ("RebootInstances", INSTANCE, "compute:get compute:reboot"),
    ("AssociateAddress", {**INSTANCE, "PublicIp": "172.24.4.225"}, "compute:get compute:associate_floating_ip"),
    ("DescribeVolumes", {}, "volume:get_all"),
    ("DescribeVolumes", VOLUME, "volume:get"),
    ("CreateSnapshot", VOLUME, "volume:get volume:create_snapshot"),
    ("DescribeSnapshots", {}, "volume:get_all_snapshots"),
    ("DescribeSnapshots", {"SnapshotId": "snap-00000001"}, "volume:get_snapshot"),
    (
        "CreateVolume",
        {"SnapshotId": "snap-00000001", "AvailabilityZone": "nova"},
        "volume:create volume:get_snapshot",
    ),
    ("DeleteSnapshot", {"SnapshotId": "snap-00000001"}, "volume:get_snapshot volume:delete_snapshot"),
    (
        "AttachVolume",
        ATTACH,
        "compute:get compute:attach_volume volume:get volume:check_attach volume:reserve_volume volume:update",
    ),
    ("DetachVolume", VOLUME, "volume:get compute:detach_volume volume:check_detach"),
    ("DeleteVolume", {"VolumeId": "vol-00000002"}, "volume:get volume:delete"),
    ("StopInstances", INSTANCE, "compute:get compute:stop"),
    ("StartInstances", INSTANCE, "compute:get compute:start"),
    ("TerminateInstances", INSTANCE, "compute:get compute:delete"),
]


@pytest.fixture
def asked(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    ask(cloud, "RunInstances", ESSEX, ImageId="ami-00000003", MinCount="1", MaxCount="1")
    ask(cloud, "AllocateAddress", ESSEX)
    ask(cloud, "CreateVolume", ESSEX, Size="1", AvailabilityZone="nova")
    cloud.settle()
    found: list[str] = []
    original = Policy.check

    def check(self: Policy, context: Any, action: str, target: Any = None) -> None:
        if action not in found:
            found.append(action)
        original(self, context, action, target)

    monkeypatch.setattr(Policy, "check", check)
    return found


def test_every_rule_is_asked(cloud: Cloud, asked: list[str]) -> None:
    for action, params, rules in ASKED:
        asked.clear()
        ask(cloud, action, ESSEX, **params)
        cloud.settle()
        assert asked == rules.split(), action


@pytest.mark.usefixtures("asked")
def test_each_of_them_can_refuse(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for action, params, rules in ASKED:
        for rule in rules.split():

            def check(self: Policy, context: Any, action: str, target: Any = None, rule: str = rule) -> None:
                if action == rule:
                    raise errors.PolicyNotAuthorized(action)

            with monkeypatch.context() as patch:
                patch.setattr(Policy, "check", check)
                told = f"Policy doesn't allow {rule} to be performed."
                assert refuse(cloud, action, ESSEX, **params) == (400, "PolicyNotAuthorized", told)
        ask(cloud, action, ESSEX, **params)
        cloud.settle()
