"""The OpenStack door on every kind of database: what SQL differs in is asked for here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_api.testing import cloud as running
from tests.databases import KINDS, database
from tests.openstack.fakes import DOCUMENT, RAW, Door, message


@pytest.fixture(scope="module", params=KINDS)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    with database(request.param, folder, empty=True) as db:
        url = db.url.render_as_string(hide_password=False)
        with running(folder / "state", DOCUMENT, sql_connection=url, allow_resize_to_same_host=True) as made:
            yield Door(made)


def names(door: Door, query: str, user: str = "alice") -> list[str]:
    answer = door.ask(f"/servers/detail?{query}", user=user)
    assert answer.status_int == 200, answer.text
    return [one["name"] for one in answer.json["servers"]]


def test_a_walk(door: Door) -> None:
    first = door.boot(name="db-one", metadata={"k": "v", "č": "ž"})
    second = door.boot(name="DB-two", networks=None, user_data="")
    door.boot("bob", name="db-three")
    # Patterns: text, regular expressions, capitals, other alphabets.
    assert names(door, "name=db") == ["db-one"]
    assert names(door, "name=[dD][bB]-.*o") == ["DB-two", "db-one"]
    assert names(door, "name=%5Cw%2B-one$") == ["db-one"]
    assert names(door, "name=b-one") == []
    assert message(door.ask("/servers?name=("))[0] == 400
    assert door.ask("/servers?name=%5CpN%2B").status_int in (200, 400)
    assert names(door, "all_tenants=1&name=db-", "admin") == ["db-three", "db-one"]
    assert names(door, f"image={RAW}&flavor=1&status=active") == ["DB-two", "db-one"]
    assert names(door, "changes-since=2012-01-01T00:00:00Z&limit=1") == ["DB-two"]
    assert names(door, f"limit=1&marker={second}") == ["db-one"]
    assert names(door, "reservation_id=r-[0-9a-z]{8}$&name=db") == ["db-one"]

    shown = door.server(first)
    assert (shown["metadata"], shown["OS-EXT-STS:power_state"]) == ({"k": "v", "č": "ž"}, 1)
    assert shown["created"].endswith("Z") and len(shown["created"]) == 20
    assert names(door, "all_tenants=1&instance_name=instance-0000000.$&tenant_id=globex", "admin") == ["db-three"]
    address = shown["addresses"]["private"][0]["addr"]
    assert names(door, f"all_tenants=1&ip={address.replace('.', '%5C.')}$", "admin") == ["db-one"]

    assert door.put(f"/servers/{first}/metadata", {"metadata": {"new": "1"}}).json == {"metadata": {"new": "1"}}
    assert door.act(first, "reboot", {"type": "HARD"}).status_int == 202
    door.cloud.settle()
    assert door.act(first, "resize", {"flavorRef": "2"}).status_int == 202
    door.cloud.settle()
    assert door.act(first, "confirmResize").status_int == 204
    door.cloud.settle()
    made = door.act(first, "createImage", {"name": "snap", "metadata": {"x": "y"}})
    door.cloud.settle()
    image = made.headers["Location"].rpartition("/")[2]
    assert door.ask(f"/images?property-x=y&server={first}").json["images"][0]["id"] == image
    assert door.ask("/images/detail?changes-since=2012-01-01T00:00:00Z&limit=1").json["images"][0]["id"] == image
    assert door.put(f"/images/{image}/metadata", {"metadata": {"z": "1"}}).status_int == 200
    assert door.act(first, "rebuild", {"imageRef": image}).status_int == 202
    door.cloud.settle()
    assert door.server(first)["status"] == "ACTIVE"
    for server in (first, second):
        assert door.delete(f"/servers/{server}").status_int == 204
    door.cloud.settle()
    assert names(door, "name=[dD][bB]") == []
    assert sorted(names(door, "changes-since=2012-01-01T00:00:00Z")) == ["DB-two", "db-one"]
    assert door.delete(f"/images/{image}").status_int == 204


def test_what_no_database_can_be_asked_for(door: Door) -> None:
    for query in ("image=%00", "flavor=a%00b", "reservation_id=%00", "all_tenants=1&user_id=%00", "%00=1"):
        assert door.ask(f"/servers?{query}", user="admin").status_int == 400
    assert door.ask("/images?name=%00").status_int == 400
    for path in ("/servers/%00", "/images/a%00", "/flavors/%00", f"/images/{RAW}/metadata/%00"):
        assert door.ask(path).status_int == 404
    assert door.call("/v1.1/%00/servers", headers={"X-Auth-Token": door.login("alice")}).status_int == 404
    login = {"X-Auth-User": "alice", "X-Auth-Key": "x"}
    for name in ("X-Auth-User", "X-Auth-Key", "X-Auth-Project-Id"):
        assert door.call("/v1.1/", headers={**login, name: "a\x00b"}).status_int == 400
    for name in ("X-Auth-Token", "X-Auth-Project-Id"):
        headers = {"X-Auth-Token": door.login("alice"), name: "a\x00b"}
        assert door.call("/v1.1/acme/servers", headers=headers).status_int == 400
    assert message(door.new(user_data="\x00")) == (400, "Userdata content cannot be decoded")
    for flavor in ("\x00", "\ud800"):
        assert message(door.new(flavorRef=flavor)) == (400, "Invalid flavorRef provided.")


@pytest.mark.parametrize("number", ["2147483648", "9" * 18])
def test_numbers_beyond_a_column(door: Door, number: str) -> None:
    for path in ("flavors?minRam", "flavors/detail?minDisk", "images?minRam", "images/detail?minDisk"):
        for sign, found in (("", False), ("-", True)):
            answer = door.ask(f"/{path}={sign}{number}")
            assert (answer.status_int, answer.json[path.partition("?")[0].partition("/")[0]] != []) == (200, found)
    for name in ("memory_mb", "power_state", "launch_index", "root_gb", "vcpus", "id", "instance_type_id"):
        assert door.ask(f"/servers?{name}={number}", user="admin").json == {"servers": []}
    for action, name in (
        ("DescribeVolumes", "size"),
        ("DescribeSnapshots", "volume-size"),
        ("DescribeInstances", "launch-index"),
    ):
        wanted = {"Filter.1.Name": name, "Filter.1.Value.1": number, "Filter.1.Value.2": "999"}
        assert door.cloud.ec2_request(action, wanted).status_int == 200
