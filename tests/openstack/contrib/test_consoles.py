"""os-console-output, os-consoles, os-server-diagnostics and os-server-action-list (spec openstack-extensions.md 3)."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml import etree

from nova_api.context import admin_context
from nova_api.db.models import instance_actions
from tests.openstack.contrib.tables import ODD, text
from tests.openstack.fakes import NOBODY, STOCK_400, STOCK_404, Door, message

COMPUTE = "http://docs.openstack.org/compute/api/v1.1"


@pytest.fixture(scope="module")
def server(door: Door) -> str:
    return door.boot()


def test_output(door: Door, server: str) -> None:
    whole = door.act(server, "os-getConsoleOutput", {})
    assert whole.status_int == 200
    lines = whole.json["output"].splitlines()
    assert len(lines) > 2
    for length in (2, "2"):
        tail = door.act(server, "os-getConsoleOutput", {"length": length}).json["output"]
        assert tail.splitlines() == lines[-2:]
    assert door.act(server, "os-getConsoleOutput", {"length": None}).json == whole.json
    assert door.act(server, "os-getConsoleOutput", {"length": 0}).json == {"output": ""}
    for document in ("<os-getConsoleOutput/>", '<os-getConsoleOutput length="2"/>'):
        answer = door.ask(f"/servers/{server}/action", "POST", xml=document)
        assert answer.status_int == 200
        assert answer.text.startswith("<output>")


@pytest.mark.parametrize("given", [None, [], "x", 5])
def test_output_of_what(door: Door, server: str, given: Any) -> None:
    assert message(door.act(server, "os-getConsoleOutput", given)) == (400, STOCK_400)


@pytest.mark.parametrize("length", ["abc", -1, 1.5, [], {}, True, "9" * 30])
def test_lengths_that_are_none(door: Door, server: str, length: Any) -> None:
    refused = message(door.act(server, "os-getConsoleOutput", {"length": length}))
    assert refused == (400, "Length in request body must be an integer value")


@pytest.mark.parametrize(("kind", "port"), [("novnc", 6080), ("xvpvnc", 6081)])
def test_screens(door: Door, server: str, kind: str, port: int) -> None:
    shown = door.act(server, "os-getVNCConsole", {"type": kind}).json["console"]
    assert shown["type"] == kind
    url = urlsplit(shown["url"])
    assert url.port == port
    token = url.query.removeprefix("token=")
    found = door.cloud.runtime.consoles.redeem(token)
    assert found is not None and (found.instance_uuid, found.console_type) == (server, kind)
    assert door.cloud.runtime.consoles.redeem(token) is None
    answer = door.ask(f"/servers/{server}/action", "POST", xml=f'<os-getVNCConsole type="{kind}"/>')
    root = etree.fromstring(answer.body)
    assert (root.tag, {one.tag for one in root}) == ("console", {"url", "type"})


@pytest.mark.parametrize("given", [None, {}, {"type": None}, {"type": ""}, {"type": 5}, [], "novnc"])
def test_screens_of_no_kind(door: Door, server: str, given: Any) -> None:
    assert message(door.act(server, "os-getVNCConsole", given)) == (400, STOCK_400)


def test_an_unknown_kind(door: Door, server: str) -> None:
    refused = message(door.act(server, "os-getVNCConsole", {"type": "nonsense"}))
    assert refused == (400, "Invalid type specification")
    for odd in ODD:
        assert door.act(server, "os-getVNCConsole", {"type": odd}).status_int == 400


def test_diagnostics(door: Door, server: str) -> None:
    path = f"/servers/{server}/diagnostics"
    answer = door.ask(path, user="admin")
    assert answer.status_int == 200 and answer.json["memory"] > 0
    root = etree.fromstring(text(door.ask(path, user="admin", headers={"Accept": "application/xml"})).encode())
    assert root.tag == f"{{{COMPUTE}}}diagnostics"
    assert {etree.QName(one).localname for one in root} == set(answer.json)


def test_records_of_actions(door: Door, server: str) -> None:
    path = f"/servers/{server}/actions"
    assert door.ask(path, user="admin").json == {"actions": []}
    other = door.boot()
    row = door.cloud.runtime.servers.get(admin_context(), other).rows[0]
    values = {"instance_id": row.id, "action": "reboot", "error": None}
    door.cloud.runtime.db.write(lambda tx: tx.execute(instance_actions.insert().values(**values)))
    (shown,) = door.ask(f"/servers/{other}/actions", user="admin").json["actions"]
    assert (shown["action"], shown["error"]) == ("reboot", None)
    xml = text(door.ask(f"/servers/{other}/actions", user="admin", headers={"Accept": "application/xml"}))
    attributes = f'created_at="{shown["created_at"]}" action="reboot" error="None"'
    assert xml == f'<actions xmlns="{COMPUTE}"><action {attributes}/></actions>'


@pytest.mark.parametrize(("path", "rule"), [("diagnostics", "server_diagnostics"), ("actions", "server_action_list")])
def test_administrators_only(door: Door, server: str, path: str, rule: str) -> None:
    refused = message(door.ask(f"/servers/{server}/{path}"))
    assert refused == (403, f"Policy doesn't allow compute_extension:{rule} to be performed.")
    assert message(door.ask(f"/servers/{NOBODY}/{path}", user="admin")) == (404, STOCK_404)


@pytest.mark.parametrize(("action", "given"), [("os-getConsoleOutput", {}), ("os-getVNCConsole", {"type": "novnc"})])
def test_servers_of_others(door: Door, server: str, action: str, given: Any) -> None:
    assert message(door.act(NOBODY, action, given)) == (404, STOCK_404)
    assert message(door.act(server, action, given, user="bob")) == (404, STOCK_404)
