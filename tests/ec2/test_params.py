"""Parameters are read by declaration, and never guessed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_api import errors
from nova_api.ec2.params import (
    Base64,
    Boolean,
    Filter,
    Filters,
    Integer,
    ListOf,
    Param,
    Struct,
    Text,
    decode,
    snake_case,
    tree_of,
)


@pytest.mark.parametrize(
    ("wire", "snake"),
    [
        ("DescribeInstancesV6", "describe_instances_v6"),
        ("InstanceID", "instance_id"),
        ("DNSName", "dns_name"),
        ("EBSVolume", "ebs_volume"),
        ("Ipv6Ranges", "ipv6_ranges"),
        ("UserGroup", "user_group"),
        ("describe_instances", "describe_instances"),
        ("DESCRIBEINSTANCES", "describeinstances"),
        ("_DescribeRegions", "describe_regions"),
    ],
)
def test_names(wire: str, snake: str) -> None:
    assert snake_case(wire) == snake


def read(param: Param, **wire: str) -> Any:
    tree = tree_of((name.replace("__", "."), value) for name, value in wire.items())
    return decode({"Name": param}, tree).get("name")


@pytest.mark.parametrize("text", ["007", "true", "0x", "0b4cae6a-1", "1e5", "None", "nan", "10L", "-"])
def test_text_stays_text(text: str) -> None:
    assert read(Text(), Name=text) == text


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("10", 10), ("010", 10), ("0x1f", 31), ("-1", -1)])
def test_integers(text: str, number: int) -> None:
    assert read(Integer(-5, 100), Name=text) == number


@pytest.mark.parametrize("text", ["", "1.0", "1e5", "1_0", " 1", "\u0661", "+1", "0x", "0b1", "9" * 5000, "101"])
def test_no_integers(text: str) -> None:
    with pytest.raises(errors.InvalidParameterValue):
        read(Integer(-5, 100), Name=text)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("TRUE", True), ("false", False), ("False", False)])
def test_booleans(text: str, value: bool) -> None:
    assert read(Boolean(), Name=text) is value


def test_lists_are_in_the_order_of_their_numbers() -> None:
    wire = {f"Name__{n}": str(n) for n in (1, 10, 11, 2)}
    assert read(ListOf(Text()), **wire) == ["1", "2", "10", "11"]


def test_a_scalar_is_a_list_of_one() -> None:
    assert read(ListOf(Text()), Name="i-1") == ["i-1"]


@pytest.mark.parametrize("name", ["Name__x", "Name__999999999", "Name__-1", "Name__1x", "Name__\u0661"])
def test_no_entries_of_a_list(name: str) -> None:
    with pytest.raises(errors.InvalidParameterValue):
        read(ListOf(Text()), **{name: "a"})


def test_structures() -> None:
    device = Struct({"DeviceName": Text(), "Ebs": Struct({"SnapshotId": Text(), "VolumeSize": Integer(1, 9)})})
    wire = {"Name__1__DeviceName": "/dev/sda1", "Name__1__Ebs__SnapshotId": "snap-1", "Name__1__Ebs__Iops": "5"}
    assert read(ListOf(device), **wire) == [{"device_name": "/dev/sda1", "ebs": {"snapshot_id": "snap-1"}}]


def test_filters() -> None:
    wire = {"Name__1__Name": "image-id", "Name__1__Value__1": "a", "Name__1__Value__2": "b"}
    assert read(Filters(), **wire) == [Filter("image-id", ["a", "b"])]
    with pytest.raises(errors.MissingParameter):
        read(Filters(), Name__1__Value__1="a")


def test_base64_is_checked_and_passed_on() -> None:
    assert read(Base64(), Name="aGVsbG8=") == "aGVsbG8="
    with pytest.raises(errors.InvalidParameterValue):
        read(Base64(), Name="not base64!")


def test_required_and_unknown() -> None:
    with pytest.raises(errors.MissingParameter):
        decode({"Name": Text(required=True)}, {})
    assert decode({"Name": Text()}, {"Other": "x"}) == {}


@pytest.mark.parametrize(
    "pairs", [[("A", "1"), ("A.1", "2")], [("A.1", "1"), ("A", "2")], [("A.1", "1"), ("A.1", "2")]]
)
def test_a_name_in_two_forms(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(errors.InvalidParameterCombination):
        tree_of(pairs)


@given(
    pairs=st.lists(st.tuples(st.text(alphabet="Name.123x", min_size=1), st.text())),
    param=st.sampled_from(
        [Text(), Integer(0, 9), Boolean(), Base64(), ListOf(Text()), Filters(), Struct({"N": Text()})]
    ),
)
def test_nothing_but_refusals(pairs: list[tuple[str, str]], param: Param) -> None:
    try:
        decode({"Name": param}, tree_of(pairs))
    except errors.ApiError:
        pass
