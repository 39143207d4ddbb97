"""Actions of today's tools: filters, pages and ids, as the older actions have them (spec ec2.md 4, 12)."""

from typing import Any

import pytest
import sqlalchemy as sa

from nova_api.db.models import volumes
from nova_api.testing import Cloud
from tests.ec2.conftest import ESSEX, MODERN, ask, refuse, texts


@pytest.fixture
def seven(cloud: Cloud) -> Cloud:
    ask(cloud, "RunInstances", ImageId="ami-00000003", InstanceType="m1.tiny", MinCount="7", MaxCount="7")
    cloud.settle()
    ask(cloud, "StopInstances", InstanceId__1="i-00000002")
    cloud.settle()
    return cloud


def filters(**named: str) -> dict[str, str]:
    wire = {}
    for number, (name, value) in enumerate(named.items(), 1):
        wire |= {f"Filter.{number}.Name": name.replace("_", "-").replace("--", "."), f"Filter.{number}.Value.1": value}
    return wire


@pytest.mark.parametrize("version", [ESSEX, MODERN])
def test_states_of_instances(seven: Cloud, version: str) -> None:
    def shown(**params: Any) -> list[str]:
        found = texts(ask(seven, "DescribeInstanceStatus", version, **params), ".//instanceId")
        return [str(text)[-1] for text in found]

    everything = {"IncludeAllInstances": "true"}
    assert shown() == list("134567")
    assert shown(**filters(instance_state_name="stopped"), **everything) == ["2"]
    assert shown(**filters(instance_state_code="80"), **everything) == ["2"]
    assert shown(**filters(instance_status__status="ok", availability_zone="n*")) == list("134567")
    assert shown(**filters(availability_zone="elsewhere")) == []
    assert shown(InstanceId__1="i-00000003", InstanceId__2="i-00000001") == ["1", "3"]


def test_states_of_instances_by_pages(seven: Cloud) -> None:
    first = ask(seven, "DescribeInstanceStatus", MaxResults="5", IncludeAllInstances="true")
    rest = ask(seven, "DescribeInstanceStatus", MaxResults="5", NextToken=first.findtext("nextToken") or "")
    assert [len(texts(page, ".//instanceId")) for page in (first, rest)] == [5, 2]
    assert rest.find("nextToken") is None


@pytest.mark.parametrize("text", ["zz", "i-0x1", "i- 1", "vol-00000001"])
def test_ids_that_are_none(cloud: Cloud, text: str) -> None:
    assert refuse(cloud, "DescribeInstanceStatus", InstanceId=text)[:2] == (400, "InvalidInstanceID.Malformed")


def test_states_of_volumes(cloud: Cloud) -> None:
    for _ in range(6):
        ask(cloud, "CreateVolume", Size="1", AvailabilityZone="nova")
    cloud.settle()
    cloud.runtime.db.write(lambda tx: tx.execute(sa.update(volumes).where(volumes.c.id == 3).values(status="error")))
    impaired = ask(cloud, "DescribeVolumeStatus", **filters(volume_status__status="impaired"))
    assert texts(impaired, ".//volumeId") == ["vol-00000003"]
    first = ask(cloud, "DescribeVolumeStatus", MaxResults="5")
    rest = ask(cloud, "DescribeVolumeStatus", MaxResults="5", NextToken=first.findtext("nextToken") or "")
    assert [len(texts(page, ".//volumeId")) for page in (first, rest)] == [5, 1]


def test_instance_types(cloud: Cloud) -> None:
    def shown(**named: str) -> set[str | None]:
        return set(texts(ask(cloud, "DescribeInstanceTypes", **filters(**named)), ".//instanceType"))

    assert shown(instance_type="m1.?iny") == {"m1.tiny"}
    assert shown(vcpu_info__default_vcpus="1") == {"m1.tiny", "m1.small"}
    assert shown(memory_info__size_in_mib="4096", current_generation="true") == {"m1.medium"}


@pytest.mark.parametrize("action", ["DescribeInstanceStatus", "DescribeVolumeStatus", "DescribeInstanceTypes"])
def test_filters_that_there_are_not(cloud: Cloud, action: str) -> None:
    told = (400, "InvalidParameterValue", "The filter 'colour' is invalid")
    assert refuse(cloud, action, **filters(colour="red")) == told
