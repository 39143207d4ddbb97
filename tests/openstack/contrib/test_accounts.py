"""os-accounts, os-users, os-certificates and os-cloudpipe (spec openstack-extensions.md 10.3 to 10.5)."""

import copy
from typing import Any

import pytest
from cryptography import x509
from lxml import etree

from nova_api.testing import cloud as running
from tests.openstack.contrib.tables import refusals, text
from tests.openstack.fakes import DOCUMENT, IMAGES, STOCK_404, Door, message

XML = {"headers": {"Accept": "application/xml"}}


def test_accounts(door: Door) -> None:
    shown = {"id": "newp", "name": "newp", "description": "d", "manager": "alice"}
    answer = door.put("/accounts/newp", {"account": {"description": "d", "manager": "alice"}}, user="admin")
    assert (answer.status_int, answer.json) == (200, {"account": shown})
    assert door.ask("/accounts/newp", user="admin").json == {"account": shown}
    one = text(door.ask("/accounts/newp", user="admin", **XML))
    assert one == '<account manager="alice" description="d" id="newp" name="newp"/>'
    assert door.ask("/servers", project="newp").status_int == 200
    unsaid = door.put("/accounts/unsaid", {"account": {"manager": "alice"}}, user="admin")
    assert unsaid.json["account"]["description"] == "unsaid"
    changed = door.put("/accounts/newp", {"account": {"description": "e"}}, user="admin")
    assert changed.json["account"] == {**shown, "description": "e"}
    changed = door.ask("/accounts/newp", "PUT", xml='<account manager="bob"/>', user="admin")
    assert 'manager="bob"' in text(changed)
    gone = door.delete("/accounts/newp", user="admin")
    assert (gone.status_int, gone.json) == (200, {})
    assert door.ask("/servers", project="newp").status_int == 401
    for refused in (door.ask("/accounts/newp", user="admin"), door.delete("/accounts/newp", user="admin")):
        assert message(refused) == (404, "Project newp could not be found.")
    for method in ("GET", "POST"):
        assert door.ask("/accounts", method, user="admin").status_int == 501


def test_refused_accounts(door: Door) -> None:
    refused = message(door.put("/accounts/half", {"account": {"description": "d"}}, user="admin"))
    assert refused == (400, "A new project needs a manager.")
    refused = message(door.put("/accounts/half", {"account": {"manager": "none"}}, user="admin"))
    assert refused == (404, "User none could not be found.")
    assert door.ask("/accounts/half", user="admin").status_int == 404
    fields = {"description": "d", "manager": "alice"}
    found = refusals(door, "PUT", "/accounts/odd", root="account", fields=fields, user="admin")
    assert set(found) <= {200, 400, 404}
    assert door.delete("/accounts/odd", user="admin").status_int == 200


