"""The metadata service through its WSGI application (spec ec2.md 5)."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import webob

from nova_api.metadata import VERSIONS
from nova_api.testing import Cloud, cloud

WORLD = json.loads((Path(__file__).parent.parent / "conformance" / "bootstrap.json").read_text())


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Cloud]:
    with cloud(tmp_path, WORLD) as made:
        yield made


@pytest.fixture
def address(running: Cloud) -> str:
    alice: dict[str, Any] = {"user": "alice", "project": "acme"}
    running.ec2_request("CreateKeyPair", {"KeyName": "mine"}, **alice)
    data = base64.b64encode(b"#!/bin/sh\n\xff").decode()
    wire = {"ImageId": "ami-00000003", "InstanceType": "m1.tiny", "UserData": data, "KeyName": "mine"}
    assert running.ec2_request("RunInstances", wire, **alice).status_int == 200
    running.settle()
    text = running.ec2_request("DescribeInstances", **alice).text
    return text.partition("<privateIpAddress>")[2].partition("<")[0]


def get(running: Cloud, path: str, address: str = "192.0.2.1", **headers: str) -> webob.Response:
    request = webob.Request.blank(path, environ={"REMOTE_ADDR": address}, headers=headers)
    return request.get_response(running.app("metadata"))


def test_versions(running: Cloud) -> None:
    assert get(running, "/").text == "".join(f"{version}\n" for version in VERSIONS)
    assert len(get(running, "/").body) == 92
    assert get(running, "/2010-01-01/meta-data").status_int == 404


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/latest", "meta-data/\nuser-data"),
        ("/1.0/", "meta-data/\nuser-data"),
        ("/latest/meta-data/ami-id", "ami-00000003"),
        ("/latest//meta-data//ami-id/", "ami-00000003"),
        ("//latest/meta-data/ami-id", "ami-00000003"),
        ("/latest/meta-data/ami-id/x/y", "ami-00000003"),
        ("/latest/meta-data/kernel-id", "aki-00000001"),
        ("/latest/meta-data/aki-id", "aki-00000001"),
        ("/latest/meta-data/ramdisk-id", "ari-00000002"),
        ("/latest/meta-data/instance-id", "i-00000001"),
        ("/latest/meta-data/instance-type", "m1.tiny"),
        ("/latest/meta-data/hostname", "server-1.novalocal"),
        ("/latest/meta-data/public-ipv4", ""),
        ("/latest/meta-data/placement/", "availability-zone"),
        ("/latest/meta-data/placement/availability-zone", "nova"),
        ("/latest/meta-data/security-groups", "default"),
        ("/latest/meta-data/block-device-mapping/root", "/dev/sda1"),
        ("/latest/meta-data/public-keys", "0=mine"),
        ("/latest/meta-data/public-keys/0", "openssh-key"),
    ],
)
def test_tree(running: Cloud, address: str, path: str, text: str) -> None:
    answer = get(running, path, address)
    assert (answer.status_int, answer.text) == (200, text)


def test_user_data_is_bytes(running: Cloud, address: str) -> None:
    answer = get(running, "/latest/user-data", address)
    assert answer.body == b"#!/bin/sh\n\xff"
    assert answer.content_type == "application/octet-stream"


def test_the_public_key(running: Cloud, address: str) -> None:
    assert get(running, "/latest/meta-data/public-keys/0/openssh-key", address).text.startswith("ssh-rsa AAAA")


@pytest.mark.parametrize(
    "path",
    [
        "/latest/nothing",
        "/latest/meta-data/nothing",
        "/latest/meta-data/public-keys/0=mine",
        "/latest/meta-data/public-keys/0/_name",
    ],
)
def test_unknown_paths(running: Cloud, address: str, path: str) -> None:
    assert get(running, path, address).status_int == 404


def test_unknown_addresses(running: Cloud, address: str) -> None:
    for other in ("192.0.2.1", "10.0.7.250", "not an address", "::1"):
        assert get(running, "/latest/meta-data", other).status_int == 404


def test_an_address_that_was_given_back_answers_nothing(running: Cloud, address: str) -> None:
    wire = {"InstanceId.1": "i-00000001"}
    running.ec2_request("TerminateInstances", wire, user="alice", project="acme")
    running.settle()
    assert get(running, "/latest/user-data", address).status_int == 404


def test_forwarded_addresses_do_not_count_unless_switched_on(running: Cloud, address: str) -> None:
    assert get(running, "/latest/meta-data", "127.0.0.1", **{"X-Forwarded-For": address}).status_int == 404
