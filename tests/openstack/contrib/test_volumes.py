"""os-volumes with attachments, snapshots and os-volumes_boot, and os-volume-types (spec openstack-extensions.md 11)."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from lxml import etree

from nova_api.db.models import snapshots, volumes
from nova_api.testing import cloud as running
from tests.openstack.contrib.tables import ODD, refusals, text
from tests.openstack.fakes import DOCUMENT, NOBODY, RAW, STOCK_400, STOCK_404, Door, message

XML = {"headers": {"Accept": "application/xml"}}
STOCK_422 = "Unable to process the contained instructions"
_numbers = itertools.count()


@pytest.fixture(scope="module", autouse=True)
def plenty(door: Door) -> None:
    for name in ("volumes", "gigabytes", "snapshots"):
        door.cloud.runtime.quotas.set_limits("acme", {name: -1})


def make(door: Door, user: str = "alice", **fields: Any) -> Any:
    answer = door.post("/os-volumes", {"volume": {"size": 1, **fields}}, user=user)
    assert answer.status_int == 200, answer.text
    door.cloud.settle()
    return answer.json["volume"]


def show(door: Door, volume: int) -> Any:
    door.cloud.settle()
    return door.ask(f"/os-volumes/{volume}").json["volume"]


def attach(door: Door, server: str, volume: Any, user: str = "alice", **fields: Any) -> Any:
    body = {"volumeAttachment": {"volumeId": volume, **fields}}
    return door.post(f"/servers/{server}/os-volume_attachments", body, user=user)


def kind(door: Door, **specs: str) -> Any:
    given = {"name": f"t{next(_numbers)}", "extra_specs": specs}
    return door.post("/os-volume-types", {"volume_type": given}, user="admin").json["volume_type"]


# -- volumes


def test_volumes(door: Door) -> None:
    fast = kind(door)
    given = {"display_name": "v", "display_description": "d", "metadata": {"a": "b"}, "volume_type": fast["name"]}
    made = make(door, **given)
    shown = {
        **{"id": made["id"], "size": 1, "availabilityZone": "nova", "createdAt": made["createdAt"]},
        **{"displayName": "v", "displayDescription": "d", "attachments": [{}], "volumeType": fast["name"]},
        **{"snapshotId": None, "metadata": {"a": "b"}},
    }
    assert made == {**shown, "status": "creating"}
    assert show(door, made["id"]) == {**shown, "status": "available"}
    for path in ("/os-volumes", "/os-volumes/detail"):
        assert {**shown, "status": "available"} in door.ask(path).json["volumes"]
    assert len(door.ask("/os-volumes?limit=1").json["volumes"]) == 1
    inside = "<attachments><attachment/></attachments><metadata><a>b</a></metadata>"
    root = text(door.ask(f"/os-volumes/{made['id']}", **XML))
    assert root.startswith('<volume status="available"') and root.endswith(f"{inside}</volume>")
    assert f'volumeType="{fast["name"]}"' in root and 'snapshotId="None"' in root
    gone = door.delete(f"/os-volumes/{made['id']}")
    assert (gone.status_int, gone.body) == (202, b"")
    door.cloud.settle()
    for answer in (door.ask(f"/os-volumes/{made['id']}"), door.delete(f"/os-volumes/{made['id']}")):
        assert message(answer) == (404, STOCK_404)


@pytest.mark.parametrize("given", [{}, {"display_name": None, "display_description": None}, {"display_name": ""}])
def test_a_name_is_as_it_was_given(door: Door, given: dict[str, Any]) -> None:
    wanted = {"displayName": given.get("display_name"), "displayDescription": given.get("display_description")}
    volume = make(door, **given)
    assert volume.items() >= wanted.items() and show(door, volume["id"]).items() >= wanted.items()
    made = door.post("/os-snapshots", {"snapshot": {"volume_id": volume["id"], **given}}).json["snapshot"]
    assert made.items() >= wanted.items()
    root = etree.fromstring(text(door.ask(f"/os-snapshots/{made['id']}", **XML)))
    assert root.get("displayName") == str(wanted["displayName"])


def test_a_fast_node_does_not_change_what_a_create_shows(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    service = door.cloud.runtime.volume
    create = service.create

    def slow(*arguments: Any) -> Any:
        row = create(*arguments)
        door.cloud.settle()
        return row

    monkeypatch.setattr(service, "create", slow)
    fast = kind(door)["name"]
    made = make(door, metadata={"a": "b"}, volume_type=fast)
    assert (made["status"], made["metadata"], made["volumeType"]) == ("creating", {"a": "b"}, fast)


def test_volumes_in_xml(door: Door) -> None:
    for metadata in ("<metadata><x>y</x></metadata>", '<metadata><meta key="x">y</meta></metadata>'):
        document = f'<volume size="1" display_name="in xml">{metadata}</volume>'
        root = etree.fromstring(text(door.ask("/os-volumes", "POST", xml=document)))
        assert (root.get("displayName"), root.get("displayDescription"), root.get("size")) == ("in xml", "None", "1")
        assert root.findtext("metadata/x") == "y"
    assert door.ask("/os-volumes", "POST", xml='<volume size="1"><metadata/></volume>').status_int == 200


@pytest.mark.parametrize("size", ["big", 0, -1, "-1", 1.5, [], {}, True, "", None, "9" * 30, 2**31])
def test_sizes_that_are_none(door: Door, size: Any) -> None:
    assert message(door.post("/os-volumes", {"volume": {"size": size}}))[0] == 400


def test_a_volume_beyond_all_bounds(door: Door) -> None:
    assert message(door.post("/os-volumes", {"volume": {"size": 16385}})) == (400, "A volume has at most 16384 GB.")


def test_refused_volumes(door: Door) -> None:
    assert message(door.post("/os-volumes", {})) == (422, STOCK_422)
    for document in ({"volume": {}}, {"volume": None}, {"x": 1}):
        assert message(door.post("/os-volumes", document))[0] == 400
    for fields in ({"volume_type": "none"}, {"snapshot_id": 999999}, {"snapshot_id": "x"}):
        assert message(door.post("/os-volumes", {"volume": {"size": 1, **fields}})) == (404, STOCK_404)
    refused = message(door.post("/os-volumes", {"volume": {"size": 1, "availability_zone": "none"}}))
    assert refused == (400, "The availability zone none does not exist")
    fields = {"size": 1, "display_name": "odd", "display_description": "d", "metadata": {"a": "b"}, "snapshot_id": 1}
    found = refusals(door, "POST", "/os-volumes", root="volume", fields=fields)
    assert set(found) <= {200, 400, 404, 422}
    for id in ("999999", "nonsense", "-1", "9" * 40):
        assert message(door.ask(f"/os-volumes/{id}")) == (404, STOCK_404)


def test_quotas(fresh: Door) -> None:
    refused = fresh.post("/os-volumes", {"volume": {"size": 1001}})
    assert message(refused) == (413, "Quota exceeded: code=VolumeSizeTooLarge")
    assert refused.headers["Retry-After"] == "0"
    fresh.cloud.runtime.quotas.set_limit("acme", "volumes", 3)
    for _ in range(2):
        make(fresh)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: fresh.post("/os-volumes", {"volume": {"size": 1}}), range(8)))
    assert sorted(answer.status_int for answer in answers) == [200] + [413] * 7
    assert len(fresh.ask("/os-volumes").json["volumes"]) == 3


def test_a_volume_that_no_host_holds_is_gone_at_once(fresh: Door) -> None:
    db = fresh.cloud.runtime.db
    numbers = [make(fresh)["id"] for _ in range(3)]
    for number, status in zip(numbers, ("creating", "error", "available"), strict=True):
        lost = sa.update(volumes).where(volumes.c.id == number).values(host=None, status=status)
        db.write(lambda tx, lost=lost: tx.execute(lost))
        assert fresh.delete(f"/os-volumes/{number}").status_int == 202
        assert message(fresh.ask(f"/os-volumes/{number}")) == (404, STOCK_404)
    awaited = make(fresh)["id"]
    attach(fresh, fresh.boot(), awaited)
    fresh.cloud.settle()
    waits = sa.update(volumes).where(volumes.c.id == awaited).values(host=None, status="creating")
    db.write(lambda tx: tx.execute(waits))
    refused = message(fresh.delete(f"/os-volumes/{awaited}"))
    assert refused == (400, "Invalid volume: Volume status must be available or error")


def test_what_cannot_be_deleted(door: Door) -> None:
    volume, server = make(door)["id"], door.boot()
    snapshot = door.post("/os-snapshots", {"snapshot": {"volume_id": volume}}).json["snapshot"]["id"]
    door.cloud.settle()
    refused = message(door.delete(f"/os-volumes/{volume}"))
    assert refused == (400, "Invalid volume: Volume still has 1 dependent snapshots")
    assert attach(door, server, volume).status_int == 200
    refused = message(door.delete(f"/os-volumes/{volume}"))
    assert refused == (400, "Invalid volume: Volume status must be available or error")
    assert show(door, volume)["status"] == "in-use"
    assert door.delete(f"/os-snapshots/{snapshot}").status_int == 202


# -- attachments


def test_attachments(door: Door) -> None:
    server, volume = door.boot(), make(door)["id"]
    path = f"/servers/{server}/os-volume_attachments"
    assert door.ask(path).json == {"volumeAttachments": []}
    answer = attach(door, server, volume, device="/dev/vdc")
    attached = {"id": volume, "volumeId": volume, "serverId": server, "device": "/dev/vdc"}
    assert (answer.status_int, answer.json) == (200, {"volumeAttachment": attached})
    shown = show(door, volume)
    assert (shown["status"], shown["attachments"]) == ("in-use", [attached])
    assert door.ask(path).json == {"volumeAttachments": [attached]}
    assert door.ask(f"{path}/{volume}").json == {"volumeAttachment": attached}
    one = f'<volumeAttachment device="/dev/vdc" serverId="{server}" id="{volume}" volumeId="{volume}"/>'
    assert text(door.ask(path, **XML)) == f"<volumeAttachments>{one}</volumeAttachments>"
    assert text(door.ask(f"{path}/{volume}", **XML)) == one
    busy = message(attach(door, server, volume, device="/dev/vdd"))
    assert busy == (400, "Invalid volume: status must be available")
    other = make(door)["id"]
    taken = message(attach(door, server, other, device="/dev/vdc"))
    assert taken == (409, "The device /dev/vdc is already in use.")
    assert message(door.put(f"{path}/{volume}", {})) == (400, STOCK_400)
    elsewhere = door.boot()
    wrong = f"/servers/{elsewhere}/os-volume_attachments/{volume}"
    assert message(door.ask(wrong)) == message(door.delete(wrong)) == (404, STOCK_404)
    gone = door.delete(f"{path}/{volume}")
    assert (gone.status_int, gone.body) == (202, b"")
    assert show(door, volume)["attachments"] == [{}]
    assert message(door.ask(f"{path}/{volume}")) == (404, STOCK_404)
    assert message(door.delete(f"{path}/{volume}")) == (400, "Invalid volume: already detached")


def test_the_number_of_an_attached_volume_comes_back_as_it_was_sent(door: Door) -> None:
    server = door.boot()
    for kind in (int, str):
        volume = kind(make(door)["id"])
        shown = attach(door, server, volume).json["volumeAttachment"]
        assert (shown["id"], shown["volumeId"]) == (volume, volume)


@pytest.mark.parametrize("rule", ["get", "check_attach", "reserve_volume", "update", "check_detach", "get_snapshot"])
def test_rules_of_volumes(tmp_path: Path, rule: str) -> None:
    shipped = json.loads((Path(__file__).parents[3] / "etc" / "policy.json").read_text())
    (tmp_path / "policy.json").write_text(json.dumps({**shipped, f"volume:{rule}": [["role:admin"]]}))
    with running(tmp_path / "state", DOCUMENT, policy_file=str(tmp_path / "policy.json")) as made:
        door = Door(made)
        server, volume = door.boot(), make(door)["id"]
        snapshot = door.post("/os-snapshots", {"snapshot": {"volume_id": volume}})
        made.settle()
        attached = None if rule == "get_snapshot" else attach(door, server, volume)
        made.settle()
        if rule == "get":  # whatever names a volume looks at it first
            refused = [door.ask(f"/os-volumes/{volume}"), snapshot, attached]
        elif rule == "get_snapshot":
            refused = [door.ask(f"/os-snapshots/{snapshot.json['snapshot']['id']}")]
        elif rule == "check_detach":
            refused = [door.delete(f"/servers/{server}/os-volume_attachments/{volume}")]
        else:
            refused = [attached]
        told = (403, f"Policy doesn't allow volume:{rule} to be performed.")
        assert [message(one) for one in refused] == [told] * len(refused)
        assert len(door.ask("/os-volumes").json["volumes"]) == 1


def test_the_next_free_device(door: Door) -> None:
    server = door.boot()
    found = [attach(door, server, make(door)["id"], **fields) for fields in ({}, {"device": None}, {"device": ""})]
    assert [one.json["volumeAttachment"]["device"] for one in found] == ["/dev/vdb", "/dev/vdc", "/dev/vdd"]
    document = f'<volumeAttachment volumeId="{make(door)["id"]}"/>'
    xml = door.ask(f"/servers/{server}/os-volume_attachments", "POST", xml=document)
    assert 'device="/dev/vde"' in text(xml)


@pytest.mark.parametrize("device", ["vdb", "/dev/vdb1", "/dev/", "/dev/vd", "/dev/vdb\n", "x"])
def test_devices_that_are_none(door: Door, device: str) -> None:
    refused = message(attach(door, door.boot(), make(door)["id"], device=device))
    assert refused == (400, f"The supplied device path ({device}) is invalid.")


def test_refused_attachments(door: Door) -> None:
    server, volume = door.boot(), make(door)["id"]
    path = f"/servers/{server}/os-volume_attachments"
    assert message(door.post(path, {})) == (422, STOCK_422)
    assert message(door.post(path, {"volumeAttachment": {}})) == (400, STOCK_400)
    # The device is looked at before the volume.
    odd = message(attach(door, server, 999999, device="vdb"))
    assert odd == (400, "The supplied device path (vdb) is invalid.")
    for answer in (
        attach(door, server, 999999),
        attach(door, server, "x"),
        attach(door, NOBODY, volume),
        door.ask(f"/servers/{NOBODY}/os-volume_attachments"),
        door.ask(f"{path}/999999"),
        door.delete(f"{path}/999999"),
        door.delete(f"{path}/x"),
        door.delete(f"/servers/{NOBODY}/os-volume_attachments/{volume}"),
    ):
        assert message(answer) == (404, STOCK_404)
    fields = {"volumeId": volume, "device": "/dev/vdx"}
    found = refusals(door, "POST", path, root="volumeAttachment", fields=fields)
    assert set(found) <= {200, 400, 404, 422}
    door.act(server, "lock", user="admin")
    assert message(attach(door, server, make(door)["id"]))[0] == 409


def test_volumes_of_others(door: Door) -> None:
    server, volume = door.boot(), make(door)["id"]
    theirs, other = door.boot("bob"), make(door, "bob")["id"]
    for answer in (
        door.ask(f"/os-volumes/{volume}", user="bob"),
        door.delete(f"/os-volumes/{volume}", user="bob"),
        attach(door, theirs, volume, "bob"),
        attach(door, server, other, "bob"),
        attach(door, server, other),
        # Not even an administrator mixes them up.
        attach(door, server, other, "admin"),
        door.post("/os-snapshots", {"snapshot": {"volume_id": volume}}, user="bob"),
    ):
        assert message(answer) == (404, STOCK_404)
    assert volume not in [one["id"] for one in door.ask("/os-volumes", user="bob").json["volumes"]]
    everybody = [one["id"] for one in door.ask("/os-volumes", user="admin").json["volumes"]]
    assert {volume, other} <= set(everybody)


def test_one_of_many_gets_a_volume(door: Door) -> None:
    volume, servers = make(door)["id"], [door.boot() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = sorted(pool.map(lambda server: attach(door, server, volume).status_int, servers))
    assert found == [200, 400, 400, 400]


# -- snapshots


def test_snapshots(door: Door) -> None:
    volume = make(door, size=2)["id"]
    given = {"volume_id": volume, "display_name": "sn", "display_description": "sd"}
    made = door.post("/os-snapshots", {"snapshot": given}).json["snapshot"]
    shown = {
        **{"id": made["id"], "volumeId": volume, "size": 2, "createdAt": made["createdAt"]},
        **{"displayName": "sn", "displayDescription": "sd"},
    }
    assert made == {**shown, "status": "creating"}
    door.cloud.settle()
    path = f"/os-snapshots/{made['id']}"
    assert door.ask(path).json == {"snapshot": {**shown, "status": "available"}}
    for listed in ("/os-snapshots", "/os-snapshots/detail"):
        assert {**shown, "status": "available"} in door.ask(listed).json["snapshots"]
    attributes = f'displayDescription="sd" volumeId="{volume}" id="{made["id"]}" size="2"/>'
    root = text(door.ask(path, **XML))
    assert root.startswith('<snapshot status="available" displayName="sn"') and root.endswith(attributes)
    copy = make(door, size=None, snapshot_id=made["id"])
    assert (copy["size"], copy["snapshotId"]) == (2, made["id"])
    for method in ("GET", "DELETE"):
        assert message(door.ask(path, method, user="bob")) == (404, STOCK_404)
    assert door.delete(path).status_int == 202
    door.cloud.settle()
    assert message(door.ask(path)) == message(door.delete(path)) == (404, STOCK_404)


def test_snapshots_of_what_is_in_use(door: Door) -> None:
    server, volume = door.boot(), make(door)["id"]
    attach(door, server, volume)
    door.cloud.settle()
    for force in ({}, {"force": False}):
        refused = message(door.post("/os-snapshots", {"snapshot": {"volume_id": volume, **force}}))
        assert refused == (400, "Invalid volume: must be available")
    forced = door.post("/os-snapshots", {"snapshot": {"volume_id": volume, "force": True}})
    assert forced.status_int == 200
    number = forced.json["snapshot"]["id"]
    door.cloud.settle()
    busy = snapshots.update().where(snapshots.c.id == number).values(status="creating")
    door.cloud.runtime.db.write(lambda tx: tx.execute(busy))
    refused = message(door.delete(f"/os-snapshots/{number}"))
    assert refused == (400, "Invalid volume: Volume Snapshot status must be available or error")


def test_refused_snapshots(door: Door) -> None:
    assert message(door.post("/os-snapshots", {})) == (422, STOCK_422)
    assert message(door.post("/os-snapshots", {"snapshot": {}})) == (400, STOCK_400)
    for volume in (999999, "x", None):
        assert message(door.post("/os-snapshots", {"snapshot": {"volume_id": volume}})) == (404, STOCK_404)
    fields = {"volume_id": make(door)["id"], "display_name": "n", "display_description": "d", "force": False}
    found = refusals(door, "POST", "/os-snapshots", root="snapshot", fields=fields)
    assert set(found) <= {200, 400, 404, 422}


# -- servers that start with volumes


def boot(door: Door, *devices: Any, **fields: Any) -> Any:
    server = {"name": "bv", "imageRef": RAW, "flavorRef": "1", "block_device_mapping": list(devices), **fields}
    return door.post("/os-volumes_boot", {"server": server})


def test_boot(door: Door) -> None:
    volume = make(door)["id"]
    snapshot = door.post("/os-snapshots", {"snapshot": {"volume_id": volume}}).json["snapshot"]["id"]
    door.cloud.settle()
    answer = boot(
        door,
        {"device_name": "vdb", "volume_id": str(volume), "volume_size": "", "delete_on_termination": "0"},
        {"device_name": "/dev/vdc", "snapshot_id": snapshot, "delete_on_termination": "1"},
        **{"OS-DCF:diskConfig": "AUTO"},
    )
    assert answer.status_int == 202, answer.text
    server = answer.json["server"]["id"]
    assert answer.headers["Location"] == f"http://localhost/v1.1/acme/servers/{server}"
    door.cloud.settle()
    shown = door.server(server)
    assert (shown["status"], shown["OS-DCF:diskConfig"]) == ("ACTIVE", "AUTO")
    held = door.ask(f"/servers/{server}/os-volume_attachments").json["volumeAttachments"]
    assert [one["device"] for one in held] == ["/dev/vdb", "/dev/vdc"]
    made = held[1]["volumeId"]
    assert server in [one["id"] for one in door.ask("/os-volumes_boot").json["servers"]]
    assert door.ask(f"/os-volumes_boot/{server}").status_int == 200
    assert door.delete(f"/servers/{server}").status_int == 204
    door.cloud.settle()
    assert show(door, volume)["status"] == "available"
    assert door.ask(f"/os-volumes/{made}").status_int == 404


@pytest.mark.parametrize("said", [{}, {"delete_on_termination": ""}, {"delete_on_termination": None}])
def test_volumes_outlive_their_server_unless_it_is_said(door: Door, said: dict[str, Any]) -> None:
    volume = make(door)["id"]
    server = boot(door, {"device_name": "vdb", "volume_id": volume, **said}).json["server"]["id"]
    door.cloud.settle()
    assert show(door, volume)["status"] == "in-use"
    assert door.delete(f"/servers/{server}").status_int == 204
    assert show(door, volume)["status"] == "available"


def test_boot_without_an_image(door: Door) -> None:
    volume = make(door)["id"]
    answer = boot(door, {"device_name": "vda", "volume_id": str(volume), "delete_on_termination": "0"}, imageRef="")
    assert answer.status_int == 202, answer.text
    server = answer.json["server"]["id"]
    door.cloud.settle()
    shown = door.server(server)
    assert (shown["status"], shown["image"]) == ("ACTIVE", "")
    assert etree.fromstring(door.ask(f"/servers/{server}", **XML).body).find("{*}image") is None
    held = door.ask(f"/servers/{server}/os-volume_attachments").json["volumeAttachments"]
    assert [(one["volumeId"], one["device"]) for one in held] == [(volume, "/dev/vda")]
    told = door.cloud.ec2_request("DescribeInstances", user="alice").text
    assert "<rootDeviceName>/dev/vda</rootDeviceName><rootDeviceType>ebs</rootDeviceType>" in told.replace("\n", "")
    for action, argument in (("reboot", {"type": "HARD"}), ("rescue", None), ("unrescue", None)):
        assert door.act(server, action, argument).status_int in (200, 202)
        door.cloud.settle()
    assert door.act(server, "createImage", {"name": "of a volume"}).status_int == 202
    door.cloud.settle()
    assert door.act(server, "rebuild", {"imageRef": RAW}).status_int == 202
    door.cloud.settle()
    assert door.server(server)["image"]["id"] == RAW
    assert door.delete(f"/servers/{server}").status_int == 204
    assert show(door, volume)["status"] == "available"
    assert message(door.new(imageRef="")) == (400, "Invalid imageRef provided.")


def test_plain_servers_take_no_mapping(door: Door) -> None:
    server = door.boot(block_device_mapping=[{"device_name": "vdb", "volume_id": "999999"}])
    assert door.ask(f"/servers/{server}/os-volume_attachments").json == {"volumeAttachments": []}


@pytest.mark.parametrize(
    "device",
    [
        *(None, "x", 5, [], {}, {"device_name": "vdb"}, {"volume_id": "1"}),
        *({"device_name": "vdb", "volume_id": "x"}, {"device_name": "vdb", "volume_id": "0"}),
        {"device_name": "vdb", "volume_id": "1", "snapshot_id": "1"},
        {"device_name": "vdb", "snapshot_id": "1", "volume_size": "x"},
        {"device_name": "vdb", "volume_id": "999999"},
        {"device_name": "vdb", "snapshot_id": "999999"},
    ],
)
def test_mappings_that_are_none(door: Door, device: Any) -> None:
    assert message(boot(door, device))[0] == 400


def test_mappings_that_no_row_holds(fresh: Door) -> None:
    volume = make(fresh)["id"]
    snapshot = fresh.post("/os-snapshots", {"snapshot": {"volume_id": volume}}).json["snapshot"]["id"]
    fresh.cloud.settle()
    unlimited = {"quota_set": {"volumes": -1, "gigabytes": -1}}
    assert fresh.put("/os-quota-sets/acme", unlimited, user="admin").status_int == 200
    for beyond in ({"device_name": "v" * 251}, {"volume_size": 16_385}, {"volume_size": "9" * 17}):
        assert message(boot(fresh, {"device_name": "vdb", "snapshot_id": snapshot, **beyond}))[0] == 400


def test_refused_boots(door: Door) -> None:
    assert message(boot(door, imageRef="")) == (400, "Invalid imageRef provided.")
    for odd in ODD:
        server = {"name": "bv", "imageRef": RAW, "flavorRef": "1", "block_device_mapping": odd}
        assert door.post("/os-volumes_boot", {"server": server}).status_int in (202, 400)
    door.cloud.settle()


# -- types


def test_types(door: Door) -> None:
    made = kind(door, a="b")
    assert set(made) == {"id", "name", "extra_specs", "created_at", "updated_at", "deleted", "deleted_at"}
    path = f"/os-volume-types/{made['id']}"
    assert door.ask(path).json == {"volume_type": made}
    assert made in door.ask("/os-volume-types").json["volume_types"]
    shown = f'<volume_type id="{made["id"]}" name="{made["name"]}"><extra_specs><a>b</a></extra_specs></volume_type>'
    assert text(door.ask(path, **XML)) == shown
    assert shown in text(door.ask("/os-volume-types", **XML))
    again = door.post("/os-volume-types", {"volume_type": {"name": made["name"]}}, user="admin")
    assert message(again) == (409, f"Volume type {made['name']} already exists.")
    document = "<volume_type name='xml'><extra_specs><k>v</k></extra_specs></volume_type>"
    assert "<k>v</k>" in text(door.ask("/os-volume-types", "POST", xml=document, user="admin"))
    volume = make(door, volume_type=made["name"])["id"]
    gone = door.delete(path, user="admin")
    assert (gone.status_int, gone.body) == (200, b"")
    assert show(door, volume)["volumeType"] == made["name"]
    for answer in (door.ask(path), door.delete(path, user="admin"), door.ask("/os-volume-types/x")):
        assert message(answer) == (404, STOCK_404)
    assert door.post("/os-volume-types", {"volume_type": {"name": made["name"]}}, user="admin").status_int == 200


def test_specs_of_types(door: Door) -> None:
    path = f"/os-volume-types/{kind(door)['id']}/extra_specs"
    door.post(path, {"extra_specs": {"k": "v", "l": "w"}}, user="admin")
    door.put(f"{path}/k", {"k": "x"}, user="admin")
    door.delete(f"{path}/l", user="admin")
    assert door.ask(path).json == {"extra_specs": {"k": "x"}}
    assert text(door.ask(f"{path}/k", **XML)) == "<k>x</k>"
    for answer in (door.post(path, {"extra_specs": {}}), door.put(f"{path}/k", {"k": "x"}), door.delete(f"{path}/k")):
        assert message(answer) == (403, "User does not have admin privileges")
    missing = "/os-volume-types/999999/extra_specs"
    for answer in (door.ask(missing), door.post(missing, {"extra_specs": {"k": "v"}}, user="admin")):
        assert message(answer)[0] == 404


def test_refused_types(door: Door) -> None:
    for document in ({}, {"volume_type": {}}, {"volume_type": None}, {"volume_type": {"name": ""}}, [], {"x": 1}):
        assert message(door.post("/os-volume-types", document, user="admin")) == (422, STOCK_422)
    found = refusals(
        door, "POST", "/os-volume-types", root="volume_type", fields={"name": "odd", "extra_specs": {}}, user="admin"
    )
    assert set(found) <= {200, 400, 409, 422}
    for answer in (door.post("/os-volume-types", {"volume_type": {"name": "x"}}), door.delete("/os-volume-types/1")):
        assert message(answer) == (403, "User does not have admin privileges")
