"""OS-DCF, OS-FLV-EXT-DATA, os-scheduler-hints: attributes of documents (spec openstack-extensions.md 2)."""

import json
from pathlib import Path
from typing import Any

import pytest

from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, RAW, STOCK_400, Door, message

KEY = "OS-DCF:diskConfig"
REFUSAL = (400, "OS-DCF:diskConfig must be either 'MANUAL' or 'AUTO'.")
NAMESPACE = "http://docs.openstack.org/compute/ext/disk_config/api/v1.1"
WRONG: list[Any] = ["auto", "", None, 5, True, []]


@pytest.fixture(scope="module")
def server(door: Door) -> str:
    return door.boot()


@pytest.mark.parametrize("value", WRONG)
def test_neither_auto_nor_manual(door: Door, server: str, value: Any) -> None:
    for answer in (
        door.new(**{KEY: value, "name": None}),
        door.put(f"/servers/{server}", {"server": {KEY: value}}),
        door.act(server, "rebuild", {KEY: value}),
        door.act(server, "resize", {KEY: value}),
    ):
        assert message(answer) == REFUSAL


def test_a_resize_changes_it(door: Door) -> None:
    server = door.boot()
    assert door.server(server)[KEY] == "MANUAL"
    assert door.act(server, "resize", {"flavorRef": "2", KEY: "AUTO"}).status_int == 202
    door.cloud.settle()
    assert door.server(server)[KEY] == "AUTO"
    assert door.act(server, "confirmResize").status_int == 204
    door.cloud.settle()
    xml = f'<resize xmlns:OS-DCF="{NAMESPACE}" flavorRef="1" OS-DCF:diskConfig="MANUAL"/>'
    assert door.ask(f"/servers/{server}/action", "POST", xml=xml).status_int == 202
    door.cloud.settle()
    assert door.server(server)[KEY] == "MANUAL"


@pytest.mark.parametrize(
    ("before", "said", "shown"),
    [
        ("MANUAL", 'OS-DCF:diskConfig="AUTO"', "AUTO"),
        ("AUTO", 'OS-DCF:diskConfig="MANUAL"', "MANUAL"),
        ("MANUAL", 'auto_disk_config="true"', "AUTO"),
        ("AUTO", 'name="other"', "AUTO"),
    ],
)
def test_an_update_in_xml_changes_it(door: Door, server: str, before: str, said: str, shown: str) -> None:
    assert door.put(f"/servers/{server}", {"server": {KEY: before}}).json["server"][KEY] == before
    answer = door.ask(f"/servers/{server}", "PUT", xml=f'<server xmlns:OS-DCF="{NAMESPACE}" {said}/>')
    assert answer.status_int == 200 and f'OS-DCF:diskConfig="{shown}"' in answer.text
    refused = door.ask(f"/servers/{server}", "PUT", xml=f'<server xmlns:OS-DCF="{NAMESPACE}" OS-DCF:diskConfig="x"/>')
    assert refused.status_int == 400 and REFUSAL[1] in refused.text
    assert door.server(server)[KEY] == shown


@pytest.mark.parametrize(("said", "shown"), [("True", "AUTO"), ("false", "MANUAL"), (None, "MANUAL")])
def test_an_image_says_it_for_servers_that_do_not(door: Door, server: str, said: str | None, shown: str) -> None:
    metadata = {} if said is None else {"auto_disk_config": said}
    made = door.act(server, "createImage", {"name": "i", "metadata": metadata})
    door.cloud.settle()
    image = made.headers["Location"].rpartition("/")[2]
    document = door.ask(f"/images/{image}").json["image"]
    assert document.get(KEY) == (None if said is None else shown)
    assert document["metadata"].get("auto_disk_config") == said
    answer = door.new(imageRef=image)
    assert answer.json["server"][KEY] == shown
    assert door.new(imageRef=image, **{KEY: "MANUAL"}).json["server"][KEY] == "MANUAL"


def test_who_fails_a_soft_rule_is_shown_less(tmp_path: Path) -> None:
    policy = json.loads((Path(__file__).parents[3] / "etc" / "policy.json").read_text())
    for name in ("disk_config", "extended_status", "flavorextradata", "createserverext"):
        policy[f"compute_extension:{name}"] = [["role:admin"]]
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    with running(tmp_path / "state", DOCUMENT, policy_file=str(tmp_path / "policy.json")) as made:
        door = Door(made)
        answer = door.new(**{KEY: "nonsense"})
        assert answer.status_int == 202 and set(answer.json["server"]) == {"id", "links", "adminPass"}
        server = answer.json["server"]["id"]
        made.settle()
        for path in (f"/servers/{server}", f"/os-create-server-ext/{server}", "/flavors/1"):
            (shown,) = door.ask(path).json.values()
            assert not [name for name in shown if ":" in name or name == "security_groups"]
        shown = door.ask(f"/servers/{server}", user="admin").json["server"]
        assert (shown[KEY], shown["OS-EXT-STS:vm_state"]) == ("MANUAL", "active")
        assert door.ask("/flavors/1", user="admin").json["flavor"]["OS-FLV-EXT-DATA:ephemeral"] == 0


# -- hints


@pytest.mark.parametrize("hints", ["x", None, 5, []])
@pytest.mark.parametrize("path", ["/servers", "/os-create-server-ext", "/os-volumes_boot"])
def test_hints_that_are_no_object(door: Door, path: str, hints: Any) -> None:
    server = {"imageRef": RAW, "flavorRef": "1"}
    assert message(door.post(path, {"server": server, "os:scheduler_hints": hints})) == (400, STOCK_400)
