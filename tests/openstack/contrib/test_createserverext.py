"""os-create-server-ext (spec openstack-extensions.md 2.6)."""

from lxml import etree

from tests.openstack.fakes import NOBODY, RAW, STOCK_404, Door, message

COMPUTE = "{http://docs.openstack.org/compute/api/v1.1}"
EXT = "/os-create-server-ext"


def test_it_is_servers_once_more(door: Door) -> None:
    server = {"name": "ext", "imageRef": RAW, "flavorRef": "1", "OS-DCF:diskConfig": "AUTO"}
    answer = door.post(EXT, {"server": server})
    assert answer.status_int == 202
    made = answer.json["server"]["id"]
    assert answer.headers["Location"] == f"http://localhost/v1.1/acme/servers/{made}"
    door.cloud.settle()
    assert door.server(made)["OS-DCF:diskConfig"] == "AUTO"
    shown = door.ask(f"{EXT}/{made}").json["server"]
    assert shown["security_groups"] == [{"name": "default"}]
    assert shown["links"] == door.server(made)["links"]
    assert not [name for name in shown if name.startswith("OS-EXT")]
    root = etree.fromstring(door.ask(f"{EXT}/{made}", headers={"Accept": "application/xml"}).body)
    assert [one.get("name") for one in root.iter(f"{COMPUTE}security_group")] == ["default"]
    assert made in [one["id"] for one in door.ask(EXT).json["servers"]]
    renamed = door.put(f"{EXT}/{made}", {"server": {"name": "renamed"}})
    assert renamed.json["server"]["name"] == "renamed"
    assert message(door.ask(f"{EXT}/{made}", user="bob")) == (404, STOCK_404)
    assert message(door.ask(f"{EXT}/{NOBODY}")) == (404, STOCK_404)
    assert message(door.ask(f"{EXT}/detail")) == (404, STOCK_404)
    assert door.delete(f"{EXT}/{made}").status_int == 204
