from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from nova_api.auth.secretbox import SecretBox
from nova_api.config import Config
from nova_api.context import admin_context
from nova_api.db import consoles as queries
from nova_api.db import models, services
from nova_api.db.engine import Database
from nova_api.errors import ConfigError, Conflict, ServiceUnavailable
from nova_api.nodes.console import PASSWORD_LENGTH, ConsoleManager
from nova_api.nodes.console_topics import ConsoleTopics
from tests.consoles import Screens, add_instance, end_instance
from tests.databases import KINDS, database

CONTEXT = admin_context()


@pytest.fixture(params=KINDS)
def any_db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with database(request.param, tmp_path) as db:
        yield db


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with database("sqlite", tmp_path) as made:
        yield made


def config(folder: Path, **options: Any) -> Config:
    given = {"state_path": str(folder), "console_port_first": 5900, "console_port_last": 5919, **options}
    return Config(**given)


def rows(db: Database) -> list[Any]:
    with db.read() as conn:
        return list(conn.execute(sa.select(models.consoles).order_by(models.consoles.c.id)))


def test_a_console_is_made_once(any_db: Database, tmp_path: Path) -> None:
    node = ConsoleManager(any_db, config(tmp_path), "h1")
    one, two = add_instance(any_db), add_instance(any_db)
    first = node.add_console(CONTEXT, instance_id=one.id)
    assert node.add_console(CONTEXT, instance_id=one.id) == first
    node.add_console(CONTEXT, instance_id=two.id)
    made, other = rows(any_db)
    assert (made.id, made.instance_id, made.console_type, made.host) == (first, one.id, "vnc", "h1")
    assert (made.public_hostname, made.port, other.port) == ("127.0.0.1", 5900, 5901)
    password = SecretBox(str(tmp_path / "secret.key")).open(made.password)
    assert len(password) == PASSWORD_LENGTH
    assert password not in made.password
    assert SecretBox(str(tmp_path / "secret.key")).open(other.password) != password


def test_clients_are_told_the_configured_name(db: Database, tmp_path: Path) -> None:
    ConsoleManager(db, config(tmp_path, console_public_hostname="c.example.com"), "h1").add_console(
        CONTEXT, instance_id=add_instance(db).id
    )
    assert rows(db)[0].public_hostname == "c.example.com"


def test_a_second_host_knows_the_console_of_the_first(db: Database, tmp_path: Path) -> None:
    one = add_instance(db)
    first = ConsoleManager(db, config(tmp_path), "h1").add_console(CONTEXT, instance_id=one.id)
    assert ConsoleManager(db, config(tmp_path), "h2").add_console(CONTEXT, instance_id=one.id) == first
    ConsoleManager(db, config(tmp_path), "h2").add_console(CONTEXT, instance_id=add_instance(db).id)
    assert [(row.host, row.port) for row in rows(db)] == [("h1", 5900), ("h2", 5900)]


def test_the_lowest_free_port_is_taken(db: Database, tmp_path: Path) -> None:
    node = ConsoleManager(db, config(tmp_path), "h1")
    made = [node.add_console(CONTEXT, instance_id=add_instance(db).id) for _ in range(3)]
    node.remove_console(CONTEXT, console_id=made[1] or 0)
    node.add_console(CONTEXT, instance_id=add_instance(db).id)
    assert [row.port for row in rows(db)] == [5900, 5902, 5901]
    assert rows(db)[-1].id not in made


def test_a_removed_console_may_be_removed_again(db: Database, tmp_path: Path) -> None:
    node = ConsoleManager(db, config(tmp_path), "h1")
    number = node.add_console(CONTEXT, instance_id=add_instance(db).id) or 0
    ConsoleManager(db, config(tmp_path), "h2").remove_console(CONTEXT, console_id=number)
    assert len(rows(db)) == 1  # another host's
    for _ in range(2):
        node.remove_console(CONTEXT, console_id=number)
    assert rows(db) == []


