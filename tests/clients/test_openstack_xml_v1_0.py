"""A client of the 1.0 API that speaks nothing but XML, on a socket."""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lxml import etree

from tests.clients.conftest import Tenant
from tests.clients.test_openstack_xml import XmlClient

NAMESPACE = "http://docs.rackspacecloud.com/servers/api/v1.0"
NS, XMLNS = f"{{{NAMESPACE}}}", f'xmlns="{NAMESPACE}"'


class OldClient:
    """Logs in, and puts paths behind the URL that the login answers; every document has to be of the namespace."""

    def __init__(self, who: Tenant) -> None:
        self.who = who
        _, headers = self._send("GET", "/v1.0", None, {"X-Auth-User": who.user, "X-Auth-Key": who.key}, 204)
        self.token, self.url = headers["X-Auth-Token"], headers["X-Server-Management-Url"]
        assert self.url == who.url

    def _send(
        self, method: str, path: str, document: str | None, headers: dict[str, str], status: int
    ) -> tuple[bytes, Any]:
        connection = http.client.HTTPConnection(self.who.host, self.who.port, timeout=30)
        connection.request(method, path, document, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == status, body
        return body, answer.headers

    def ask(self, method: str, path: str, document: str | None = None, status: int = 200) -> Any:
        headers = {"X-Auth-Token": self.token, "Accept": "application/xml"}
        if document is not None:
            headers["Content-Type"] = "application/xml; charset=UTF-8"
        body, _ = self._send(method, f"/v1.0{path}", document, headers, status)
        if not body:
            return None
        root = etree.fromstring(body)
        assert all(etree.QName(one).namespace == NAMESPACE for one in root.iter())
        return root

    def act(self, url: str, document: str, status: int = 202) -> None:
        assert self.ask("POST", f"{url}/action", document, status) is None

    def server(self, url: str, status: str = "ACTIVE") -> Any:
        return until(lambda: self.ask("GET", f"{url}?fresh={time.time()}"), lambda seen: seen.get("status") == status)

    def by_name(self, collection: str) -> dict[str, str]:
        return {one.get("name"): one.get("id") for one in self.ask("GET", f"/{collection}")}

    @contextmanager
    def booted(self, name: str, more: str = "") -> Iterator[str]:
        """A server, as its path."""
        image, flavor = self.by_name("images")["oracle-raw"], self.by_name("flavors")["m1.tiny"]
        document = f'<server {XMLNS} name="{name}" imageId="{image}" flavorId="{flavor}" {more}/>'
        url = f"/servers/{self.ask('POST', '/servers', document, 202).get('id')}"
        self.server(url)
        yield url
        self.ask("DELETE", url, status=202)


def until(found: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    for _ in range(300):
        seen = found()
        if good(seen):
            return seen
        time.sleep(0.1)
    raise AssertionError(f"it is {seen}")


def test_a_walk(old_perf: Tenant) -> None:
    client = OldClient(old_perf)
    sizes, images = client.by_name("flavors"), client.by_name("images")
    tiny = client.ask("GET", f"/flavors/{sizes['m1.tiny']}")
    assert (tiny.tag, tiny.get("ram"), tiny.get("disk")) == (f"{NS}flavor", "512", "0")
    assert len(client.ask("GET", "/flavors/detail?offset=1&limit=2")) == 2
    assert client.ask("GET", f"/images/{images['oracle-raw']}").get("status") == "ACTIVE"
    made = client.ask(
        "POST",
        "/servers",
        f'<server {XMLNS} name="xml" imageId="{images["oracle-raw"]}" flavorId="{sizes["m1.tiny"]}">'
        '<metadata><meta key="k">v</meta></metadata>'
        '<personality><file path="/etc/motd">aGVsbG8=</file></personality></server>',
        202,
    )
    assert (made.tag, made.get("status"), len(made.get("adminPass"))) == (f"{NS}server", "BUILD", 16)
    url = f"/servers/{made.get('id')}"
    running = client.server(url)
    assert running.find(f"{NS}metadata/{NS}meta[@key='k']").text == "v"
    (private,) = running.findall(f"{NS}addresses/{NS}private/{NS}ip")
    assert [one.get("addr") for one in client.ask("GET", f"{url}/ips/private")] == [private.get("addr")]
    assert len(client.ask("GET", f"{url}/ips/public")) == 0
    assert running.get("progress") == "100"

    client.ask("PUT", url, f'<server {XMLNS} name="renamed" adminPass="n3w"/>', 204)
    assert client.server(url).get("name") == "renamed"
    client.act(url, f'<reboot {XMLNS} type="HARD" />')
    client.server(url)
    client.act(url, f'<rebuild {XMLNS} imageId="{images["oracle-ami"]}"/>')
    assert client.server(url).get("imageId") == images["oracle-ami"]
    client.act(url, f'<resize {XMLNS} flavorId="{sizes["m1.small"]}"/>')
    client.server(url, "VERIFY_RESIZE")
    client.act(url, f"<confirmResize {XMLNS}/>", 204)
    assert client.server(url).get("flavorId") == sizes["m1.small"]
    client.act(url, f'<resize {XMLNS} flavorId="{sizes["m1.tiny"]}"/>')
    client.server(url, "VERIFY_RESIZE")
    client.act(url, f"<revertResize {XMLNS}/>")
    assert client.server(url).get("flavorId") == sizes["m1.small"]

    image = client.ask("POST", "/images", f'<image {XMLNS} name="snap" serverId="{made.get("id")}"/>', 202)
    place = f"/images/{image.get('id')}"
    done = until(lambda: client.ask("GET", place), lambda seen: seen.get("status") == "ACTIVE")
    assert (done.get("progress"), done.get("serverId")) == ("100", made.get("id"))
    assert "snap" in {one.get("name") for one in client.ask("GET", "/images/detail")}
    client.ask("DELETE", place, status=204)
    client.ask("DELETE", url, status=202)
    until(lambda: client.ask("GET", "/servers/detail"), lambda seen: made.get("id") not in {o.get("id") for o in seen})


def test_shared_addresses(old_perf: Tenant, tenant_perf: Tenant) -> None:
    client, modern = OldClient(old_perf), XmlClient(tenant_perf)
    with client.booted("xml-owner") as owner:
        number = owner.rpartition("/")[2]
        group = client.ask(
            "POST",
            "/shared_ip_groups",
            f'<sharedIpGroup {XMLNS} name="xml-group"><server id="{number}"/></sharedIpGroup>',
            201,
        )
        place = f"/shared_ip_groups/{group.get('id')}"
        assert [one.get("id") for one in group.find(f"{NS}servers")] == [number]
        brief = next(one for one in client.ask("GET", "/shared_ip_groups") if one.get("id") == group.get("id"))
        assert (brief.get("name"), len(brief)) == ("xml-group", 0)
        with client.booted("xml-second", f'sharedIpGroupId="{group.get("id")}"') as second:
            made = modern.ask("POST", "/os-floating-ips", "<floating_ip/>")
            assert made is not None
            address = made.get("ip") or made.findtext("{*}ip")
            modern.act(owner, f'<addFloatingIp address="{address}"/>')
            until(lambda: client.ask("GET", f"{owner}/ips/public"), lambda seen: len(seen) == 1)
            share = f"{second}/ips/public/{address}"
            body = f'<shareIp {XMLNS} sharedIpGroupId="{group.get("id")}" configureServer="true"/>'
            for _ in range(2):
                assert client.ask("PUT", share, body, 202) is None
            for url in (owner, second):
                public = client.ask("GET", url).findall(f"{NS}addresses/{NS}public/{NS}ip")
                assert [one.get("addr") for one in public] == [address]
            assert client.ask("DELETE", place, status=409).tag == f"{NS}inProgress"
            assert client.ask("DELETE", f"{owner}/ips/public/{address}", status=403).tag == f"{NS}resizeNotAllowed"
            assert client.ask("DELETE", share, status=202) is None
            assert client.ask("DELETE", share, status=404).tag == f"{NS}itemNotFound"
            assert len(client.ask("GET", f"{second}/ips/public")) == 0
        members = until(lambda: client.ask("GET", place), lambda seen: len(seen.find(f"{NS}servers")) == 1)
        assert members.find(f"{NS}servers/{NS}server").get("id") == number
        assert client.ask("PUT", place, f'<sharedIpGroup {XMLNS} name="x"/>', 405).tag == f"{NS}badMethod"
        client.ask("DELETE", place, status=204)
        client.ask("GET", place, status=404)


def test_backup_schedules(old_perf: Tenant) -> None:
    client = OldClient(old_perf)
    with client.booted("xml-kept") as server:
        place = f"{server}/backup_schedule"

        def shown() -> dict[str, str]:
            root = client.ask("GET", place)
            assert root.tag == f"{NS}backupSchedule"
            return dict(root.attrib)

        none = {"enabled": "false", "weekly": "DISABLED", "daily": "DISABLED"}
        assert shown() == none
        body = f'<backupSchedule {XMLNS} enabled="true" weekly="THURSDAY" daily="H_0400_0600"/>'
        assert client.ask("POST", place, body, 204) is None
        assert shown() == {"enabled": "true", "weekly": "THURSDAY", "daily": "H_0400_0600"}
        for bad in (
            'enabled="maybe"',
            'enabled="1" weekly="SOMEDAY"',
            'enabled="1" daily="H_0100_0300"',
            'weekly="SUNDAY"',
        ):
            assert client.ask("POST", place, f"<backupSchedule {XMLNS} {bad}/>", 400).tag == f"{NS}badRequest"
        assert shown()["weekly"] == "THURSDAY"
        for _ in range(2):
            client.ask("DELETE", place, status=204)
        assert shown() == none


def test_limits(old_bob: Tenant) -> None:
    found = OldClient(old_bob).ask("GET", "/limits")
    absolute = {one.get("name"): one.get("value") for one in found.findall(f"{NS}absolute/{NS}limit")}
    assert (absolute["maxIPGroups"], absolute["maxIPGroupMembers"]) == ("50", "25")
    assert found.find(f"{NS}rate") is not None


def test_refusals(old_bob: Tenant) -> None:
    client = OldClient(old_bob)
    for method, path, document, status, name in (
        ("GET", "/servers/nonsense", None, 404, "itemNotFound"),
        ("GET", "/nonsense", None, 404, "itemNotFound"),
        ("POST", "/servers", "<server/>", 400, "badRequest"),
        ("POST", "/servers", "<server", 400, "badRequest"),
        ("POST", "/images", "<image/>", 400, "badRequest"),
        ("GET", "/servers?limit=x", None, 400, "badRequest"),
        ("GET", "/servers/1/ips/other", None, 404, "itemNotFound"),
        ("DELETE", "/servers/987654", None, 404, "itemNotFound"),
    ):
        found = client.ask(method, path, document, status)
        assert (found.tag, found.get("code")) == (f"{NS}{name}", str(status))
        assert found.findtext(f"{NS}message")
