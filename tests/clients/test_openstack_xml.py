"""A client that speaks nothing but XML, on a socket."""

import http.client
import time
from dataclasses import dataclass, field

from lxml import etree

from tests.clients.conftest import Tenant

COMPUTE, ATOM = "{http://docs.openstack.org/compute/api/v1.1}", "{http://www.w3.org/2005/Atom}"


@dataclass
class XmlClient:
    """Sends and reads documents; every one is parsed with its namespaces."""

    who: Tenant
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, document: str | None = None, status: int = 200) -> etree._Element | None:
        connection = http.client.HTTPConnection(self.who.host, self.who.port, timeout=30)
        headers = {"X-Auth-Token": self.who.token, "Accept": "application/xml"}
        if document is not None:
            headers["Content-Type"] = "application/xml"
        connection.request(method, f"/v1.1/{self.who.project}{path}", document, headers)
        answer = connection.getresponse()
        body, self.headers = answer.read(), dict(answer.headers)
        connection.close()
        assert answer.status == status, body
        return etree.fromstring(body) if body else None

    def server(self, url: str, status: str) -> etree._Element:
        for _ in range(300):
            found = self.ask("GET", url)
            assert found is not None
            if found.get("status") == status:
                return found
            time.sleep(0.1)
        raise AssertionError(f"it is {found.get('status')}")

    def act(self, url: str, document: str, status: int = 202) -> etree._Element | None:
        return self.ask("POST", f"{url}/action", document, status)


def test_a_walk(tenant_perf: Tenant) -> None:
    client = XmlClient(tenant_perf)
    flavors = client.ask("GET", "/flavors/detail")
    assert flavors is not None
    sizes = {one.get("name"): one.get("id") for one in flavors}
    assert flavors[0].find(f"{ATOM}link[@rel='self']") is not None
    listed = client.ask("GET", "/images")
    assert listed is not None
    images = {one.get("name"): one.get("id") for one in listed}
    made = client.ask(
        "POST",
        "/servers",
        f'<server xmlns="{COMPUTE[1:-1]}" name="xml" imageRef="{images["oracle-raw"]}" flavorRef="{sizes["m1.tiny"]}">'
        '<metadata><meta key="k">v</meta></metadata></server>',
        202,
    )
    assert made is not None and made.get("adminPass")
    url = f"/servers/{made.get('id')}"
    assert client.headers["Location"].endswith(url)
    running = client.server(url, "ACTIVE")
    assert running.find(f"{COMPUTE}metadata/{COMPUTE}meta[@key='k']").text == "v"
    assert running.find(f"{COMPUTE}addresses/{COMPUTE}network/{COMPUTE}ip").get("addr", "").startswith("10.")

    changed = client.ask("PUT", f"{url}/metadata/a", '<meta key="a">b</meta>')
    assert changed is not None and (changed.tag, changed.text) == (f"{COMPUTE}meta", "b")
    whole = client.ask("GET", f"{url}/metadata")
    assert whole is not None and {one.get("key"): one.text for one in whole} == {"a": "b", "k": "v"}
    client.ask("DELETE", f"{url}/metadata/a", status=204)

    client.act(url, '<reboot type="SOFT"/>')
    client.server(url, "ACTIVE")
    rebuilt = client.act(url, f'<rebuild imageRef="{images["oracle-ami"]}" name="again"/>')
    assert rebuilt is not None and rebuilt.get("name") == "again"
    client.server(url, "ACTIVE")
    client.act(url, f'<resize flavorRef="{sizes["m1.small"]}"/>')
    client.server(url, "VERIFY_RESIZE")
    client.act(url, "<confirmResize/>", 204)
    assert client.server(url, "ACTIVE").find(f"{COMPUTE}flavor").get("id") == sizes["m1.small"]
    client.act(url, f'<resize flavorRef="{sizes["m1.tiny"]}"/>')
    client.server(url, "VERIFY_RESIZE")
    client.act(url, "<revertResize/>")
    assert client.server(url, "ACTIVE").find(f"{COMPUTE}flavor").get("id") == sizes["m1.small"]
    client.act(url, '<changePassword adminPass="n3w"/>')
    client.server(url, "ACTIVE")
    client.act(url, '<createImage name="snap"><metadata><meta key="x">y</meta></metadata></createImage>')
    image = "/images/" + client.headers["Location"].rpartition("/")[2]
    for _ in range(100):
        found = client.ask("GET", image)
        assert found is not None
        if found.get("status") == "ACTIVE":
            break
        time.sleep(0.1)
    assert found.find(f"{COMPUTE}server").get("id") == made.get("id")
    client.ask("DELETE", image, status=204)
    client.ask("DELETE", url, status=204)


def test_refusals(tenant_bob: Tenant) -> None:
    client = XmlClient(tenant_bob)
    for method, path, document, status, name in (
        ("GET", "/servers/nonsense", None, 404, "itemNotFound"),
        ("POST", "/servers", "<server/>", 400, "badRequest"),
        ("POST", "/servers", "<server", 400, "badRequest"),
        ("POST", "/images", "<image/>", 405, "badMethod"),
        ("POST", "/servers/nonsense/ips", "<x/>", 501, "notImplemented"),
    ):
        found = client.ask(method, path, document, status)
        assert found is not None
        assert (found.tag, found.get("code")) == (f"{COMPUTE}{name}", str(status))
        assert found.findtext(f"{COMPUTE}message")
