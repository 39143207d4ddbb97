import threading
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from nova_api import errors
from nova_api.context import new_uuid
from nova_api.db import floating, networks
from nova_api.db.engine import Database
from nova_api.db.models import fixed_ips, flavors, floating_ips, instances, virtual_interfaces


def add_instances(db: Database, count: int) -> list[int]:
    def work(tx: Any) -> list[int]:
        flavor = tx.execute(sa.insert(flavors).values(name="f", flavorid="f", memory_mb=1, vcpus=1))
        rows = []
        for _ in range(count):
            values = {
                "uuid": new_uuid(),
                "reservation_id": "r-1",
                "vm_state": "building",
                "instance_type_id": flavor.inserted_primary_key[0],
                "memory_mb": 1,
                "vcpus": 1,
                "project_id": "acme",
            }
            rows.append(tx.execute(sa.insert(instances).values(**values)).inserted_primary_key[0])
        return rows

    return db.write(work)


def add_network(db: Database, cidr: str, **more: Any) -> int:
    number = db.write(lambda tx: networks.create(tx, more.pop("label", cidr), cidr))
    if more:
        db.write(
            lambda tx: tx.execute(sa.update(networks.networks).where(networks.networks.c.id == number).values(**more))
        )
    return number


def held(db: Database) -> list[str]:
    with db.read() as conn:
        return list(conn.execute(sa.select(fixed_ips.c.address).where(fixed_ips.c.instance_id.is_not(None))).scalars())


def test_the_lowest_free_address_is_taken_and_comes_back(any_db: Database) -> None:
    add_network(any_db, "10.0.0.0/29")
    first, second, third = add_instances(any_db, 3)
    take = [any_db.write(lambda tx, n=n: networks.allocate(tx, n)) for n in (first, second)]
    assert [one.address for one in take] == ["10.0.0.2", "10.0.0.3"]
    assert take[0].network.gateway == "10.0.0.1"
    any_db.write(lambda tx: networks.free(tx, [first]))
    assert held(any_db) == ["10.0.0.3"]
    assert any_db.write(lambda tx: networks.allocate(tx, third)).address == "10.0.0.2"
    with any_db.read() as conn:
        cards = networks.cards(conn, third)
        assert [(card.address, card.cidr) for card in cards] == [("10.0.0.2", "10.0.0.0/29")]
        assert cards[0].mac.startswith("fa:16:3e:")
        assert networks.holder(conn, "10.0.0.2") == third
        assert networks.holder(conn, "10.0.0.5") is None


def test_a_full_network_gives_way_to_the_next_and_then_nothing_is_left(any_db: Database) -> None:
    add_network(any_db, "10.0.0.0/30")  # one address for instances
    add_network(any_db, "10.0.1.0/30")
    one, two, three = add_instances(any_db, 3)
    got = [any_db.write(lambda tx, n=n: networks.allocate(tx, n)).address for n in (one, two)]
    assert got == ["10.0.0.2", "10.0.1.2"]
    with pytest.raises(errors.NoMoreFixedIps):
        any_db.write(lambda tx: networks.allocate(tx, three))


def test_a_project_has_its_own_network_first_and_never_another_projects(any_db: Database) -> None:
    add_network(any_db, "10.0.0.0/29", label="all")
    add_network(any_db, "10.0.1.0/29", label="acme", project_id="acme")
    add_network(any_db, "10.0.2.0/29", label="other", project_id="other")
    one, two = add_instances(any_db, 2)
    assert any_db.write(lambda tx: networks.allocate(tx, one, "acme")).address == "10.0.1.2"
    assert any_db.write(lambda tx: networks.allocate(tx, two, "third")).address == "10.0.0.2"


