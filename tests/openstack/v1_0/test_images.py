"""Images of the 1.0 API, and their integer ids."""

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from nova_api import runtime as runtimes
from nova_api.context import RequestContext, new_uuid
from nova_api.openstack.xml import V1_0_NS
from nova_api.testing import cloud as running
from nova_api.testing import make_runtime
from tests.openstack.fakes import DOCUMENT, IMAGES, NOBODY, RAW, Door, fault, message
from tests.openstack.v1_0.test_servers import XMLNS, boot, number_of

NS = f"{{{V1_0_NS}}}"
ALICE = RequestContext(user_id="alice", project_id="acme", is_admin=False, roles=(), remote_address=None)


def test_show(old: Door) -> None:
    number = number_of(old)
    image = old.ask(f"/images/{number}").json["image"]
    assert set(image) == {"id", "name", "created", "updated", "status", "progress"}
    assert (image["id"], image["name"], image["status"], image["progress"]) == (number, "oracle-raw", "ACTIVE", 100)
    assert old.ask(f"/images/{RAW}").json["image"] == image
    root = etree.fromstring(old.ask(f"/images/{number}", xml="").body)
    assert (root.tag, dict(root.attrib)) == (f"{NS}image", {key: str(value) for key, value in image.items()})


def test_lists(old: Door) -> None:
    brief = old.ask("/images?fresh=1").json["images"]
    assert set(brief[0]) == {"id", "name"}
    full = old.ask("/images/detail").json["images"]
    assert [one["id"] for one in full] == [one["id"] for one in brief]
    assert full[1:2] == old.ask("/images/detail?offset=1&limit=1").json["images"]
    root = etree.fromstring(old.ask("/images/detail", xml="").body)
    assert (root.tag, len(root)) == (f"{NS}images", len(full))
    assert len({one["id"] for one in brief}) == len(brief)
    assert fault(old.ask("/images?offset=-1")) == (400, "badRequest", "offset param must be positive")


def test_create_and_delete(old: Door) -> None:
    server = boot(old)
    answer = old.post("/images", {"image": {"name": "snap", "serverId": server}})
    made = answer.json["image"]
    assert (answer.status_int, made["name"], made["serverId"]) == (202, "snap", server)
    assert made["status"] in ("QUEUED", "SAVING", "ACTIVE")
    old.cloud.settle()
    image = old.ask(f"/images/{made['id']}").json["image"]
    assert (image["status"], image["progress"], image["serverId"]) == ("ACTIVE", 100, server)
    root = etree.fromstring(old.ask(f"/images/{made['id']}", xml="").body)
    assert root.get("serverId") == str(server)
    assert old.ask(f"/images/{made['id']}", user="bob").status_int == 404
    assert old.delete(f"/images/{made['id']}").status_int == 204
    assert fault(old.ask(f"/images/{made['id']}")) == (404, "itemNotFound", "Image not found.")
    assert old.delete(f"/images/{made['id']}").status_int == 404


def test_create_in_xml(old: Door) -> None:
    server = boot(old)
    answer = old.ask("/images", "POST", xml=f'<image {XMLNS} name="snap" serverId="{server}"/>')
    root = etree.fromstring(answer.body)
    assert (answer.status_int, root.tag, root.get("serverId")) == (202, f"{NS}image", str(server))
    old.cloud.settle()
    # The number of a server is told to nobody else, not even when its image is everybody's.
    old.cloud.runtime.image.set_public(ALICE, "snap", public=True)
    assert old.ask(f"/images/{root.get('id')}", user="bob").json["image"].get("serverId") is None
    assert old.delete(f"/images/{root.get('id')}", user="bob").json["resizeNotAllowed"]["code"] == 403
    assert old.delete(f"/images/{root.get('id')}").status_int == 204


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"name": "x"}, 400),
        ({"serverId": 1}, 400),
        ({"name": "", "serverId": 1}, 400),
        ({"name": 5, "serverId": 1}, 400),
        ({"name": "x" * 256, "serverId": 1}, 400),
        ({"name": "a\x00b", "serverId": 1}, 400),
        ({"name": "x", "serverId": None}, 400),
        ({"name": "x", "serverId": True}, 400),
        ({"name": "x", "serverId": "i-1"}, 400),
        ({"name": "x", "serverId": []}, 400),
        ({"name": "x", "serverId": -1}, 400),
        ({"name": "x", "serverId": 987654}, 404),
        ({"name": "x", "serverId": NOBODY}, 404),
        ([], 400),
        (None, 400),
    ],
)
def test_bad_creates(old: Door, fields: Any, status: int) -> None:
    before = old.ask("/images").json
    assert message(old.post("/images", {"image": fields}))[0] == status
    assert old.ask("/images").json == before


def test_of_a_server_that_is_busy(old: Door) -> None:
    server = boot(old)
    assert old.act(str(server), "resize", {"flavorId": 2}).status_int == 202
    answer = old.post("/images", {"image": {"name": "x", "serverId": server}})
    assert fault(answer)[:2] == (409, "inProgress")
    old.cloud.settle()


@pytest.mark.parametrize("text", ["987654", "x", "0", "-1", "9" * 18, "9" * 40, NOBODY, "%00", "1.0", "%EF%BC%91"])
def test_unknown(old: Door, text: str) -> None:
    for method in ("GET", "DELETE"):
        assert fault(old.ask(f"/images/{text}", method))[:2] == (404, "itemNotFound")


def test_numbers_are_stable_and_everybodys(old: Door) -> None:
    mine = {one["name"]: one["id"] for one in old.ask("/images").json["images"]}
    theirs = {one["name"]: one["id"] for one in old.ask("/images", user="bob").json["images"]}
    common = set(mine) & set(theirs)
    assert "oracle-raw" in common
    assert all(mine[name] == theirs[name] for name in common)


def test_many_at_once_get_one_number_each(old: Door) -> None:
    """As many requests as there may be see the same images first."""
    uuids = [new_uuid() for _ in range(40)]
    numbers = old.cloud.runtime.numbers
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda at: numbers.of_images(uuids[at % 7 :]), range(32)))
    whole = numbers.of_images(uuids)
    assert all(whole[uuid] == number for one in seen for uuid, number in one.items())
    assert len(set(whole.values())) == len(uuids)
    assert all(numbers.image(number) == uuid for uuid, number in whole.items())


def test_numbers_outlive_a_restart_and_their_images(tmp_path: Path) -> None:
    with running(tmp_path / "state", copy.deepcopy(DOCUMENT)) as made:
        before = dict(made.runtime.numbers.of_images(IMAGES.values()))
        made.runtime.catalogue.delete(ALICE.elevated(), RAW)
    again = make_runtime(tmp_path / "state")
    try:
        assert again.numbers.of_images(IMAGES.values()) == before
        assert again.numbers.of_images([NOBODY])[NOBODY] > max(before.values())
    finally:
        again.close()
        runtimes.uninstall()