def test_users(door: Door) -> None:
    given = {"name": "dora", "access": "dora-a", "secret": "dora-s", "admin": "False"}
    shown = {"id": "dora", "name": "dora", "access": "dora-a", "secret": "dora-s", "admin": False}
    answer = door.post("/users", {"user": given}, user="admin")
    assert (answer.status_int, answer.json) == (200, {"user": shown})
    assert door.ask("/users/dora", user="admin").json == {"user": shown}
    one = '<user access="dora-a" admin="False" secret="dora-s" id="dora" name="dora"/>'
    assert text(door.ask("/users/dora", user="admin", **XML)) == one
    for path in ("/users", "/users/detail"):
        assert shown in door.ask(path, user="admin").json["users"]
        assert one in text(door.ask(path, user="admin", **XML))
    assert len(door.ask("/users?limit=2", user="admin").json["users"]) == 2
    taken = message(door.post("/users", {"user": given}, user="admin"))
    assert taken == (409, "User dora exists already.")
    door.put("/accounts/acme", {"account": {"manager": "dora"}}, user="admin")
    login = door.call("/v1.1/", headers={"X-Auth-User": "dora", "X-Auth-Key": "dora-a"})
    token = {"X-Auth-Token": login.headers["X-Auth-Token"]}
    assert door.call("/v1.1/acme/servers", headers=token).status_int == 200
    changed = door.put("/users/dora", {"user": {"secret": "s2", "admin": "T"}}, user="admin")
    assert changed.json["user"] == {**shown, "secret": "s2", "admin": True}
    changed = door.put("/users/dora", {"user": {"access": "a2", "admin": False}}, user="admin")
    assert changed.json["user"] == {**shown, "secret": "s2", "access": "a2"}
    # What was got with the old key is worth nothing.
    assert door.call("/v1.1/acme/servers", headers=token).status_int == 401
    assert door.call("/v1.1/", headers={"X-Auth-User": "dora", "X-Auth-Key": "dora-a"}).status_int == 401
    assert door.call("/v1.1/", headers={"X-Auth-User": "dora", "X-Auth-Key": "a2"}).status_int == 204
    door.put("/accounts/acme", {"account": {"manager": "alice"}}, user="admin")
    gone = door.delete("/users/dora", user="admin")
    assert (gone.status_int, gone.json) == (200, {})
    for refused in (door.ask("/users/dora", user="admin"), door.put("/users/dora", {"user": {}}, user="admin")):
        assert message(refused)[0] == 404
    assert message(door.ask("/users/dora", user="admin")) == (404, STOCK_404)
    assert door.delete("/users/dora", user="admin").status_int == 404


def test_users_without_keys_of_their_own_choice(door: Door) -> None:
    made = door.ask("/users", "POST", xml='<user name="ed" admin="T"/>', user="admin")
    root = etree.fromstring(text(made))
    assert (len(root.get("access")), len(root.get("secret")), root.get("admin")) == (36, 36, "True")
    assert door.delete("/users/ed", user="admin").status_int == 200


def test_deletes_in_xml(door: Door) -> None:
    door.put("/accounts/brief", {"account": {"manager": "alice"}}, user="admin")
    door.post("/users", {"user": {"name": "brief"}}, user="admin")
    for path in ("/accounts/brief", "/users/brief"):
        gone = door.delete(path, user="admin", **XML)
        assert (gone.status_int, gone.body, gone.headers["Content-Type"]) == (200, b"", "application/xml")
        assert door.ask(path, user="admin").status_int == 404


def test_the_key_of_another(door: Door) -> None:
    given = {"user": {"name": "frank", "access": "alice-access"}}
    assert door.post("/users", given, user="admin").status_int == 409
    assert door.ask("/users/frank", user="admin").status_int == 404
    assert door.put("/users/bob", {"user": {"access": "alice-access"}}, user="admin").status_int == 409
    assert door.ask("/users/bob", user="admin").json["user"]["access"] == "bob-access"


def test_odd_users(door: Door) -> None:
    fields = {"name": "odd", "access": "odd-a", "secret": "odd-s", "admin": "F"}
    found = refusals(door, "POST", "/users", root="user", fields=fields, user="admin")
    assert set(found) <= {200, 400, 409}
    found = refusals(door, "PUT", "/users/carol", root="user", fields={"admin": False}, user="admin")
    assert set(found) <= {200, 400}


@pytest.mark.parametrize(
    ("path", "method", "rule"),
    [
        *(("/accounts/acme", method, "accounts") for method in ("GET", "PUT", "DELETE")),
        *(("/users/alice", method, "users") for method in ("GET", "PUT", "DELETE")),
        *(("/users", method, "users") for method in ("GET", "POST")),
        *(("/os-cloudpipe", method, "cloudpipe") for method in ("GET", "POST")),
    ],
)
def test_administrators_only(door: Door, path: str, method: str, rule: str) -> None:
    answer = door.ask(path, method, {"account": {}, "user": {}} if method in ("PUT", "POST") else None)
    assert message(answer) == (403, f"Policy doesn't allow compute_extension:{rule} to be performed.")


# -- certificates


