"""One cloud, two doors: what one makes the other one lists."""

import base64
import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

from tests.clients.conftest import Account, Tenant

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


class Compute:
    """The OpenStack door, with JSON."""

    def __init__(self, who: Tenant) -> None:
        self.who = who

    def ask(self, method: str, path: str, document: Any = None, status: int = 200) -> Any:
        connection = http.client.HTTPConnection(self.who.host, self.who.port, timeout=30)
        headers = {"X-Auth-Token": self.who.token, "Content-Type": "application/json"}
        body = None if document is None else json.dumps(document)
        connection.request(method, f"/v2/{self.who.project}{path}", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.status == status, text
        return json.loads(text) if text else None

    def wait(self, server: str, status: str) -> Any:
        for _ in range(300):
            found = self.ask("GET", f"/servers/{server}")["server"]
            if found["status"] == status:
                return found
            time.sleep(0.1)
        raise AssertionError(f"it is {found['status']}")


@pytest.fixture
def compute(tenant_perf: Tenant) -> Compute:
    return Compute(tenant_perf)


@pytest.fixture
def ec2(perf: Account) -> Any:
    return boto3.client(
        "ec2",
        endpoint_url=perf.url,
        region_name="nova",
        aws_access_key_id=perf.access,
        aws_secret_access_key=perf.secret,
        config=Config(retries={"max_attempts": 1}),
    )


def instance(ec2: Any, name: str) -> Any:
    return ec2.describe_instances(InstanceIds=[name])["Reservations"][0]["Instances"][0]


def number_of(compute: Compute, name: str) -> str:
    """The UUID of an instance: its number is an id at the other door too."""
    return str(compute.ask("GET", f"/servers/{int(name[2:], 16)}")["server"]["id"])


def test_what_ec2_starts(ec2: Any, compute: Compute) -> None:
    ec2.create_key_pair(KeyName="two-doors")
    group = ec2.create_security_group(GroupName="two-doors", Description="d")["GroupId"]
    image = next(one for one in ec2.describe_images()["Images"] if one["Name"] == "oracle-ami")["ImageId"]
    made = ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        InstanceType="m1.tiny",
        KeyName="two-doors",
        SecurityGroupIds=[group],
        UserData="hello",
    )
    name = made["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[name], WaiterConfig={"Delay": 1})
    server = number_of(compute, name)
    shown = compute.ask("GET", f"/servers/{server}")["server"]
    seen = instance(ec2, name)
    assert (shown["status"], shown["key_name"], shown["flavor"]["id"]) == ("ACTIVE", "two-doors", "1")
    assert [one["addr"] for one in shown["addresses"]["private"]] == [seen["PrivateIpAddress"]]
    listed = compute.ask("GET", f"/servers?reservation_id={made['ReservationId']}")["servers"]
    assert [one["id"] for one in listed] == [server]

    address = ec2.allocate_address()["PublicIp"]
    ec2.associate_address(InstanceId=name, PublicIp=address)
    shown = compute.ask("GET", f"/servers/{server}")["server"]
    assert [one["addr"] for one in shown["addresses"]["private"]] == [seen["PrivateIpAddress"], address]

    ec2.stop_instances(InstanceIds=[name])
    compute.wait(server, "STOPPED")
    assert compute.ask("GET", f"/servers?status=STOPPED&name={shown['name'].split()[0]}")["servers"]
    ec2.start_instances(InstanceIds=[name])
    compute.wait(server, "ACTIVE")
    refused = compute.ask("POST", f"/servers/{server}/action", {"confirmResize": None}, 409)
    assert refused["conflictingRequest"]["code"] == 409

    volume = ec2.create_volume(Size=1, AvailabilityZone="nova")["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    ec2.attach_volume(InstanceId=name, VolumeId=volume, Device="/dev/vdb")
    ec2.get_waiter("volume_in_use").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})

    # The other door ends it: the address is free again, and the volume.
    compute.ask("DELETE", f"/servers/{server}", status=204)
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[name], WaiterConfig={"Delay": 1})
    compute.ask("GET", f"/servers/{server}", status=404)
    assert not ec2.describe_addresses(PublicIps=[address])["Addresses"][0].get("InstanceId")
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    ec2.delete_volume(VolumeId=volume)
    ec2.release_address(PublicIp=address)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_key_pair(KeyName="two-doors")


