"""Bodies that nobody has thought of: a fault of the client's, never a defect, and nothing is made."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from nova_api.openstack.xml import V1_0_NS
from tests.openstack.fakes import RAW, Door
from tests.openstack.v1_0.test_servers import XMLNS, boot

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = ("name", "imageId", "flavorId", "sharedIpGroupId", "metadata", "personality", "adminPass", "serverId", "server")
FIELDS = st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=4)
GOOD: dict[str, Any] = {"name": "x", "imageId": RAW, "flavorId": 1}
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
REFUSED = (400, 403, 404, 409, 413, 501)


@pytest.fixture(scope="module")
def server(door: Door) -> int:
    return boot(Door(door.cloud, "v1.0"))


@QUICK
@given(fields=FIELDS)
def test_creates(old: Door, fields: dict[str, Any]) -> None:
    answer = old.post("/servers", {"server": {**GOOD, **fields}})
    assert answer.status_int in (202, *REFUSED), answer.text
    if answer.status_int == 202:
        made = answer.json["server"]
        assert made["flavorId"] in (1, 2, 3, 4, 5)
        assert old.delete(f"/servers/{made['id']}").status_int in (202, 409)


@QUICK
@given(fields=FIELDS, name=st.sampled_from(["server", "image", "sharedIpGroup", "shareIp", "backupSchedule"]))
def test_other_documents(old: Door, server: int, fields: dict[str, Any], name: str) -> None:
    document = {name: fields}
    for method, path in (
        ("PUT", f"/servers/{server}"),
        ("POST", "/images"),
        ("POST", f"/servers/{server}/action"),
        ("PUT", f"/servers/{server}/ips/public/10.1.1.1"),
        ("POST", f"/servers/{server}/backup_schedule"),
    ):
        answer = old.ask(path, method, document)
        assert answer.status_int in (202, 204, *REFUSED), (path, answer.text)
    old.cloud.settle()


@QUICK
@given(
    argument=ANYTHING | st.dictionaries(st.sampled_from(["type", "imageId", "flavorId"]), ANYTHING, max_size=3),
    action=st.sampled_from(["reboot", "rebuild", "resize", "confirmResize", "revertResize", "explode", ""]),
)
def test_actions(old: Door, server: int, argument: Any, action: str) -> None:
    answer = old.act(str(server), action, argument)
    assert answer.status_int in (202, 204, *REFUSED), answer.text
    assert json.loads(answer.text or "{}") is not None
    old.cloud.settle()


PRINTABLE = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)


@QUICK
@given(attributes=st.dictionaries(st.sampled_from([*NAMES, "type", "enabled", "daily"]), PRINTABLE, max_size=5))
@pytest.mark.parametrize("root", ["server", "image", "reboot", "rebuild", "resize", "sharedIpGroup", "backupSchedule"])
def test_documents_in_xml(old: Door, server: int, root: str, attributes: dict[str, str]) -> None:
    element = etree.Element(f"{{{V1_0_NS}}}{root}", attributes, nsmap={None: V1_0_NS})
    text = etree.tostring(element).decode()
    assert XMLNS in text
    for method, path in (
        ("POST", "/servers"),
        ("POST", "/images"),
        ("PUT", f"/servers/{server}"),
        ("POST", f"/servers/{server}/action"),
        ("POST", f"/servers/{server}/backup_schedule"),
    ):
        answer = old.ask(path, method, xml=text)
        assert answer.status_int in (202, 204, *REFUSED), (path, answer.text)
        if answer.status_int >= 400:
            assert etree.fromstring(answer.body).tag.startswith(f"{{{V1_0_NS}}}")
    old.cloud.settle()