def test_builds_at_the_same_time_take_different_addresses(any_db: Database) -> None:
    add_network(any_db, "10.0.0.0/26")
    numbers = add_instances(any_db, 48)
    got: list[str] = []
    failures: list[Exception] = []

    def take(mine: list[int]) -> None:
        for number in mine:
            try:
                got.append(any_db.write(lambda tx, n=number: networks.allocate(tx, n)).address)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=take, args=(numbers[part::8],)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(got) == sorted(f"10.0.0.{n}" for n in range(2, 50))
    assert sorted(held(any_db)) == sorted(got)


def test_a_hardware_address_that_exists_undoes_the_transaction(
    any_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_network(any_db, "10.0.0.0/29")
    one, two = add_instances(any_db, 2)
    monkeypatch.setattr(networks, "new_mac", lambda: "02:16:3e:00:00:01")
    any_db.write(lambda tx: networks.allocate(tx, one))
    with pytest.raises(IntegrityError):
        any_db.write(lambda tx: networks.allocate(tx, two))
    assert held(any_db) == ["10.0.0.2"]


def test_floating_addresses_let_go_of_an_instance_that_ends(any_db: Database) -> None:
    add_network(any_db, "10.0.0.0/29")
    (one,) = add_instances(any_db, 1)
    any_db.write(lambda tx: networks.allocate(tx, one))

    def associate(tx: Any) -> None:
        fixed = tx.execute(sa.select(fixed_ips.c.id).where(fixed_ips.c.instance_id == one)).scalar_one()
        row = {"address": "192.0.2.1", "pool": "nova", "project_id": "acme", "fixed_ip_id": fixed}
        tx.execute(sa.insert(floating_ips).values(**row))

    any_db.write(associate)
    with any_db.read() as conn:
        assert networks.floating_of(conn, one) == ["192.0.2.1"]
        assert networks.bound_floating_addresses(conn) == {"192.0.2.1": "10.0.0.2"}
        assert networks.fixed_address_of(conn, "192.0.2.1") == "10.0.0.2"
    any_db.write(lambda tx: networks.free(tx, [one]))
    with any_db.read() as conn:
        assert networks.fixed_address_of(conn, "192.0.2.1") is None
        assert conn.execute(sa.select(floating_ips.c.project_id)).scalar_one() == "acme"
        assert conn.execute(sa.select(sa.func.count()).select_from(virtual_interfaces)).scalar_one() == 0


def test_the_first_address_is_that_of_the_first_card(any_db: Database) -> None:
    """Whichever network was made first: lists show the same one."""
    for cidr, label in (("10.0.0.0/29", "older"), ("10.0.1.0/29", "newer")):
        add_network(any_db, cidr, label=label)
    (one,) = add_instances(any_db, 1)
    with any_db.read() as conn:
        uuids = {row.label: row.uuid for row in networks.every(conn)}
    for label in ("newer", "older"):
        any_db.write(lambda tx, label=label: networks.allocate_on(tx, one, "acme", uuids[label]))
    with any_db.read() as conn:
        first = floating.first_fixed(conn, one)
    assert first is not None and first.address == "10.0.1.2"


@pytest.mark.parametrize("cidr", ["", "10.0.0.0/31", "10.0.0.1/24", "10.0.0.0/8", "fd00::/64", "x/24"])
def test_what_is_no_network(any_db: Database, cidr: str) -> None:
    with pytest.raises(errors.InvalidParameterValue):
        any_db.write(lambda tx: networks.create(tx, "n", cidr))


def test_networks_come_and_go(any_db: Database) -> None:
    add_network(any_db, "10.0.0.0/29", label="n")
    with pytest.raises(errors.Duplicate):
        any_db.write(lambda tx: networks.create(tx, "n", "10.0.1.0/29"))
    for cidr in ("10.0.0.0/29", "10.0.0.4/30", "10.0.0.0/24"):
        with pytest.raises(errors.Duplicate, match="conflicts with that of network n"):
            any_db.write(lambda tx, cidr=cidr: networks.create(tx, "overlaps", cidr))
    (one,) = add_instances(any_db, 1)
    any_db.write(lambda tx: networks.allocate(tx, one))
    with pytest.raises(errors.IncorrectState):
        any_db.write(lambda tx: networks.delete(tx, "n"))
    any_db.write(lambda tx: networks.free(tx, [one]))
    assert any_db.write(lambda tx: networks.delete(tx, "n"))
    assert not any_db.write(lambda tx: networks.delete(tx, "n"))


def test_floating_addresses_of_a_wide_range_go(any_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floating, "_AT_ONCE", 2)
    any_db.write(lambda tx: floating.create(tx, "10.0.0.0/29", "nova"))
    any_db.write(lambda tx: floating.create(tx, "10.9.0.0/30", "nova"))
    taken = any_db.write(lambda tx: floating.claim(tx, "nova", "acme"))
    assert taken == "10.0.0.1"
    assert any_db.write(lambda tx: floating.delete(tx, "10.8.0.0/15")) == 2
    assert any_db.write(lambda tx: floating.delete(tx, "0.0.0.0/0")) == 5
    with any_db.read() as conn:
        assert [row.address for row in floating.every(conn)] == [taken]


def test_the_search_uses_the_index(tmp_path: Any) -> None:
    """Thousands of used addresses must not be walked through for the next free one."""
    db = Database(f"sqlite:///{tmp_path}/x.sqlite")
    networks.networks.metadata.create_all(db.engine)
    sql = str(networks._FREE.compile(db.engine, compile_kwargs={"literal_binds": False}))
    with db.read() as conn:
        plan = conn.exec_driver_sql("EXPLAIN QUERY PLAN " + sql, (1, 1, 0)[: sql.count("?")]).all()
    db.close()
    (step,) = [row[-1] for row in plan]
    assert "ix_fixed_ips_network_id_instance_id_reserved_id" in step
    assert "network_id=? AND instance_id=? AND reserved=?" in step


# -- networks that an instance names -----------------------------------------------------------------------


def test_a_card_on_a_network_of_its_choice(any_db: Database) -> None:
    add_network(any_db, "10.0.0.0/29")
    add_network(any_db, "10.1.0.0/29", uuid="u1", project_id="acme")
    (number,) = add_instances(any_db, 1)

    def take(tx: Any) -> list[str]:
        wanted = (None, "10.1.0.5")
        return [networks.allocate_on(tx, number, "acme", "u1", address).address for address in reversed(wanted)]

    assert any_db.write(take) == ["10.1.0.5", "10.1.0.2"]
    with any_db.read() as conn:
        assert [card.address for card in networks.cards(conn, number)] == ["10.1.0.5", "10.1.0.2"]


@pytest.mark.parametrize(
    ("project", "uuid", "address", "error"),
    [
        ("acme", "u2", None, errors.NetworkNotFound),
        ("other", "u1", None, errors.NetworkNotFound),
        ("acme", "u1", "10.1.0.1", errors.FixedIpInUse),
        ("acme", "u1", "10.1.0.2", errors.FixedIpInUse),
        ("acme", "u1", "10.0.0.2", errors.FixedIpInvalid),
        ("acme", "full", None, errors.NoMoreFixedIps),
    ],
)
def test_a_card_that_cannot_be_had(
    any_db: Database, project: str, uuid: str, address: str | None, error: type[Exception]
) -> None:
    add_network(any_db, "10.0.0.0/29")
    add_network(any_db, "10.1.0.0/29", uuid="u1", project_id="acme")
    add_network(any_db, "10.2.0.0/30", uuid="full")
    holder, filler, number = add_instances(any_db, 3)
    any_db.write(lambda tx: networks.allocate_on(tx, holder, "acme", "u1", "10.1.0.2"))
    any_db.write(lambda tx: networks.allocate_on(tx, filler, "acme", "full"))
    with pytest.raises(error):
        any_db.write(lambda tx: networks.allocate_on(tx, number, project, uuid, address))
    assert sorted(held(any_db)) == ["10.1.0.2", "10.2.0.2"]
