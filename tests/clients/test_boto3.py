"""A user's day with boto3, the SDK of today, unmodified; errors by its own exceptions."""

import base64
import hashlib
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
import botocore.config
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization

from tests.clients.conftest import Account

# botocore leaves its connection pools to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

NO_RETRY = botocore.config.Config(retries={"max_attempts": 0})
QUICK = {"Delay": 0.1, "MaxAttempts": 300}


def client(who: Account, **more: Any) -> Any:
    return boto3.client(
        "ec2",
        endpoint_url=who.url,
        region_name="nova",
        aws_access_key_id=who.access,
        aws_secret_access_key=more.pop("secret", who.secret),
        config=NO_RETRY,
        **more,
    )


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    """The error code that a call ends in."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def machine_image(ec2: Any) -> dict[str, Any]:
    found = ec2.describe_images(Filters=[{"Name": "image-type", "Values": ["machine"]}])["Images"]
    return next(image for image in found if image["Name"] == "oracle-ami")


def test_a_users_day(perf: Account) -> None:
    ec2 = client(perf)
    image = machine_image(ec2)

    pair = ec2.create_key_pair(KeyName="boto3-day")
    private = serialization.load_pem_private_key(pair["KeyMaterial"].encode(), None)
    line = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    digest = hashlib.md5(base64.b64decode(line.split()[1]), usedforsecurity=False).hexdigest()
    assert pair["KeyFingerprint"] == ":".join(digest[at : at + 2] for at in range(0, 32, 2))

    group = ec2.create_security_group(GroupName="boto3-day", Description="web & <ssh>")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
            {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        ],
    )
    [described] = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert described["Description"] == "web & <ssh>"
    assert {p["IpProtocol"] for p in described["IpPermissions"]} == {"tcp", "icmp"}

    run = ec2.run_instances(
        ImageId=image["ImageId"],
        InstanceType="m1.tiny",
        MinCount=1,
        MaxCount=1,
        KeyName="boto3-day",
        SecurityGroupIds=[group],
        UserData="#!/bin/sh\necho hello\n",
        ClientToken="0b4cae6a-boto3-day",
    )
    [started] = run["Instances"]
    instance = started["InstanceId"]
    assert started["State"]["Name"] in ("pending", "running")
    again = ec2.run_instances(
        ImageId=image["ImageId"],
        InstanceType="m1.tiny",
        MinCount=1,
        MaxCount=1,
        KeyName="boto3-day",
        SecurityGroupIds=[group],
        UserData="#!/bin/sh\necho hello\n",
        ClientToken="0b4cae6a-boto3-day",
    )
    assert [one["InstanceId"] for one in again["Instances"]] == [instance]
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=QUICK)

    [reservation] = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    [running] = reservation["Instances"]
    assert running["KeyName"] == "boto3-day"
    assert [g["GroupName"] for g in running["SecurityGroups"]] == ["boto3-day"]
    assert running["PrivateIpAddress"].startswith("10.0.")

    console = ec2.get_console_output(InstanceId=instance)["Output"]
    assert running["PrivateIpAddress"] in console

    asked = urllib.request.Request(
        f"{perf.metadata}/latest/user-data", headers={"X-Forwarded-For": running["PrivateIpAddress"]}
    )
    with urllib.request.urlopen(asked) as answer:
        assert answer.read() == b"#!/bin/sh\necho hello\n"

    address = ec2.allocate_address()["PublicIp"]
    ec2.associate_address(InstanceId=instance, PublicIp=address)
    [held] = ec2.describe_addresses(PublicIps=[address])["Addresses"]
    assert held["InstanceId"] == instance
    assert refused(ec2.release_address, PublicIp=address) == "InvalidIPAddress.InUse"
    ec2.disassociate_address(PublicIp=address)
    ec2.release_address(PublicIp=address)

    volume = ec2.create_volume(Size=1, AvailabilityZone="nova")["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=QUICK)
    attached = ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/vdb")
    assert (attached["State"], attached["Device"]) == ("attaching", "/dev/vdb")
    ec2.get_waiter("volume_in_use").wait(VolumeIds=[volume], WaiterConfig=QUICK)
    snapshot = ec2.create_snapshot(VolumeId=volume, Description="nightly")["SnapshotId"]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig=QUICK)
    ec2.detach_volume(VolumeId=volume)
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=QUICK)
    ec2.delete_snapshot(SnapshotId=snapshot)
    wait_until_gone(ec2.describe_snapshots, SnapshotIds=[snapshot])
    ec2.delete_volume(VolumeId=volume)
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[volume], WaiterConfig=QUICK)

    [stopping] = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"]
    assert stopping["PreviousState"]["Name"] == "running"
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance], WaiterConfig=QUICK)
    ec2.start_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=QUICK)
    ec2.reboot_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=QUICK)

    user_data = ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")
    assert base64.b64decode(user_data["UserData"]["Value"]) == b"#!/bin/sh\necho hello\n"

    made = when_idle(ec2.create_image, InstanceId=instance, Name="boto3-day", NoReboot=True)["ImageId"]
    ec2.get_waiter("image_available").wait(ImageIds=[made], WaiterConfig=QUICK)
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"Group": "all"}]})
    permissions = ec2.describe_image_attribute(ImageId=made, Attribute="launchPermission")
    assert permissions["LaunchPermissions"] == [{"Group": "all"}]
    ec2.deregister_image(ImageId=made)

    [ending] = ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"]
    assert ending["PreviousState"]["Name"] == "running"
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=QUICK)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_key_pair(KeyName="boto3-day")


def when_idle(call: Callable[..., Any], **arguments: Any) -> Any:
    """Ask again while the instance is still at its last task: a reboot does not show in its state."""
    for _ in range(100):
        try:
            return call(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] != "IncorrectInstanceState":
                raise
            time.sleep(0.1)
    raise AssertionError("the instance stays busy")


def wait_until_gone(describe: Callable[..., Any], **arguments: Any) -> None:
    """Ask until the client says that there is no such thing."""
    for _ in range(300):
        try:
            describe(**arguments)
        except ClientError as error:
            assert error.response["Error"]["Code"].endswith(".NotFound")
            return
        time.sleep(0.1)
    raise AssertionError("it stays")


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [
        ("describe_instances", {"InstanceIds": ["i-0fffffff"]}, "InvalidInstanceID.NotFound"),
        ("describe_instances", {"InstanceIds": ["bogus"]}, "InvalidInstanceID.Malformed"),
        ("describe_volumes", {"VolumeIds": ["vol-0fffffff"]}, "InvalidVolume.NotFound"),
        ("describe_snapshots", {"SnapshotIds": ["snap-0fffffff"]}, "InvalidSnapshot.NotFound"),
        ("describe_images", {"ImageIds": ["ami-0fffffff"]}, "InvalidAMIID.NotFound"),
        ("describe_key_pairs", {"KeyNames": ["no-such-pair"]}, "InvalidKeyPair.NotFound"),
        ("describe_security_groups", {"GroupNames": ["no-such-group"]}, "InvalidGroup.NotFound"),
        (
            "associate_address",
            {"InstanceId": "i-0fffffff", "PublicIp": "192.0.2.1"},
            "InvalidInstanceID.NotFound",
        ),
        ("release_address", {"PublicIp": "192.0.2.1"}, "InvalidAddress.NotFound"),
        ("create_volume", {"Size": 1, "AvailabilityZone": "mars"}, "InvalidZone.NotFound"),
        (
            "describe_images",
            {"Filters": [{"Name": "no-such-filter", "Values": ["x"]}]},
            "InvalidParameterValue",
        ),
        ("describe_regions", {"DryRun": True}, "DryRunOperation"),
    ],
)
def test_errors_have_the_codes_that_scripts_know(
    alice: Account, method: str, arguments: dict[str, Any], code: str
) -> None:
    assert refused(getattr(client(alice), method), **arguments) == code


def test_duplicates_have_the_codes_that_scripts_know(alice: Account) -> None:
    ec2 = client(alice)
    ec2.create_key_pair(KeyName="twice")
    ec2.create_security_group(GroupName="twice", Description="d")
    try:
        assert refused(ec2.create_key_pair, KeyName="twice") == "InvalidKeyPair.Duplicate"
        assert refused(ec2.create_security_group, GroupName="twice", Description="d") == "InvalidGroup.Duplicate"
    finally:
        ec2.delete_key_pair(KeyName="twice")
        ec2.delete_security_group(GroupName="twice")


def test_a_wrong_secret_is_an_auth_failure(bob: Account) -> None:
    assert refused(client(bob, secret="wrong").describe_regions) == "AuthFailure"


def test_session_tokens_are_refused_clearly(alice: Account) -> None:
    with pytest.raises(ClientError) as caught:
        client(alice, aws_session_token="token").describe_regions()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 401, 403)


def test_the_presigned_form_works(alice: Account) -> None:
    url = client(alice).generate_presigned_url("describe_regions", HttpMethod="GET")
    with urllib.request.urlopen(url) as answer:
        assert b"<regionName>nova</regionName>" in answer.read()


def test_another_project_sees_nothing(alice: Account, bob: Account) -> None:
    volume = client(alice).create_volume(Size=1, AvailabilityZone="nova")["VolumeId"]
    try:
        assert refused(client(bob).describe_volumes, VolumeIds=[volume]) == "InvalidVolume.NotFound"
        assert refused(client(bob).delete_volume, VolumeId=volume) == "InvalidVolume.NotFound"
        assert volume not in [v["VolumeId"] for v in client(bob).describe_volumes()["Volumes"]]
    finally:
        ec2 = client(alice)
        ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=QUICK)
        ec2.delete_volume(VolumeId=volume)


def test_pages(perf: Account) -> None:
    ec2 = client(perf)
    image = machine_image(ec2)["ImageId"]
    made = ec2.run_instances(ImageId=image, InstanceType="m1.tiny", MinCount=7, MaxCount=7)
    ids = sorted(one["InstanceId"] for one in made["Instances"])
    try:
        pages = ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": "reservation-id", "Values": [made["ReservationId"]]}],
            PaginationConfig={"PageSize": 5},
        )
        seen = [[i["InstanceId"] for r in page["Reservations"] for i in r["Instances"]] for page in pages]
        assert [len(page) for page in seen] == [5, 2]
        assert sorted(sum(seen, [])) == ids
    finally:
        ec2.terminate_instances(InstanceIds=ids)
