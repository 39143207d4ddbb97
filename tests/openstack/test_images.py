"""Images and their metadata (spec openstack-core.md 6.2, 6.3)."""

from typing import Any

import pytest
import sqlalchemy as sa
from lxml import etree

from nova_api.db.models import images
from tests.openstack.fakes import DOCUMENT, IMAGES, NOBODY, RAW, STOCK_400, STOCK_404, Door, message

COMPUTE = "{http://docs.openstack.org/compute/api/v1.1}"
OWN = IMAGES["acme-private"]
NOT_FOUND = (404, "Image not found.")


def names(door: Door, query: str = "", **options: Any) -> set[str]:
    return {one["name"] for one in door.ask(f"/images{query}", **options).json["images"]}


def snapshot(door: Door, **metadata: str) -> str:
    server = door.boot()
    answer = door.act(server, "createImage", {"name": "made", "metadata": metadata})
    door.cloud.settle()
    return str(answer.headers["Location"].rpartition("/")[2])


def test_who_sees_what(door: Door) -> None:
    public = {image["name"] for image in DOCUMENT["images"] if image["public"]}
    assert names(door) >= public | {"acme-private"}
    assert names(door, user="bob") == public | {"globex-private"}
    assert names(door, user="admin") >= public | {"acme-private", "globex-private"}


def test_a_document(door: Door) -> None:
    shown = door.ask(f"/images/{OWN}").json["image"]
    assert shown["links"] == [
        {"rel": "self", "href": f"http://localhost/v1.1/acme/images/{OWN}"},
        {"rel": "bookmark", "href": f"http://localhost/acme/images/{OWN}"},
        {
            "rel": "alternate",
            "type": "application/vnd.openstack.image",
            "href": f"http://127.0.0.1:9292/acme/images/{OWN}",
        },
    ]
    assert (shown["status"], shown["progress"], shown["minRam"], shown["minDisk"]) == ("ACTIVE", 100, 0, 0)
    given = next(image for image in DOCUMENT["images"] if image["id"] == OWN)
    assert shown["metadata"] == given["properties"]
    assert "OS-DCF:diskConfig" not in shown
    root = etree.fromstring(door.ask(f"/images/{OWN}.xml").body)
    assert (root.tag, root.get("minRam")) == (f"{COMPUTE}image", "0")
    assert root.find(f"{COMPUTE}metadata/{COMPUTE}meta[@key='owner_id']").text == "acme"


@pytest.mark.parametrize(
    ("stored", "status", "progress"),
    [("queued", "SAVING", 25), ("saving", "SAVING", 50), ("killed", "ERROR", 0), ("odd", "UNKNOWN", 0)],
)
def test_statuses(door: Door, stored: str, status: str, progress: int) -> None:
    image = snapshot(door)
    query = sa.update(images).where(images.c.uuid == image).values(status=stored)
    door.cloud.runtime.db.write(lambda tx: tx.execute(query))
    shown = door.ask(f"/images/{image}").json["image"]
    assert (shown["status"], shown["progress"]) == (status, progress)
    assert image in {one["id"] for one in door.ask(f"/images?status={status}").json["images"]} or status == "UNKNOWN"


@pytest.mark.parametrize("image", [NOBODY, "nonsense", IMAGES["globex-private"], "x" * 500])
def test_unknown_images(door: Door, image: str) -> None:
    assert message(door.ask(f"/images/{image}")) == NOT_FOUND
    assert message(door.delete(f"/images/{image}")) == NOT_FOUND
    assert message(door.ask(f"/images/{image}/metadata")) == NOT_FOUND
    assert message(door.put(f"/images/{image}/metadata/a", {"meta": {"a": "b"}})) == NOT_FOUND


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=oracle-raw", {"oracle-raw"}),
        ("name=oracle", set()),
        ("name=oracle-raw&status=ACTIVE", {"oracle-raw"}),
        ("name=oracle-raw&status=active", {"oracle-raw"}),
        ("name=oracle-raw&status=SAVING", set()),
        ("property-architecture=i386", {"oracle-min-big"}),
        ("property-owner_id=acme&name=acme-private", {"acme-private"}),
        ("property-no_such=1", set()),
        ("minRam=4096", {"oracle-min-big"}),
        ("minDisk=40", {"oracle-min-big"}),
        ("minDisk=41", set()),
        ("changes-since=2999-01-01T00:00:00Z", set()),
        ("name=oracle-raw&nonsense=1&minRam=x", {"oracle-raw"}),
        (f"server=http://x/servers/{NOBODY}", set()),
        ("limit=0", set()),
    ],
)
def test_filters(door: Door, query: str, found: set[str]) -> None:
    assert names(door, f"?{query}") == found


