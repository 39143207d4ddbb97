"""The actions through the whole pipeline, in both dialects; the recordings cover the rest (tests/conformance)."""

import base64
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from lxml import etree

from nova_api import errors
from nova_api.context import RequestContext
from nova_api.db import models
from nova_api.ec2.cloud import CloudController
from nova_api.testing import Cloud
from tests.ec2.conftest import ESSEX, MODERN, ask, refuse, send, texts

IMAGE = "ami-00000003"
MAPPINGS = '[{"virtual": "ami", "device": "sda1"}, {"virtual": "root", "device": "/dev/sda1"}]'


def boot(cloud: Cloud, count: int = 1, **params: str) -> list[str]:
    document = ask(
        cloud,
        "RunInstances",
        **{"ImageId": IMAGE, "InstanceType": "m1.tiny", "MinCount": str(count), "MaxCount": str(count), **params},
    )
    cloud.settle()
    return [str(text) for text in texts(document, "instancesSet/item/instanceId")]


def together(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Results or refusals of calls at the same time."""
    results: list[Any] = [None] * count
    gate = threading.Barrier(count)

    def work(at: int) -> None:
        gate.wait()
        try:
            results[at] = call(at)
        except errors.ApiError as error:
            results[at] = error

    threads = [threading.Thread(target=work, args=(at,)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


CONTEXT = RequestContext("alice", "acme", roles=("sysadmin", "netadmin"))


class TestConcurrency:
    """At the limit minus one, exactly one of sixteen is admitted."""

    def admitted(self, results: list[Any], refusal: type[errors.ApiError]) -> int:
        refused = [result for result in results if isinstance(result, errors.ApiError)]
        assert all(isinstance(result, refusal) for result in refused), Counter(map(repr, refused))
        return len(results) - len(refused)

    def test_instances(self, cloud: Cloud) -> None:
        boot(cloud, 9)
        controller = CloudController(cloud.runtime)
        results = together(16, lambda at: controller.run_instances(CONTEXT, image_id=IMAGE, instance_type="m1.tiny"))
        assert self.admitted(results, errors.InstanceLimitExceeded) == 1
        cloud.settle()
        assert len(texts(ask(cloud, "DescribeInstances"), ".//instanceId")) == 10

    def test_key_pairs_of_one_name(self, cloud: Cloud) -> None:
        controller = CloudController(cloud.runtime)
        results = together(4, lambda at: controller.create_key_pair(CONTEXT, "k"))
        assert self.admitted(results, errors.KeyPairExists) == 1

    def test_groups_of_one_name(self, cloud: Cloud) -> None:
        controller = CloudController(cloud.runtime)
        results = together(16, lambda at: controller.create_security_group(CONTEXT, "g", "d"))
        assert self.admitted(results, errors.SecurityGroupExists) == 1

    def test_addresses(self, cloud: Cloud) -> None:
        controller = CloudController(cloud.runtime)
        for _ in range(9):
            controller.allocate_address(CONTEXT)
        results = together(16, lambda at: controller.allocate_address(CONTEXT))
        assert self.admitted(results, errors.AddressLimitExceeded) == 1

    def test_volumes(self, cloud: Cloud) -> None:
        controller = CloudController(cloud.runtime)
        for _ in range(9):
            controller.create_volume(CONTEXT, size=1)
        results = together(16, lambda at: controller.create_volume(CONTEXT, size=1))
        assert self.admitted(results, errors.VolumeLimitExceeded) == 1

    def test_rules(self, cloud: Cloud) -> None:
        controller = CloudController(cloud.runtime)
        cloud.runtime.quotas.set_limit("acme", "security_group_rules", 3)
        controller.create_security_group(CONTEXT, "g", "d")

        def add(port: int) -> bool:
            return controller.authorize_security_group_ingress(
                CONTEXT, "g", ip_protocol="tcp", from_port=str(port), to_port=str(port)
            )

        assert add(1) and add(2)
        results = together(16, lambda at: add(at + 10))
        assert self.admitted(results, errors.RulesPerSecurityGroupLimitExceeded) == 1

    def test_one_client_token_makes_one_reservation(self, cloud: Cloud) -> None:
        controller = CloudController(cloud.runtime)
        call = {"image_id": IMAGE, "instance_type": "m1.tiny", "client_token": "0b4cae6a"}
        results = together(8, lambda at: controller.run_instances(CONTEXT, **call))
        assert len({result["reservationId"] for result in results}) == 1
        with pytest.raises(errors.IdempotentParameterMismatch):
            controller.run_instances(CONTEXT, **{**call, "instance_type": "m1.small"})

    def test_one_volume_is_attached_once(self, cloud: Cloud) -> None:
        ids = boot(cloud, 4)
        volume = ask(cloud, "CreateVolume", Size="1", AvailabilityZone="nova").findtext("volumeId") or ""
        cloud.settle()
        controller = CloudController(cloud.runtime)
        results = together(4, lambda at: controller.attach_volume(CONTEXT, volume, ids[at], "/dev/vdb"))
        assert self.admitted(results, errors.VolumeInUse) == 1


def test_the_number_of_queries_does_not_depend_on_the_rows(cloud: Cloud) -> None:
    counts = []
    seen: list[str] = []
    sa.event.listen(
        cloud.runtime.db.engine, "before_cursor_execute", lambda c, cu, statement, *a: seen.append(statement)
    )
    for _ in range(3):
        boot(cloud, 3)
        seen.clear()
        assert ask(cloud, "DescribeInstances") is not None
        counts.append(len(seen))
    assert len(set(counts)) == 1


def test_what_is_listed_is_what_a_plain_reading_of_the_rows_says(cloud: Cloud) -> None:
    """An oracle of its own: the rows, looked up one by one."""
    boot(cloud, 2, UserData=base64.b64encode(b"x").decode())
    boot(cloud, 1)
    for document in (ask(cloud, "DescribeInstances"), ask(cloud, "DescribeInstances", ESSEX)):
        with cloud.runtime.db.read() as conn:
            rows = conn.execute(sa.select(models.instances).order_by(models.instances.c.id)).all()
            for row, shown in zip(rows, document.findall(".//instancesSet/item"), strict=True):
                address = conn.execute(
                    sa.select(models.fixed_ips.c.address).where(models.fixed_ips.c.instance_id == row.id)
                ).scalar()
                assert shown.findtext("instanceId") == f"i-{row.id:08x}"
                assert shown.findtext("privateIpAddress") == address
                assert shown.findtext("privateDnsName") == row.hostname == f"server-{row.id}"
                assert shown.findtext("instanceState/name") == "running"
                assert shown.findtext("kernelId") == "aki-00000001"
                assert shown.findtext("amiLaunchIndex") == str(row.launch_index)
                assert (shown.findtext("launchTime") or "")[:19] == row.created_at.isoformat()[:19]


def test_python_callers_read_the_list(cloud: Cloud) -> None:
    [instance] = boot(cloud)
    answer = CloudController(cloud.runtime).describe_instances(CONTEXT)
    reservations: Any = answer["reservationSet"]
    assert reservations[0]["instancesSet"][0]["instanceId"] == instance


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("instance-id", "{id}", True),
        ("instance-id", "i-0fffffff", False),
        ("image-id", IMAGE, True),
        ("image-id", "aki-00000003", False),
        ("instance-type", "m1.*", True),
        ("instance-type", "m1.t?ny", True),
        ("instance-type", "m1_tiny", False),
        ("instance-state-name", "running", True),
        ("instance-state-name", "stopped", False),
        ("instance-state-code", "16", True),
        ("availability-zone", "nova", True),
        ("group-name", "default", True),
        ("instance.group-id", "sg-0fffffff", False),
        ("private-ip-address", "10.0.*", True),
        ("ip-address", "*", False),
        ("owner-id", "acme", True),
        ("root-device-type", "ebs", False),
        ("launch-time", "not a time", False),
        ("launch-time", "9999-12-31T23:59:59-12:00", False),
        ("key-name", "%", False),
    ],
)
def test_filters(cloud: Cloud, name: str, value: str, found: bool) -> None:
    [instance] = boot(cloud)
    params = {"Filter__1__Name": name, "Filter__1__Value__1": value.format(id=instance)}
    for version in (ESSEX, MODERN):
        listed = texts(ask(cloud, "DescribeInstances", version, **params), ".//instanceId")
        assert listed == ([instance] if found else [])


@pytest.mark.parametrize(
    "action",
    [
        "DescribeInstances",
        "DescribeVolumes",
        "DescribeSnapshots",
        "DescribeImages",
        "DescribeKeyPairs",
        "DescribeSecurityGroups",
        "DescribeAddresses",
        "DescribeRegions",
        "DescribeAvailabilityZones",
    ],
)
def test_an_unknown_filter_is_refused(cloud: Cloud, action: str) -> None:
    wire = {"Filter__1__Name": "no-such-filter", "Filter__1__Value__1": "x"}
    assert refuse(cloud, action, **wire)[1] == "InvalidParameterValue"


def test_a_batch_changes_all_or_nothing(cloud: Cloud) -> None:
    one, two = boot(cloud, 2)
    ask(cloud, "StopInstances", InstanceId__1=two)
    cloud.settle()
    for action in ("StopInstances", "RebootInstances"):
        assert refuse(cloud, action, InstanceId__1=one, InstanceId__2=two)[1] == "IncorrectInstanceState"
    assert refuse(cloud, "TerminateInstances", InstanceId__1=one, InstanceId__2="i-0fffffff")[1].endswith("NotFound")
    names = texts(ask(cloud, "DescribeInstances"), ".//instanceState/name")
    assert names == ["running", "stopped"]


def test_termination_works_from_any_state(cloud: Cloud) -> None:
    ids = boot(cloud, 5)
    states = ("paused", "suspended", "error", "rescued", "resizing")
    with cloud.runtime.db.engine.begin() as conn:
        for number, state in enumerate(states, 1):
            conn.execute(sa.update(models.instances).where(models.instances.c.id == number).values(vm_state=state))
    ask(cloud, "TerminateInstances", **{f"InstanceId__{n}": i for n, i in enumerate(ids, 1)})
    cloud.settle()
    assert texts(ask(cloud, "DescribeInstances", ESSEX), ".//instanceId") == []
    assert set(texts(ask(cloud, "DescribeInstances"), ".//instanceState/name")) == {"terminated"}
    with cloud.runtime.db.read() as conn:
        held = sa.select(models.fixed_ips.c.id).where(models.fixed_ips.c.instance_id.is_not(None))
        assert conn.execute(held).all() == []


def test_an_instance_that_can_be_restored_is_shown_to_who_names_it(cloud: Cloud) -> None:
    [instance] = boot(cloud)
    with cloud.runtime.db.engine.begin() as conn:
        conn.execute(sa.update(models.instances).values(vm_state="soft-delete", deleted_at=models.now()))
    ended = {"Filter__1__Name": "instance-state-name", "Filter__1__Value__1": "terminated"}
    assert texts(ask(cloud, "DescribeInstances", ESSEX), ".//instanceId") == []
    for filters in ({}, ended):
        for version in (ESSEX, MODERN):
            document = ask(
                cloud, "DescribeInstances", version, InstanceId__1=instance, InstanceId__2=instance, **filters
            )
            assert texts(document, ".//instanceId") == [instance]
            assert texts(document, ".//instanceState/name") == ["terminated"]
    document = ask(cloud, "DescribeInstances", ESSEX, InstanceId__1=instance, InstanceId__2="i-0fffffff")
    assert texts(document, ".//instanceState/name") == ["terminated"]
    assert texts(ask(cloud, "DescribeInstances", **ended), ".//instanceId") == [instance]


def test_a_client_token_outlives_its_instances(cloud: Cloud) -> None:
    given = {"ImageId": IMAGE, "InstanceType": "m1.tiny", "MinCount": "2", "MaxCount": "2", "ClientToken": "0b4c"}
    made = ask(cloud, "RunInstances", **given)
    first, _ = texts(made, "instancesSet/item/instanceId")
    ask(cloud, "TerminateInstances", InstanceId__1=first or "")
    cloud.settle()
    again = ask(cloud, "RunInstances", **given)
    for path in ("reservationId", "instancesSet/item/instanceId"):
        assert texts(again, path) == texts(made, path)
    assert texts(again, "instancesSet/item/instanceState/name") == ["terminated", "running"]


def test_protection_against_termination(cloud: Cloud) -> None:
    [instance] = boot(cloud, DisableApiTermination="true")
    assert refuse(cloud, "TerminateInstances", InstanceId__1=instance)[1] == "OperationNotPermitted"
    document = ask(cloud, "TerminateInstances", ESSEX, InstanceId__1=instance)
    assert document.findtext("instancesSet/item/shutdownState/name") == "running"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"MinCount": "3", "MaxCount": "2"}, "InvalidParameterValue"),
        ({"MinCount": "2"}, "InvalidParameterValue"),
        ({"MinCount": "11", "MaxCount": "11"}, "InstanceLimitExceeded"),
        ({"MinCount": "100000", "MaxCount": "100000"}, "InstanceLimitExceeded"),
        ({"UserData": "not base64!"}, "InvalidParameterValue"),
        ({"Placement__AvailabilityZone": "mars"}, "InvalidZone.NotFound"),
        ({"BlockDeviceMapping__1__Ebs__SnapshotId": "snap-1"}, "MissingParameter"),
        (
            {
                "BlockDeviceMapping__1__DeviceName": "/dev/sdb",
                "BlockDeviceMapping__1__Ebs__SnapshotId": "snap-0fffffff",
            },
            "InvalidSnapshot.NotFound",
        ),
        (
            {
                "BlockDeviceMapping__1__DeviceName": "/dev/sdb",
                "BlockDeviceMapping__1__Ebs__SnapshotId": f"snap-{'f' * 20}",
            },
            "InvalidSnapshot.NotFound",
        ),
        (
            {
                "BlockDeviceMapping__1__DeviceName": "/dev/sdb",
                "BlockDeviceMapping__1__Ebs__SnapshotId": f"vol-{'f' * 20}",
            },
            "InvalidVolume.NotFound",
        ),
        ({"InstanceInitiatedShutdownBehavior": "explode"}, "InvalidParameterValue"),
        ({"KeyName": "no such"}, "InvalidKeyPair.NotFound"),
        ({"SecurityGroupId__1": "sg-0fffffff"}, "InvalidGroup.NotFound"),
    ],
)
def test_a_refused_launch_leaves_nothing(cloud: Cloud, params: dict[str, str], code: str) -> None:
    assert refuse(cloud, "RunInstances", **{"ImageId": IMAGE, "InstanceType": "m1.tiny", **params})[1] == code
    with cloud.runtime.db.read() as conn:
        assert conn.execute(sa.select(models.instances.c.id)).all() == []
        assert conn.execute(sa.select(models.outbox.c.id)).all() == []


def test_between_least_and_most_as_many_as_the_quota_admits(cloud: Cloud) -> None:
    document = ask(cloud, "RunInstances", ImageId=IMAGE, InstanceType="m1.tiny", MinCount="2", MaxCount="100000")
    assert len(texts(document, "instancesSet/item/instanceId")) == 10


def test_a_launch_without_a_quota_has_an_end(cloud: Cloud) -> None:
    for resource in ("instances", "cores", "ram"):
        cloud.runtime.quotas.set_limit("acme", resource, -1)
    counts = {"MinCount": "1", "MaxCount": "10001"}
    assert refuse(cloud, "RunInstances", ImageId=IMAGE, InstanceType="m1.tiny", **counts)[1] == "InvalidParameterValue"
    assert texts(ask(cloud, "DescribeInstances"), ".//instanceId") == []


def test_a_count_of_none_is_one(cloud: Cloud) -> None:
    for counts, made in (({"MinCount": "0", "MaxCount": "0"}, 1), ({"MinCount": "0", "MaxCount": "12"}, 9)):
        document = ask(cloud, "RunInstances", ImageId=IMAGE, InstanceType="m1.tiny", **counts)
        assert len(texts(document, "instancesSet/item/instanceId")) == made


def test_a_resized_instance_is_stopped_and_rebooted(cloud: Cloud) -> None:
    ids = boot(cloud, 2)
    for number, action in enumerate(("StopInstances", "RebootInstances"), 1):
        with cloud.runtime.db.engine.begin() as conn:
            changed = sa.update(models.instances).where(models.instances.c.id == number)
            conn.execute(changed.values(task_state="resize_verify"))
        ask(cloud, action, InstanceId__1=ids[number - 1])
    cloud.settle()
    assert texts(ask(cloud, "DescribeInstances"), ".//instanceState/name") == ["stopped", "running"]


def test_a_start_that_leaves_the_instance_as_it_is_says_so(cloud: Cloud) -> None:
    [instance] = boot(cloud)
    with cloud.runtime.db.engine.begin() as conn:
        conn.execute(sa.update(models.instances).values(vm_state="shutoff", shutdown_terminate=True))
    document = ask(cloud, "StartInstances", InstanceId__1=instance)
    assert document.findtext(".//currentState/name") == document.findtext(".//previousState/name") == "stopped"


def test_somebody_elses_volume_cannot_be_booted(cloud: Cloud) -> None:
    volume = ask(cloud, "CreateVolume", user="bob", project="globex", Size="1").findtext("volumeId") or ""
    cloud.settle()
    wire = {"BlockDeviceMapping__1__DeviceName": "/dev/vdb", "BlockDeviceMapping__1__Ebs__SnapshotId": volume}
    assert refuse(cloud, "RunInstances", ImageId=IMAGE, InstanceType="m1.tiny", **wire)[1] == "InvalidVolume.NotFound"


def test_a_volume_larger_than_any_is_a_matter_of_the_quota_first(cloud: Cloud) -> None:
    for size in ("1001", "100000"):
        refused = refuse(cloud, "CreateVolume", ESSEX, Size=size)
        assert refused[1:] == ("QuotaError", "Quota exceeded: code=VolumeSizeTooLarge")
    cloud.runtime.quotas.set_limit("acme", "gigabytes", -1)
    assert refuse(cloud, "CreateVolume", ESSEX, Size="100000")[1] == "InvalidParameterValue"


def test_detach_of_a_volume_that_is_attached_to_nothing(cloud: Cloud) -> None:
    volume = ask(cloud, "CreateVolume", Size="1").findtext("volumeId") or ""
    cloud.settle()
    for version in (ESSEX, MODERN):
        assert refuse(cloud, "DetachVolume", version, VolumeId=volume)[:2] == (400, "IncorrectState")


def test_an_instance_from_a_snapshot_has_its_volume(cloud: Cloud) -> None:
    volume = ask(cloud, "CreateVolume", Size="1").findtext("volumeId") or ""
    cloud.settle()
    snapshot = ask(cloud, "CreateSnapshot", VolumeId=volume).findtext("snapshotId") or ""
    cloud.settle()
    wire = {"BlockDeviceMapping__1__DeviceName": "/dev/vdb", "BlockDeviceMapping__1__Ebs__SnapshotId": snapshot}
    [instance] = boot(cloud, **wire)
    document = ask(cloud, "DescribeInstances", InstanceId__1=instance)
    device = document.find(".//blockDeviceMapping/item")
    assert device is not None
    assert (device.findtext("deviceName"), device.findtext("ebs/status")) == ("/dev/vdb", "attached")
    assert device.findtext("ebs/deleteOnTermination") == "true"
    made = device.findtext("ebs/volumeId") or ""
    ask(cloud, "TerminateInstances", InstanceId__1=instance)
    cloud.settle()
    assert refuse(cloud, "DescribeVolumes", VolumeId__1=made)[1] == "InvalidVolume.NotFound"


def test_an_image_that_names_devices_makes_instances_that_stop(cloud: Cloud) -> None:
    """Also one whose devices the flavor has no room for."""
    with cloud.runtime.db.engine.begin() as conn:
        conn.execute(sa.update(models.images).where(models.images.c.id == 3).values(mappings=MAPPINGS))
    [instance] = boot(cloud)
    asked = {"InstanceId": instance, "Attribute": "instanceInitiatedShutdownBehavior"}
    document = ask(cloud, "DescribeInstanceAttribute", ESSEX, **asked)
    assert document.findtext("instanceInitiatedShutdownBehavior") == "stop"


def test_an_image_of_an_instance_boots(cloud: Cloud) -> None:
    [instance] = boot(cloud)
    assert refuse(cloud, "CreateImage", InstanceId=f"i-{'f' * 16}")[1] == "InvalidInstanceID.NotFound"
    image = ask(cloud, "CreateImage", InstanceId=instance, Name="mine", Description="d").findtext("imageId") or ""
    cloud.settle()
    shown = ask(cloud, "DescribeImages", ImageId__1=image)
    assert shown.findtext("imagesSet/item/imageState") == "available"
    assert shown.findtext("imagesSet/item/description") == "d"
    assert len(boot(cloud, ImageId=image)) == 1
    assert refuse(cloud, "DescribeImages", user="bob", project="globex", ImageId__1=image)[1] == "InvalidAMIID.NotFound"


@pytest.mark.parametrize("group", ["nobody", "everyone"])
def test_only_everybody_can_be_given_an_image(cloud: Cloud, group: str) -> None:
    image = cloud.description["images"][4]["ec2_id"]
    wire = {"Attribute": "launchPermission", "OperationType": "add", "UserGroup__1": group}
    refuse(cloud, "ModifyImageAttribute", ImageId=image, **wire)
    assert ask(cloud, "DescribeImages", ImageId__1=image).findtext("imagesSet/item/isPublic") == "false"


def test_somebody_elses_public_image_cannot_be_ended(cloud: Cloud) -> None:
    assert refuse(cloud, "DeregisterImage", ImageId=IMAGE)[1] == "AuthFailure"
    assert refuse(cloud, "UpdateImage", ESSEX, ImageId=IMAGE, IsPublic="false")[0] == 400
    ask(cloud, "DescribeImages", ImageId__1=IMAGE)


def test_registered_images(cloud: Cloud) -> None:
    wire = {"ImageLocation": "bucket/m.manifest.xml", "KernelId": "aki-00000001", "Architecture": "i386"}
    image = ask(cloud, "RegisterImage", **wire).findtext("imageId") or ""
    shown = ask(cloud, "DescribeImages", ImageId__1=image)
    assert shown.findtext("imagesSet/item/imageLocation") == "bucket/m.manifest.xml"
    assert shown.findtext("imagesSet/item/kernelId") == "aki-00000001"
    assert shown.findtext("imagesSet/item/imageOwnerId") == "acme"
    for location in ("nobucket", "/bucket/x", "bucket/", "a b/c"):
        assert refuse(cloud, "RegisterImage", ImageLocation=location)[1] == "InvalidParameterValue"
    assert refuse(cloud, "RegisterImage", ESSEX)[1:] == ("EC2APIError", "imageLocation is required")
    mapping = {"DeviceName": "/dev/sdb", "Ebs__SnapshotId": f"snap-{'f' * 20}"}
    wire = {f"BlockDeviceMapping__1__{name}": value for name, value in mapping.items()}
    assert refuse(cloud, "RegisterImage", Name="m", **wire)[1] == "InvalidSnapshot.NotFound"


def test_properties_of_images(cloud: Cloud) -> None:
    image = ask(cloud, "RegisterImage", ImageLocation="bucket/m.manifest.xml").findtext("imageId") or ""

    def update(**properties: str) -> dict[str, str | None]:
        wire = {f"Properties__{name}": value for name, value in properties.items()}
        document = ask(cloud, "UpdateImage", ESSEX, ImageId=image, **wire)
        return {element.tag: element.text for element in document.findall("properties/*")}

    held = {"imageLocation": "bucket/m.manifest.xml", "architecture": "x86_64", "ownerId": "acme"}
    held |= {"projectId": "acme", "userId": "alice"}
    first = update(Colour="red", KernelId="aki-00000001", architecture="i386", OwnerId="globex", ProjectId="globex")
    assert first == {**held, "architecture": "i386", "kernelId": "1", "colour": "red"}
    assert update(ramdisk_id="2") == {**first, "ramdiskId": "2"}
    shown = ask(cloud, "DescribeImages", ESSEX, ImageId__1=image)
    assert shown.findtext(".//kernelId") == "aki-00000001"
    assert shown.findtext(".//ramdiskId") == "ari-00000002"
    assert shown.findtext(".//architecture") == "i386"
    for name, value, code in (
        ("KernelId", "aki-0fffffff", "ImageNotFound"),
        ("KernelId", "9" * 30, "ImageNotFound"),
        ("Architecture", "x" * 65, "InvalidParameterValue"),
        ("a><b", "x", "InvalidParameterValue"),
        ("1", "x", "InvalidParameterValue"),
    ):
        assert refuse(cloud, "UpdateImage", ESSEX, ImageId=image, **{f"Properties__{name}": value})[1] == code


@pytest.mark.parametrize("name", ["007", "true", "0x10", "1e5"])
def test_names_that_look_like_numbers_stay_names(cloud: Cloud, name: str) -> None:
    assert ask(cloud, "CreateKeyPair", ESSEX, KeyName=name).findtext("keyName") == name
    assert texts(ask(cloud, "DescribeKeyPairs", ESSEX, KeyName__1=name), "keySet/item/keyName") == [name]


def test_imported_keys_of_today(cloud: Cloud) -> None:
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    material = base64.b64encode(line + b" me@home").decode()
    document = ask(cloud, "ImportKeyPair", KeyName="mine", PublicKeyMaterial=material)
    assert len((document.findtext("keyFingerprint") or "").split(":")) == 16
    for bad in ("aGVsbG8=", "!!!", base64.b64encode(b"ssh-rsa AAAA").decode()):
        assert refuse(cloud, "ImportKeyPair", KeyName="bad", PublicKeyMaterial=bad)[1] == "InvalidKey.Format"


class TestRules:
    def add(self, cloud: Cloud, **rule: str) -> None:
        ask(cloud, "AuthorizeSecurityGroupIngress", GroupName="g", **rule)

    def shown(self, cloud: Cloud, version: str = MODERN) -> list[etree._Element]:
        return ask(cloud, "DescribeSecurityGroups", version, GroupName__1="g").findall(".//ipPermissions/item")

    @pytest.fixture(autouse=True)
    def group(self, cloud: Cloud) -> None:
        ask(cloud, "CreateSecurityGroup", GroupName="g", GroupDescription="caf\u00e9 <&>")

    def test_the_description_is_kept(self, cloud: Cloud) -> None:
        document = ask(cloud, "DescribeSecurityGroups", ESSEX, GroupName__1="g")
        assert document.findtext(".//groupDescription") == "caf\u00e9 <&>"

    def test_protocols_are_lower_case(self, cloud: Cloud) -> None:
        self.add(cloud, IpProtocol="TCP", FromPort="22", ToPort="22", CidrIp="10.1.2.3/8")
        [item] = self.shown(cloud)
        assert (item.findtext("ipProtocol"), item.findtext(".//cidrIp")) == ("tcp", "10.1.2.3/8")
        wire = {"IpProtocol": "tcp", "FromPort": "22", "ToPort": "22", "CidrIp": "10.1.2.3/8"}
        code = refuse(cloud, "AuthorizeSecurityGroupIngress", GroupName="g", **wire)[1]
        assert code == "InvalidPermission.Duplicate"

    def test_ranges_and_groups_make_their_union(self, cloud: Cloud) -> None:
        one = "IpPermissions__1__"
        self.add(
            cloud,
            **{
                f"{one}IpProtocol": "tcp",
                f"{one}FromPort": "1",
                f"{one}ToPort": "2",
                f"{one}IpRanges__1__CidrIp": "10.0.0.0/8",
                f"{one}IpRanges__2__CidrIp": "10.0.0.0/8",
                f"{one}Groups__1__GroupName": "default",
            },
        )
        shown = self.shown(cloud)
        assert len(shown) == 2
        assert {len(item.findall("ipRanges/item")) for item in shown} == {0, 1}

    def test_every_protocol(self, cloud: Cloud) -> None:
        self.add(cloud, IpPermissions__1__IpProtocol="-1", IpPermissions__1__IpRanges__1__CidrIp="10.0.0.0/8")
        assert [item.findtext("ipProtocol") for item in self.shown(cloud)] == ["-1"]
        assert [item.findtext("ipProtocol") for item in self.shown(cloud, ESSEX)] == ["icmp", "tcp", "udp"]

    def test_a_revoke_that_misses_one_rule_removes_none(self, cloud: Cloud) -> None:
        self.add(cloud, IpProtocol="tcp", FromPort="22", ToPort="22")
        both = {}
        for at, port in enumerate(("22", "23"), 1):
            both |= {
                f"IpPermissions__{at}__IpProtocol": "tcp",
                f"IpPermissions__{at}__FromPort": port,
                f"IpPermissions__{at}__ToPort": port,
                f"IpPermissions__{at}__IpRanges__1__CidrIp": "0.0.0.0/0",
            }
        assert refuse(cloud, "RevokeSecurityGroupIngress", GroupName="g", **both)[1] == "InvalidPermission.NotFound"
        assert len(self.shown(cloud)) == 1

    def test_a_permission_that_makes_no_rule_is_refused_among_others(self, cloud: Cloud) -> None:
        whole = {"IpProtocol": "tcp", "FromPort": "22", "ToPort": "22", "IpRanges__1__CidrIp": "10.0.0.0/8"}
        half = {"IpProtocol": "tcp", "FromPort": "23", "IpRanges__1__CidrIp": "10.0.0.0/8"}
        wire = {f"IpPermissions__{at}__{k}": v for at, one in ((1, whole), (2, half)) for k, v in one.items()}
        assert refuse(cloud, "AuthorizeSecurityGroupIngress", ESSEX, GroupName="g", **wire) == (
            400,
            "EC2APIError",
            "[] Not enough parameters to build a valid rule",
        )
        assert self.shown(cloud) == []

    def test_a_rule_that_names_somebody_elses_group_is_shown(self, cloud: Cloud) -> None:
        ask(cloud, "CreateSecurityGroup", user="bob", project="globex", GroupName="theirs", GroupDescription="d")
        self.add(cloud, SourceSecurityGroupName="theirs", SourceSecurityGroupOwnerId="globex")
        [item, *_] = self.shown(cloud, ESSEX)
        assert (item.findtext(".//userId"), item.findtext(".//groupName")) == ("globex", "theirs")

    def test_the_message_of_2012(self, cloud: Cloud) -> None:
        self.add(cloud, IpProtocol="tcp", FromPort="22", ToPort="22")
        number = int((ask(cloud, "DescribeSecurityGroups", GroupName__1="g").findtext(".//groupId") or "")[3:], 16)
        wire = {"GroupName": "g", "IpProtocol": "tcp", "FromPort": "22", "ToPort": "22"}
        assert refuse(cloud, "AuthorizeSecurityGroupIngress", ESSEX, **wire)[1:] == (
            "EC2APIError",
            "{'to_port': 22, 'cidr': u'0.0.0.0/0', 'from_port': 22, 'protocol': 'tcp', "
            f"'parent_group_id': {number}}} - This rule already exists in group",
        )

    def test_groups_in_use_and_default_stay(self, cloud: Cloud) -> None:
        boot(cloud, SecurityGroup__1="g")
        assert refuse(cloud, "DeleteSecurityGroup", GroupName="g")[1] == "InvalidGroup.InUse"
        assert refuse(cloud, "DeleteSecurityGroup", GroupName="default")[1] == "InvalidGroup.InUse"


def test_addresses_of_others_are_unknown(cloud: Cloud) -> None:
    address = ask(cloud, "AllocateAddress").findtext("publicIp") or ""
    for action in ("ReleaseAddress", "DisassociateAddress"):
        assert refuse(cloud, action, user="bob", project="globex", PublicIp=address)[1] == "InvalidAddress.NotFound"
    [instance] = boot(cloud)
    ask(cloud, "AssociateAddress", InstanceId=instance, PublicIp=address)
    assert refuse(cloud, "AssociateAddress", InstanceId=instance, PublicIp=address)[0] == 400
    document = ask(cloud, "DescribeInstances", InstanceId__1=instance)
    assert document.findtext(".//publicDnsName") == document.findtext(".//ipAddress") == address
    ask(cloud, "TerminateInstances", InstanceId__1=instance)
    cloud.settle()
    assert ask(cloud, "DescribeAddresses").findtext(".//instanceId") == ""
    ask(cloud, "ReleaseAddress", PublicIp=address)


def test_an_instance_with_several_addresses_shows_the_first(cloud: Cloud) -> None:
    [instance] = boot(cloud)
    addresses = [ask(cloud, "AllocateAddress").findtext("publicIp") or "" for _ in range(3)]
    for address in reversed(addresses):
        ask(cloud, "AssociateAddress", InstanceId=instance, PublicIp=address)
    assert texts(ask(cloud, "DescribeAddresses"), ".//instanceId") == [instance] * 3

    def shown() -> set[str | None]:
        document = ask(cloud, "DescribeInstances", ESSEX, InstanceId__1=instance)
        assert texts(document, ".//instanceId") == [instance]
        return {document.findtext(f".//{name}") for name in ("publicDnsName", "dnsName", "ipAddress")}

    assert shown() == {addresses[0]}
    ask(cloud, "DisassociateAddress", PublicIp=addresses[0])
    assert shown() == {addresses[1]}
    ask(cloud, "TerminateInstances", InstanceId__1=instance)
    cloud.settle()
    assert texts(ask(cloud, "DescribeAddresses"), ".//instanceId") == [None] * 3


def test_an_instance_without_an_address_is_refused_before_the_floating_one_is_looked_at(cloud: Cloud) -> None:
    [instance] = boot(cloud)
    with cloud.runtime.db.engine.begin() as conn:
        conn.execute(sa.update(models.fixed_ips).values(instance_id=None))
    status, code, message = refuse(cloud, "AssociateAddress", ESSEX, InstanceId=instance, PublicIp="172.24.4.99")
    assert (status, code) == (400, "FixedIpNotFoundForInstance")
    assert message.startswith("Instance ") and message.endswith(" has zero fixed ips.")


def test_administrators_read_more_in_the_dialect_of_2012_only(cloud: Cloud) -> None:
    boot(cloud)
    admin = {"user": "admin", "project": "adminproj"}
    assert ask(cloud, "DescribeInstances", ESSEX, **admin).findtext(".//keyName") == "None (acme, node1)"
    assert ask(cloud, "DescribeInstances", MODERN, **admin).findtext(".//keyName") == ""


def test_a_dry_run_changes_nothing(cloud: Cloud) -> None:
    status, code, _ = refuse(cloud, "RunInstances", ImageId=IMAGE, DryRun="true")
    assert (status, code) == (412, "DryRunOperation")
    assert texts(ask(cloud, "DescribeInstances"), ".//instanceId") == []
    assert refuse(cloud, "RunInstances", user="carol", ImageId=IMAGE, DryRun="true")[1] == "UnauthorizedOperation"


def test_answers_of_tools_of_today(cloud: Cloud) -> None:
    boot(cloud)
    assert ask(cloud, "DescribeInstanceStatus").findtext(".//instanceState/name") == "running"
    assert "m1.tiny" in texts(ask(cloud, "DescribeInstanceTypes"), ".//instanceType")
    assert "10" in texts(ask(cloud, "DescribeAccountAttributes"), ".//attributeValue")
    for action in ("DescribeTags", "DescribeVpcs", "DescribeSubnets", "DescribeVolumeStatus"):
        assert send(cloud, action, MODERN, "alice", "acme").status_int == 200


def test_no_database_can_be_asked_for_nul(cloud: Cloud) -> None:
    refused = (400, "InvalidParameterValue", "The value of KeyName.1 holds NUL.")
    assert refuse(cloud, "DescribeKeyPairs", KeyName__1="a\x00b") == refused
    for params in ({"ImageId": "\x00"}, {"ImageId": IMAGE, "ClientToken": "\x00"}):
        assert refuse(cloud, "RunInstances", **params)[1] == "InvalidParameterValue"