def test_what_openstack_starts(ec2: Any, compute: Compute, perf: Account) -> None:
    group = ec2.create_security_group(GroupName="other-door", Description="d")["GroupId"]
    images = {one["name"]: one["id"] for one in compute.ask("GET", "/images")["images"]}
    fields = {
        "name": "two-doors",
        "imageRef": images["oracle-ami"],
        "flavorRef": "1",
        "security_groups": [{"name": "other-door"}],
        "user_data": base64.b64encode(b"#!/bin/sh\necho hi").decode(),
    }
    server = compute.ask("POST", "/servers", {"server": fields}, 202)["server"]["id"]
    shown = compute.wait(server, "ACTIVE")
    address = shown["addresses"]["private"][0]["addr"]
    found = ec2.describe_instances(Filters=[{"Name": "private-ip-address", "Values": [address]}])
    seen = found["Reservations"][0]["Instances"][0]
    name = seen["InstanceId"]
    assert number_of(compute, name) == server
    assert (seen["State"]["Name"], seen["InstanceType"]) == ("running", "m1.tiny")
    assert [one["GroupId"] for one in seen["SecurityGroups"]] == [group]

    parts = urlsplit(perf.metadata)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    connection.request("GET", "/latest/user-data", headers={"X-Forwarded-For": address})
    assert connection.getresponse().read() == b"#!/bin/sh\necho hi"
    connection.close()

    compute.ask("POST", f"/servers/{server}/action", {"resize": {"flavorRef": "2"}}, 202)
    compute.wait(server, "VERIFY_RESIZE")
    compute.ask("POST", f"/servers/{server}/action", {"confirmResize": None}, 204)
    assert instance(ec2, name)["InstanceType"] == "m1.small"

    compute.ask("POST", f"/servers/{server}/action", {"createImage": {"name": "seen by both"}}, 202)
    for _ in range(100):
        made = [one for one in ec2.describe_images()["Images"] if one["Name"] == "seen by both"]
        if made and made[0]["State"] == "available":
            break
        time.sleep(0.1)
    again = ec2.run_instances(ImageId=made[0]["ImageId"], MinCount=1, MaxCount=1, InstanceType="m1.small")
    second = again["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[second], WaiterConfig={"Delay": 1})
    ec2.deregister_image(ImageId=made[0]["ImageId"])
    assert "seen by both" not in [one["name"] for one in compute.ask("GET", "/images")["images"]]

    ec2.terminate_instances(InstanceIds=[name, second])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[name, second], WaiterConfig={"Delay": 1})
    compute.ask("GET", f"/servers/{server}", status=404)
    ec2.delete_security_group(GroupId=group)


def test_quotas_are_counted_over_both(ec2: Any, tenant_bob: Tenant, bob: Account) -> None:
    theirs = boto3.client(
        "ec2",
        endpoint_url=bob.url,
        region_name="nova",
        aws_access_key_id=bob.access,
        aws_secret_access_key=bob.secret,
        config=Config(retries={"max_attempts": 1}),
    )
    other = Compute(tenant_bob)
    image = next(one for one in theirs.describe_images()["Images"] if one["Name"] == "oracle-raw")["ImageId"]
    made = theirs.run_instances(ImageId=image, MinCount=9, MaxCount=9, InstanceType="m1.tiny")["Instances"]
    names = [one["InstanceId"] for one in made]
    raw = {one["name"]: one["id"] for one in other.ask("GET", "/images")["images"]}["oracle-raw"]
    fields = {"name": "x", "imageRef": raw, "flavorRef": "1", "min_count": 2}
    refused = other.ask("POST", "/servers", {"server": fields}, 413)
    assert refused["overLimit"]["message"] == "Quota exceeded: code=InstanceLimitExceeded"
    theirs.terminate_instances(InstanceIds=names)
    theirs.get_waiter("instance_terminated").wait(InstanceIds=names, WaiterConfig={"Delay": 1})