def test_certificates(door: Door) -> None:
    root = door.ask("/os-certificates/root").json["certificate"]
    assert root["private_key"] is None
    authority = x509.load_pem_x509_certificate(root["data"].encode())
    for document in (None, {}, {"x": 1}):
        made = door.post("/os-certificates", document).json["certificate"]
        assert made["data"].startswith("Certificate:\n    Data:\n")
        assert "CN=acme-alice" in made["data"]
        certificate = x509.load_pem_x509_certificate(made["data"].encode())
        certificate.verify_directly_issued_by(authority)
        assert made["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    shown = text(door.ask("/os-certificates/root", **XML))
    assert shown.startswith('<certificate private_key="None" data="-----BEGIN CERTIFICATE-----&#10;')
    assert door.ask("/os-certificates", "POST", xml="<certificate/>").status_int == 200
    refused = message(door.ask("/os-certificates/other"))
    assert refused == (501, "Only root certificate can be retrieved.")
    assert message(door.ask("/os-certificates")) == (404, STOCK_404)


# -- cloudpipes


def test_without_an_image_there_are_no_pipes(door: Door) -> None:
    assert door.ask("/os-cloudpipe", user="admin").json == {"cloudpipes": []}
    answer = door.post("/os-cloudpipe", {"cloudpipe": {"project_id": "acme"}}, user="admin")
    assert message(answer) == (501, "No VPN image is configured (vpn_image_id).")
    assert "acme-vpn" not in [one["name"] for one in door.ask("/os-security-groups").json["security_groups"]]


def test_pipes(tmp_path: Any) -> None:
    with running(f"{tmp_path}/state", copy.deepcopy(DOCUMENT), vpn_image_id=IMAGES["oracle-raw"]) as made:
        door = Door(made)
        answer = door.post("/os-cloudpipe", {"cloudpipe": {"project_id": "acme"}}, user="admin")
        assert answer.status_int == 200
        server = answer.json["instance_id"]
        again = door.post("/os-cloudpipe", {"cloudpipe": {"project_id": "acme"}}, user="admin")
        assert again.json == {"instance_id": server}
        made.settle()
        (pipe,) = door.ask("/os-cloudpipe", user="admin").json["cloudpipes"]
        assert (pipe["project_id"], pipe["instance_id"], pipe["state"]) == ("acme", server, "invalid")
        assert pipe["internal_ip"].startswith("10.")
        root = etree.fromstring(text(door.ask("/os-cloudpipe", user="admin", **XML)))
        assert root.xpath("/cloudpipes/cloudpipe/project_id/text()") == ["acme"]
        shown = door.ask(f"/servers/{server}", user="admin").json["server"]
        assert (shown["tenant_id"], shown["name"], shown["key_name"]) == ("acme", "acme-vpn", "acme-vpn")
        groups = door.ask(f"/servers/{server}/os-security-groups").json["security_groups"]
        assert [rule["ip_protocol"] for rule in groups[0]["rules"]] == ["udp", "icmp"]
        refused = door.post("/os-cloudpipe", {"cloudpipe": {"project_id": "none"}}, user="admin")
        assert message(refused) == (404, "Project none could not be found.")
        found = refusals(door, "POST", "/os-cloudpipe", root="cloudpipe", fields={"project_id": "x"}, user="admin")
        assert set(found) <= {200, 400, 404}


def test_the_group_of_a_pipe_is_whole_or_not_there(tmp_path: Any) -> None:
    with running(f"{tmp_path}/state", copy.deepcopy(DOCUMENT), vpn_image_id=IMAGES["oracle-raw"]) as made:
        door = Door(made)
        wanted = {"cloudpipe": {"project_id": "acme"}}
        made.runtime.quotas.set_limit("acme", "security_group_rules", 1)
        assert door.post("/os-cloudpipe", wanted, user="admin").status_int == 413
        made.runtime.quotas.set_limit("acme", "security_group_rules", 20)
        server = door.post("/os-cloudpipe", wanted, user="admin").json["instance_id"]
        (group,) = door.ask(f"/servers/{server}/os-security-groups").json["security_groups"]
        assert [rule["ip_protocol"] for rule in group["rules"]] == ["udp", "icmp"]
