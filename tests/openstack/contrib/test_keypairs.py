"""os-keypairs (spec openstack-extensions.md 4)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_public_key
from lxml import etree

from tests.openstack.contrib.tables import refusals, text
from tests.openstack.fakes import STOCK_400, STOCK_404, Door, message

LINE = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDKCb4mSjNFVLNgwHadVaWSlkv26HyZZ8nHJMl+wNS4dHjK60AzLjlTiD/mCDlvay/gVEbagimK"
    "RmbUg8C8dXsPVvvU+S2a6ywSvD/hwkwPMj9Q6iPQvRgv4oolWwtKB7GvNGOHq9rPzXhBEQ6MngHtjwlaIgi32ai4Ps39s9iI8Q== me"
)


def create(door: Door, name: Any, user: str = "alice", **fields: Any) -> Any:
    return door.post("/os-keypairs", {"keypair": {"name": name, **fields}}, user=user)


def test_make_show_list_and_delete(door: Door) -> None:
    answer = create(door, "made-1")
    assert answer.status_int == 200
    made = answer.json["keypair"]
    assert set(made) == {"name", "user_id", "public_key", "private_key", "fingerprint"}
    private = load_pem_private_key(made["private_key"].encode(), None)
    assert private.key_size >= 2048
    assert made["public_key"].endswith(" alice@made-1\n")
    public = load_ssh_public_key(made["public_key"].encode())
    assert private.public_key().public_numbers() == public.public_numbers()
    shown = {"name": "made-1", "public_key": made["public_key"], "fingerprint": made["fingerprint"]}
    assert door.ask("/os-keypairs/made-1").json == {"keypair": shown}
    assert {"keypair": shown} in door.ask("/os-keypairs").json["keypairs"]
    gone = door.delete("/os-keypairs/made-1")
    assert (gone.status_int, gone.body) == (202, b"")
    assert message(door.delete("/os-keypairs/made-1")) == (404, STOCK_404)
    assert message(door.ask("/os-keypairs/made-1")) == (404, STOCK_404)
    assert create(door, "made-1").status_int == 200
    door.delete("/os-keypairs/made-1")


def test_what_is_imported_is_shown_as_it_came(door: Door) -> None:
    assert create(door, "with-line-break", public_key=f"{LINE}\n").json["keypair"]["public_key"] == f"{LINE}\n"
    assert door.ask("/os-keypairs/with-line-break").json["keypair"]["public_key"] == f"{LINE}\n"


def test_import(door: Door) -> None:
    answer = create(door, "imported", public_key=LINE)
    assert answer.status_int == 200
    assert answer.json["keypair"]["public_key"] == LINE
    assert set(answer.json["keypair"]) == {"name", "user_id", "public_key", "fingerprint"}
    assert len(answer.json["keypair"]["fingerprint"]) == 47
    server = door.boot(key_name="imported")
    assert door.server(server)["key_name"] == "imported"


def test_xml(door: Door) -> None:
    made = door.ask("/os-keypairs", "POST", xml="<keypair><name>in-xml</name></keypair>")
    root = etree.fromstring(text(made))
    assert [one.tag for one in root] == ["public_key", "private_key", "user_id", "name", "fingerprint"]
    attribute = door.ask("/os-keypairs", "POST", xml=f'<keypair name="in-xml-2" public_key="{LINE}"/>')
    assert "private_key" not in text(attribute)
    listed = etree.fromstring(text(door.ask("/os-keypairs", headers={"Accept": "application/xml"})))
    assert listed.tag == "keypairs"
    assert {"in-xml", "in-xml-2"} <= set(listed.xpath("keypair/name/text()"))


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("a b", "Keypair name contains unsafe characters"),
        ("ä", "Keypair name contains unsafe characters"),
        ("a.b", "Keypair name contains unsafe characters"),
        ("", "Keypair name must be between 1 and 255 characters long"),
        ("n" * 256, "Keypair name must be between 1 and 255 characters long"),
        (5, STOCK_400),
        (None, STOCK_400),
    ],
)
def test_refused_names(door: Door, name: Any, refusal: str) -> None:
    assert message(create(door, name)) == (400, refusal)


@pytest.mark.parametrize("line", ["nonsense", "ssh-rsa", "ssh-rsa AAAA", "", 5, [], "ssh-rsa \ud800", "x" * 20000])
def test_refused_keys(door: Door, line: Any) -> None:
    assert message(create(door, "refused", public_key=line)) == (400, "Keypair data is invalid")


def test_odd_documents(door: Door) -> None:
    found = refusals(door, "POST", "/os-keypairs", root="keypair", fields={"name": "odd", "public_key": LINE})
    assert 400 in found
    assert message(door.ask("/os-keypairs", "POST")) == (400, STOCK_400)


def test_taken_names(door: Door) -> None:
    assert create(door, "twice").status_int == 200
    for fields in ({}, {"public_key": LINE}):
        assert message(create(door, "twice", **fields)) == (409, "Key pair 'twice' already exists.")
    assert create(door, "twice", user="carol").status_int == 200
    assert door.delete("/os-keypairs/twice", user="carol").status_int == 202
    assert door.ask("/os-keypairs/twice").status_int == 200


def test_key_pairs_belong_to_users(door: Door) -> None:
    create(door, "mine", public_key=LINE)
    for user in ("bob", "carol"):
        assert message(door.ask("/os-keypairs/mine", user=user)) == (404, STOCK_404)
        assert message(door.delete("/os-keypairs/mine", user=user)) == (404, STOCK_404)
        assert "mine" not in [one["keypair"]["name"] for one in door.ask("/os-keypairs", user=user).json["keypairs"]]


def test_one_of_many_who_want_a_name_gets_it(door: Door) -> None:
    door.login("alice")
    with ThreadPoolExecutor(8) as pool:
        found = sorted(pool.map(lambda _: create(door, "raced").status_int, range(8)))
    assert found == [200] + [409] * 7
    assert [one["keypair"]["name"] for one in door.ask("/os-keypairs").json["keypairs"]].count("raced") == 1


def test_one_of_many_gets_the_last_pair_of_the_quota(fresh: Door) -> None:
    fresh.cloud.runtime.quotas.set_limit("acme", "key_pairs", 1)
    fresh.login("alice")
    with ThreadPoolExecutor(8) as pool:
        found = sorted(pool.map(lambda n: create(fresh, f"q{n}", public_key=LINE).status_int, range(8)))
    assert found == [200] + [413] * 7
