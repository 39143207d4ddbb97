"""What the actions tell the nodes: topics, methods and arguments of 2012.1 (spec ec2.md 6.2)."""

from collections.abc import Iterable
from typing import Any

import pytest

from nova_api.rpc.outbox import Outbox
from nova_api.testing import Cloud
from tests.ec2.conftest import ESSEX, ask

ALLOWED = {"GroupName": "default", "IpProtocol": "tcp", "FromPort": "22", "ToPort": "22", "CidrIp": "0.0.0.0/0"}
INSTANCE, VOLUME = {"InstanceId": "i-00000001"}, {"VolumeId": "vol-00000001"}
ADDRESS = "172.24.4.225"


@pytest.fixture
def sent(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    found: list[tuple[str, str, dict[str, Any]]] = []
    one, many = Outbox.cast, Outbox.cast_many

    def cast(self: Outbox, tx: Any, context: Any, topic: str, method: str, /, **args: Any) -> None:
        found.append((topic, method, args))
        one(self, tx, context, topic, method, **args)

    def cast_many(self: Outbox, tx: Any, context: Any, messages: Iterable[Any]) -> None:
        found.extend(messages := list(messages))
        many(self, tx, context, messages)

    monkeypatch.setattr(Outbox, "cast", cast)
    monkeypatch.setattr(Outbox, "cast_many", cast_many)
    return found


def test_messages(cloud: Cloud, sent: list[Any]) -> None:
    ask(cloud, "AllocateAddress", ESSEX)
    ask(cloud, "RunInstances", ESSEX, ImageId="ami-00000003", MinCount="1", MaxCount="1")
    uuid = sent[0][2]["request_spec"]["instance_properties"]["uuid"]
    cloud.settle()
    compute, volume = f"compute.{cloud.description['host']}", f"volume.{cloud.description['host']}"
    fixed, this = {"floating_address": ADDRESS, "fixed_address": "10.0.0.2"}, {"instance_uuid": uuid}
    for action, params, *told in [
        (
            "AssociateAddress",
            {**INSTANCE, "PublicIp": ADDRESS},
            "network",
            "associate_floating_ip",
            {
                **fixed,
                "affect_auto_assigned": False,
            },
        ),
        ("DisassociateAddress", {"PublicIp": ADDRESS}, "network", "disassociate_floating_ip", {"address": ADDRESS}),
        ("RebootInstances", INSTANCE, compute, "reboot_instance", {**this, "reboot_type": "HARD"}),
        (
            "CreateVolume",
            {"Size": "1", "AvailabilityZone": "nova"},
            "scheduler",
            "create_volume",
            {
                "topic": "volume",
                "volume_id": 1,
                "snapshot_id": None,
            },
        ),
        (
            "AttachVolume",
            {**VOLUME, **INSTANCE, "Device": "/dev/vdc"},
            compute,
            "attach_volume",
            {
                **this,
                "volume_id": 1,
                "mountpoint": "/dev/vdc",
            },
        ),
        ("DetachVolume", VOLUME, compute, "detach_volume", {**this, "volume_id": 1}),
        ("CreateSnapshot", VOLUME, volume, "create_snapshot", {"volume_id": 1, "snapshot_id": 1}),
        ("DeleteSnapshot", {"SnapshotId": "snap-00000001"}, volume, "delete_snapshot", {"snapshot_id": 1}),
        ("DeleteVolume", VOLUME, volume, "delete_volume", {"volume_id": 1}),
        ("AuthorizeSecurityGroupIngress", ALLOWED, compute, "refresh_security_group_rules", {"security_group_id": 1}),
        ("RevokeSecurityGroupIngress", ALLOWED, compute, "refresh_security_group_rules", {"security_group_id": 1}),
        ("StopInstances", INSTANCE, compute, "stop_instance", this),
        ("StartInstances", INSTANCE, compute, "start_instance", this),
        ("TerminateInstances", INSTANCE, compute, "terminate_instance", this),
    ]:
        sent.clear()
        ask(cloud, action, ESSEX, **params)
        assert sent[0] == tuple(told)
        cloud.settle()


def test_what_the_scheduler_is_told_of_a_launch(cloud: Cloud, sent: list[Any]) -> None:
    wanted = {
        "BlockDeviceMapping__1__DeviceName": "/dev/vdc",
        "BlockDeviceMapping__1__VirtualName": "ephemeral0",
        "UserData": "c2VjcmV0",
    }
    ask(cloud, "RunInstances", ESSEX, ImageId="ami-00000004", MinCount="2", MaxCount="2", **wanted)
    topic, method, args = sent[0]
    spec = args.pop("request_spec")
    assert (topic, method, args) == (
        "scheduler",
        "run_instance",
        {
            "topic": "compute",
            "admin_password": None,
            "injected_files": None,
            "requested_networks": None,
            "is_first_time": True,
            "filter_properties": {"force_hosts": [], "scheduler_hints": None},
        },
    )
    assert (spec["num_instances"], spec["security_group"]) == (2, ["default"])
    (device,) = spec["block_device_mapping"]
    assert (device["device_name"], device["virtual_name"], device["snapshot_id"]) == ("/dev/vdc", "ephemeral0", None)
    assert spec["instance_type"].items() >= {"name": "m1.small", "flavorid": "2", "swap": 0, "extra_specs": {}}.items()
    told = spec["instance_properties"]
    assert told.items() >= {
        "image_ref": spec["image"]["id"], "kernel_id": "", "ramdisk_id": "", "power_state": 0, "vm_state": "building",
        "config_drive_id": "", "config_drive": "", "user_id": "alice", "project_id": "acme", "memory_mb": 2048,
        "vcpus": 1, "root_gb": 20, "ephemeral_gb": 0, "display_name": None, "display_description": "",
        "key_name": None, "locked": False, "metadata": {}, "access_ip_v4": None, "access_ip_v6": None,
        "availability_zone": None, "os_type": None, "architecture": None, "vm_mode": None, "progress": 0,
        "auto_disk_config": None,
    }.items()  # fmt: skip
    assert {"reservation_id", "launch_time", "instance_type_id", "root_device_name"} <= told.keys()
    assert "uuid" not in told
    assert "c2VjcmV0" not in str(sent)