def test_a_full_range_is_a_refusal_until_an_instance_ends(any_db: Database, tmp_path: Path) -> None:
    node = ConsoleManager(any_db, config(tmp_path, console_port_last=5900), "h1")
    one, two = add_instance(any_db), add_instance(any_db)
    node.add_console(CONTEXT, instance_id=one.id)
    with pytest.raises(Conflict, match="in use"):
        node.add_console(CONTEXT, instance_id=two.id)
    end_instance(any_db, one.id)
    node.add_console(CONTEXT, instance_id=two.id)
    assert [(row.instance_id, row.port) for row in rows(any_db)] == [(two.id, 5900)]


def test_a_start_gives_up_what_ended_meanwhile(db: Database, tmp_path: Path) -> None:
    kept, gone = add_instance(db), add_instance(db)
    node = ConsoleManager(db, config(tmp_path), "h1")
    for one in (kept, gone):
        node.add_console(CONTEXT, instance_id=one.id)
    end_instance(db, gone.id)
    node.start()
    assert [row.instance_id for row in rows(db)] == [kept.id]


def test_an_instance_that_has_ended_gets_none(db: Database, tmp_path: Path) -> None:
    one = add_instance(db)
    end_instance(db, one.id)
    node = ConsoleManager(db, config(tmp_path), "h1")
    assert node.add_console(CONTEXT, instance_id=one.id) is None
    assert node.add_console(CONTEXT, instance_id=4711) is None
    assert rows(db) == []


@pytest.mark.parametrize(("first", "last"), [(5900, 5899), (65_000, 65_536)])
def test_a_range_that_is_none(db: Database, tmp_path: Path, first: int, last: int) -> None:
    with pytest.raises(ConfigError, match="no range"):
        ConsoleManager(db, config(tmp_path, console_port_first=first, console_port_last=last), "h1")


def test_two_processes_of_one_host_do_not_share_a_port(any_db: Database, tmp_path: Path) -> None:
    nodes = [ConsoleManager(any_db, config(tmp_path), "h1") for _ in range(2)]
    instances = [add_instance(any_db).id for _ in range(10)]
    with ThreadPoolExecutor(8) as threads:
        jobs = [threads.submit(node.add_console, CONTEXT, instance_id=number) for number in instances for node in nodes]
        numbers = [job.result() for job in jobs]
    assert numbers[::2] == numbers[1::2]
    found = rows(any_db)
    assert sorted(row.instance_id for row in found) == instances
    assert len({row.port for row in found}) == len(instances)


def test_a_port_that_was_just_taken(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node, real, tries = ConsoleManager(db, config(tmp_path), "h1"), queries.insert, [True]

    def taken(tx: Any, values: dict[str, Any]) -> int:
        if tries.pop():
            raise IntegrityError("insert", {}, Exception("port"))
        return real(tx, values)

    tries[:] = [False, True]
    monkeypatch.setattr(queries, "insert", taken)
    assert node.add_console(CONTEXT, instance_id=add_instance(db).id) is not None
    tries[:] = [True] * 100
    with pytest.raises(ServiceUnavailable):
        node.add_console(CONTEXT, instance_id=add_instance(db).id)


def report(db: Database, host: str, topic: str = "console") -> None:
    db.write(lambda tx: services.report(tx, host, topic, f"nova-{topic}", "nova"))


def test_the_topic_is_that_of_a_console_node_that_lives(db: Database) -> None:
    node: ConsoleTopics = Screens(db, "h2")
    assert node.get_console_topic(CONTEXT, fake=1) == "console.h2"  # the message waits for it
    report(db, "h9", "compute")
    report(db, "h1")
    report(db, "h3")
    assert node.get_console_topic(CONTEXT, fake=1) == "console.h1"
    db.write(lambda tx: services.set_disabled(tx, "h1", "console", True))
    assert node.get_console_topic(CONTEXT) == "console.h3"
    report(db, "h2")
    assert node.get_console_topic(CONTEXT) == "console.h2"
    db.write(lambda tx: services.gone(tx, "h2", ["console"]))
    assert node.get_console_topic(CONTEXT) == "console.h3"
