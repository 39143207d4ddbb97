"""os-floating-ip-dns (spec openstack-extensions.md 6.3)."""

from typing import Any

import pytest

from nova_api import limits
from tests.openstack.contrib.tables import refusals, text
from tests.openstack.fakes import Door, message

STOCK_422 = "Unable to process the contained instructions"
DNS = "/os-floating-ip-dns"


def domain(door: Door, name: str, user: str = "admin", **fields: Any) -> Any:
    return door.put(f"{DNS}/{name}", {"domain_entry": {"scope": "public", **fields}}, user=user)


def entry(door: Door, domain: str, name: str, user: str = "alice", **fields: Any) -> Any:
    body = {"dns_entry": {"ip": "10.1.1.1", "dns_type": "A", **fields}}
    return door.put(f"{DNS}/{domain}/entries/{name}", body, user=user)


def test_domains(door: Door) -> None:
    shown = {"domain": "example.org", "scope": "public", "project": "acme", "availability_zone": None}
    # As novaclient quotes it, and as people write it.
    for name in ("example%252Eorg", "example.org", "EXAMPLE.org"):
        answer = domain(door, name, project="acme")
        assert (answer.status_int, answer.json) == (200, {"domain_entry": shown})
    private = door.put(
        f"{DNS}/priv.org", {"domain_entry": {"scope": "private", "availability_zone": "nova"}}, user="admin"
    )
    assert private.json["domain_entry"]["scope"] == "private"
    assert shown in door.ask(DNS).json["domain_entries"]
    assert "example.org" not in [one["domain"] for one in door.ask(DNS, user="bob").json["domain_entries"]]
    assert {"example.org", "priv.org"} <= {one["domain"] for one in door.ask(DNS, user="admin").json["domain_entries"]}
    for name in ("example.org", "priv%252Eorg"):
        gone = door.delete(f"{DNS}/{name}", user="admin")
        assert (gone.status_int, gone.body, gone.content_type) == (200, b"", "application/json")
    refused = message(door.delete(f"{DNS}/example.org", user="admin"))
    assert refused == (404, "DNS domain example.org could not be found.")


def test_entries(door: Door) -> None:
    domain(door, "names.org", project="acme")
    shown = {"ip": "10.1.1.1", "id": None, "type": "A", "domain": "names.org", "name": "www"}
    assert entry(door, "names%252Eorg", "www").json == {"dns_entry": shown}
    assert door.ask(f"{DNS}/names.org/entries/www").json == {"dns_entry": shown}
    changed = entry(door, "names.org", "WWW", ip="10.1.1.2").json["dns_entry"]
    assert changed == {**shown, "ip": "10.1.1.2"}
    entry(door, "names.org", "ftp", ip="10.1.1.2")
    listed = door.ask(f"{DNS}/names.org/entries?ip=10.1.1.2").json["dns_entries"]
    assert [one["name"] for one in listed] == ["ftp", "www"]
    assert door.ask(f"{DNS}/names.org/entries?ip=10.1.1.1").json == {"dns_entries": []}
    six = entry(door, "names.org", "six", ip="2001:DB8::1", dns_type="AAAA").json["dns_entry"]
    assert six["ip"] == "2001:db8::1"
    for _ in range(2):  # one that is not there is fine
        gone = door.delete(f"{DNS}/names.org/entries/www")
        assert (gone.status_int, gone.body) == (200, b"")
    refused = message(door.ask(f"{DNS}/names.org/entries/www"))
    assert refused == (404, "DNS entry www of domain names.org could not be found.")
    door.delete(f"{DNS}/names.org", user="admin")
    assert message(door.ask(f"{DNS}/names.org/entries/ftp"))[0] == 404
    domain(door, "names.org", project="acme")
    assert door.ask(f"{DNS}/names.org/entries?ip=10.1.1.2").json == {"dns_entries": []}


def test_xml(door: Door) -> None:
    made = door.ask(
        f"{DNS}/xml.org", "PUT", xml='<domain_entry scope="private" availability_zone="nova"/>', user="admin"
    )
    one = '<domain_entry domain="xml.org" scope="private" project="None" availability_zone="nova"/>'
    assert text(made) == one
    xml = {"headers": {"Accept": "application/xml"}}
    assert one in text(door.ask(DNS, **xml))
    path = f"{DNS}/xml.org/entries"
    made = door.ask(f"{path}/www", "PUT", xml='<dns_entry ip="10.1.1.1" dns_type="A"/>', user="admin")
    shown = '<dns_entry id="None" ip="10.1.1.1" type="A" domain="xml.org" name="www"/>'
    assert text(made) == shown
    assert text(door.ask(f"{path}/www", **xml)) == shown
    assert text(door.ask(f"{path}?ip=10.1.1.1", **xml)) == f"<dns_entries>{shown}</dns_entries>"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"scope": None},
        {"scope": "x"},
        {"scope": "public", "availability_zone": "nova"},
        {"scope": "private", "project": "acme"},
        {"scope": "public", "availability_zone": "nova", "project": "acme"},
    ],
)
def test_domains_that_are_none(door: Door, fields: dict[str, Any]) -> None:
    refused = message(door.put(f"{DNS}/refused.org", {"domain_entry": fields}, user="admin"))
    assert refused == (422, STOCK_422)