def test_pages(door: Door) -> None:
    whole = [one["id"] for one in door.ask("/images").json["images"]]
    seen, url = [], "/images/detail?limit=3"
    while url:
        answer = door.ask(url).json
        seen += [one["id"] for one in answer["images"]]
        links = answer.get("images_links")
        url = links[0]["href"].removeprefix("http://localhost/v1.1/acme") if links else ""
    assert seen == whole
    assert message(door.ask(f"/images?marker={NOBODY}")) == (400, f"marker [{NOBODY}] not found")
    foreign = IMAGES["globex-private"]
    assert message(door.ask(f"/images?marker={foreign}")) == (400, f"marker [{foreign}] not found")


def test_delete(door: Door) -> None:
    image = snapshot(door)
    assert message(door.delete(f"/images/{image}", user="bob")) == NOT_FOUND
    answer = door.delete(f"/images/{image}")
    assert (answer.status_int, answer.headers["Content-Type"], answer.body) == (204, "text/html; charset=UTF-8", b"")
    assert message(door.ask(f"/images/{image}")) == NOT_FOUND
    assert message(door.put(f"/images/{image}/metadata/a", {"meta": {"a": "b"}})) == NOT_FOUND


def test_public_images_are_their_owners(door: Door) -> None:
    for answer in (
        door.delete(f"/images/{RAW}"),
        door.put(f"/images/{RAW}/metadata/a", {"meta": {"a": "b"}}),
        door.put(f"/images/{RAW}/metadata", {"metadata": {}}),
        door.post(f"/images/{RAW}/metadata", {"metadata": {"a": "b"}}),
        door.delete(f"/images/{RAW}/metadata/a"),
    ):
        assert message(answer) == (403, "Not the image owner")
    assert door.put(f"/images/{RAW}/metadata/a", {"meta": {"a": "b"}}, user="admin").status_int == 200
    assert door.delete(f"/images/{RAW}/metadata/a", user="admin").status_int == 204


def test_methods_that_are_not_there(door: Door) -> None:
    assert message(door.post("/images", {"image": {}})) == (405, STOCK_400)
    assert message(door.put(f"/images/{RAW}", {"image": {}})) == (404, STOCK_404)


# -- metadata of images


def test_items(door: Door) -> None:
    url = f"/images/{snapshot(door, a='1')}/metadata"
    assert door.ask(f"{url}/a").json == {"meta": {"a": "1"}}
    assert message(door.ask(f"{url}/zz")) == (404, STOCK_404)
    assert door.put(f"{url}/a", {"meta": {"a": "2"}}).json == {"meta": {"a": "2"}}
    assert door.post(url, {"metadata": {"b": "3"}}).json["metadata"].items() >= {"a": "2", "b": "3"}.items()
    assert door.put(f"{url}/dotted.key", {"meta": {"dotted.key": "x"}}).status_int == 200
    assert door.ask(f"{url}/dotted.key").json == {"meta": {"dotted.key": "x"}}
    root = etree.fromstring(door.ask(f"{url}/b.xml").body)
    assert (root.tag, root.get("key"), root.text) == (f"{COMPUTE}meta", "b", "3")
    assert door.delete(f"{url}/b").status_int == 204
    assert message(door.delete(f"{url}/b")) == (404, "Invalid metadata key")
    changed = door.ask(url, "POST", xml='<metadata><meta key="c">4</meta></metadata>')
    assert etree.fromstring(changed.body).find(f"{COMPUTE}meta[@key='c']").text == "4"


def test_a_replacement_keeps_whose_it_is(door: Door) -> None:
    image = snapshot(door, a="1")
    url = f"/images/{image}/metadata"
    for body in ({}, {"metadata": {}}):
        assert door.put(url, body).json["metadata"].keys() == {"owner_id", "project_id", "user_id", "instance_uuid"}
    stolen = {"owner_id": "globex", "project_id": "globex", "user_id": "bob", "b": "c", "kernel_id": "k"}
    found = door.put(url, {"metadata": stolen}).json["metadata"]
    assert (found["owner_id"], found["user_id"], found["b"], found["kernel_id"]) == ("acme", "alice", "c", "k")
    assert message(door.delete(f"{url}/owner_id")) == (404, "Invalid metadata key")
    assert door.delete(f"{url}/kernel_id").status_int == 204
    assert door.ask(url).json["metadata"].keys() == {"owner_id", "project_id", "user_id", "instance_uuid", "b"}


