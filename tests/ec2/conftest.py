"""A cloud in the test's process, with the world of the recordings."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import webob
from lxml import etree

from nova_api.testing import Cloud
from nova_api.testing import cloud as running

WORLD = Path(__file__).parent.parent / "conformance" / "bootstrap.json"
ESSEX, MODERN = "2010-08-31", "2016-11-15"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with running(tmp_path / "state", json.loads(WORLD.read_text())) as made:
        yield made


def ask(
    cloud: Cloud, action: str, version: str = MODERN, user: str = "alice", project: str = "acme", **params: str
) -> etree._Element:
    """The answer to a request that succeeds, without its namespace. ``__`` in a name stands for a dot."""
    answer = send(cloud, action, version, user, project, **params)
    assert answer.status_int == 200, answer.text
    return plain(answer)


def refuse(
    cloud: Cloud, action: str, version: str = MODERN, user: str = "alice", project: str = "acme", **params: str
) -> tuple[int, str, str]:
    """Status, code and message of a request that is refused."""
    answer = send(cloud, action, version, user, project, **params)
    assert answer.status_int >= 400, answer.text
    document = etree.fromstring(answer.body)
    return (
        answer.status_int,
        document.findtext("Errors/Error/Code") or "",
        document.findtext("Errors/Error/Message") or "",
    )


def send(cloud: Cloud, action: str, version: str, user: str, project: str, **params: str) -> webob.Response:
    wire = {name.replace("__", "."): value for name, value in params.items()}
    return cloud.ec2_request(action, wire, user=user, project=project, version=version)


def plain(answer: webob.Response) -> etree._Element:
    """The document with local names only."""
    document = etree.fromstring(answer.body)
    for element in document.iter():
        element.tag = etree.QName(element).localname
    return document


def texts(document: etree._Element, path: str) -> list[str | None]:
    return [element.text for element in document.findall(path)]