def test_odd_documents(door: Door) -> None:
    domain(door, "odd.org", project="acme")
    fields = {"scope": "public", "project": "acme"}
    assert set(refusals(door, "PUT", f"{DNS}/odd.org", root="domain_entry", fields=fields, user="admin")) <= {
        200,
        400,
        422,
    }
    domain(door, "odd.org", project="acme")
    fields = {"ip": "10.1.1.1", "dns_type": "A"}
    found = refusals(door, "PUT", f"{DNS}/odd.org/entries/www", root="dns_entry", fields=fields)
    assert set(found) <= {200, 400, 422}
    assert message(door.ask(f"{DNS}/odd.org/entries")) == (422, STOCK_422)
    for ip in ("10.1.1", "x", "::1", "10.1.1.1/8"):
        assert message(entry(door, "odd.org", "www", ip=ip))[0] == 400
    assert message(entry(door, "odd.org", "www", dns_type="MX")) == (400, "dns_type is not one of: A, AAAA")


@pytest.mark.parametrize(
    "name", ["a..b", "-a.org", "a-.org", "%20", "a b.org", "x" * 64 + ".org", "ab." * 100, "%C3%BC.org"]
)
def test_names_that_are_none(door: Door, name: str) -> None:
    assert message(domain(door, name))[0] in (400, 404)


def test_who_may(door: Door) -> None:
    for answer in (domain(door, "mine.org", "alice"), door.delete(f"{DNS}/mine.org")):
        assert message(answer) == (403, "User does not have admin privileges")
    domain(door, "ours.org", project="acme")
    domain(door, "all.org")
    missing = (404, "DNS domain ours.org could not be found.")
    for answer in (
        entry(door, "ours.org", "www", "bob"),
        door.ask(f"{DNS}/ours.org/entries/www", user="bob"),
        door.ask(f"{DNS}/ours.org/entries?ip=10.1.1.1", user="bob"),
        door.delete(f"{DNS}/ours.org/entries/www", user="bob"),
    ):
        assert message(answer) == missing
    assert entry(door, "all.org", "www", "admin").status_int == 200
    assert door.ask(f"{DNS}/all.org/entries/www", user="bob").status_int == 200
    for answer in (entry(door, "all.org", "www", "bob"), door.delete(f"{DNS}/all.org/entries/www", user="bob")):
        assert message(answer) == (403, "Not authorized.")
    assert entry(door, "all.org", "bobs", "bob").status_int == 200
    assert entry(door, "all.org", "bobs", "bob", ip="10.1.1.2").json["dns_entry"]["ip"] == "10.1.1.2"
    assert message(entry(door, "all.org", "bobs", "alice")) == (403, "Not authorized.")
    assert door.delete(f"{DNS}/all.org/entries/bobs", user="bob").status_int == 200
    assert entry(door, "all.org", "bobs", "alice").status_int == 200


def test_an_entry_stays_whose_it_is(door: Door) -> None:
    domain(door, "public.org")
    assert entry(door, "public.org", "www").status_int == 200
    assert entry(door, "public.org", "www", user="admin", ip="10.1.1.9").status_int == 200
    assert entry(door, "public.org", "www", user="bob").status_int == 403
    assert entry(door, "public.org", "www", ip="10.1.1.2").json["dns_entry"]["ip"] == "10.1.1.2"


def test_a_full_domain(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_DNS_ENTRIES", 1)
    domain(door, "full.org", project="acme")
    assert entry(door, "full.org", "one").status_int == 200
    assert entry(door, "full.org", "two").status_int == 413
    assert entry(door, "full.org", "one", ip="10.1.1.2").status_int == 200


@pytest.mark.parametrize("zone", ["eth0", "x" * 100, "a\nb"])
def test_an_address_with_a_zone(door: Door, zone: str) -> None:
    domain(door, "zones.org", project="acme")
    assert entry(door, "zones.org", "six", ip=f"fe80::1%{zone}", dns_type="AAAA").status_int == 400