@pytest.mark.parametrize(
    ("method", "key", "body", "status", "text"),
    [
        ("PUT", "/a", {"meta": {"b": "c"}}, 400, "Request body and URI mismatch"),
        ("PUT", "/a", {"meta": {"a": "b", "b": "c"}}, 400, "Request body contains too many items"),
        ("PUT", "/a", {}, 400, "Incorrect request body format"),
        ("PUT", "/a", {"meta": []}, 400, "Incorrect request body format"),
        ("PUT", "/a", {"meta": {"a": 1}}, 400, STOCK_400),
        ("POST", "", {"metadata": "x"}, 400, "Incorrect request body format"),
        ("PUT", "", [], 400, "Incorrect request body format"),
        ("POST", "", {"metadata": {str(n): "" for n in range(129)}}, 413, "Image metadata limit exceeded"),
        ("POST", "", {"metadata": {"k" * 256: ""}}, 413, "Image metadata limit exceeded"),
        ("POST", "", {"metadata": {"kernel_id": "k" * 37}}, 413, "Image metadata limit exceeded"),
    ],
)
def test_refused_items(door: Door, method: str, key: str, body: Any, status: int, text: str) -> None:
    assert message(door.ask(f"/images/{OWN}/metadata{key}", method, body)) == (status, text)


# -- metadata of servers, and addresses


def test_metadata_of_servers(door: Door) -> None:
    server = door.boot(metadata={"a": "1"})
    url = f"/servers/{server}/metadata"
    assert door.ask(url).json == {"metadata": {"a": "1"}}
    assert door.ask(f"{url}/a").json == {"meta": {"a": "1"}}
    assert door.post(url, {"metadata": {"b": "2", "": "empty"}}).json == {"metadata": {"a": "1", "b": "2", "": "empty"}}
    assert door.put(f"{url}/b", {"meta": {"b": "3"}}).json == {"meta": {"b": "3"}}
    assert door.put(url, {"metadata": {"c": "4"}}).json == {"metadata": {"c": "4"}}
    assert door.server(server)["metadata"] == {"c": "4"}
    assert door.delete(f"{url}/c").status_int == 204
    assert message(door.delete(f"{url}/c")) == (404, "Metadata item was not found")
    assert message(door.ask(f"{url}/c")) == (404, "Metadata item was not found")
    changed = door.ask(url, "PUT", xml='<metadata><meta key="x">y</meta></metadata>')
    assert etree.fromstring(changed.body)[0].text == "y"
    assert etree.fromstring(door.ask(f"{url}/x", "PUT", xml='<meta key="x">z</meta>').body).text == "z"
    assert etree.fromstring(door.ask(url, "PUT", xml="<foo/>").body).tag == f"{COMPUTE}metadata"
    assert door.ask(url).json == {"metadata": {}}


@pytest.mark.parametrize(
    ("method", "key", "body", "status", "text"),
    [
        ("POST", "", {}, 400, "Malformed request body"),
        ("POST", "", {"metadata": "x"}, 400, "Malformed request body"),
        ("PUT", "", {"meta": {}}, 400, "Malformed request body"),
        ("PUT", "/a", {"meta": {"b": "1"}}, 400, "Request body and URI mismatch"),
        ("PUT", "/a", {"meta": {"a": "1", "b": "1"}}, 400, "Request body contains too many items"),
        ("POST", "", {"metadata": {"a": None}}, 400, STOCK_400),
        ("POST", "", {"metadata": {"a": "\x00"}}, 400, STOCK_400),
        ("POST", "", {"metadata": {str(n): "" for n in range(129)}}, 413, "Quota exceeded: code=MetadataLimitExceeded"),
        ("PUT", "/a", {"meta": {"a": "v" * 256}}, 413, "Quota exceeded: code=MetadataLimitExceeded"),
    ],
)
def test_refused_metadata(door: Door, served: str, method: str, key: str, body: Any, status: int, text: str) -> None:
    answer = door.ask(f"/servers/{served}/metadata{key}", method, body)
    assert message(answer) == (status, text)
    assert answer.headers.get("Retry-After") == ("0" if status == 413 else None)


@pytest.fixture(scope="module")
def served(door: Door) -> str:
    return door.boot()


def test_addresses(door: Door, served: str) -> None:
    shown = door.server(served)["addresses"]
    assert door.ask(f"/servers/{served}/ips").json == {"addresses": shown}
    assert door.ask(f"/servers/{served}/ips/private").json == shown
    root = etree.fromstring(door.ask(f"/servers/{served}/ips/private.xml").body)
    assert (root.tag, root.get("id"), root[0].get("version")) == (f"{COMPUTE}network", "private", "4")
    assert etree.fromstring(door.ask(f"/servers/{served}/ips.xml").body)[0].get("id") == "private"
    missing = (404, "Instance is not a member of specified network")
    assert message(door.ask(f"/servers/{served}/ips/other")) == missing
    assert message(door.ask(f"/servers/{NOBODY}/ips")) == (404, "Instance does not exist")
    assert message(door.ask(f"/servers/{NOBODY}/metadata")) == (404, "Server does not exist")
    assert door.post(f"/servers/{served}/ips", {}).status_int == 501
    assert door.delete(f"/servers/{served}/ips/private").status_int == 501
    assert door.put(f"/servers/{served}/ips/private", {}).status_int == 404
