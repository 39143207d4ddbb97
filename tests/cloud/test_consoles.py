"""Consoles as a service: messages take the real way, to a real console node."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from nova_api import errors
from nova_api.cloud.consoles import ConsoleNotFound, Destination
from nova_api.db import models
from nova_api.rpc.transport import NoConsumer
from tests.consoles import ALICE, MALLORY, ROOT, ConsoleWorld, console_world, end_instance

UNKNOWN = ["00000000-0000-4000-8000-00000000dead", "4711", "9" * 18, "9" * 400, "", "x y", "²", "\0", "x\ud800"]


@pytest.fixture
def world(any_url: str, tmp_path: Path) -> Iterator[ConsoleWorld]:
    with console_world(tmp_path / "state", sql_connection=any_url) as made:
        yield made


def test_a_console_is_made_shown_and_taken_away(world: ConsoleWorld) -> None:
    row = world.instance()
    assert world.consoles.list(ALICE, row.uuid) == []
    for _ in range(2):
        world.consoles.create(ALICE, row.uuid)
        world.settle()
    (listed,) = world.consoles.list(ALICE, row.uuid)
    number = str(listed.id)
    shown = world.consoles.get(ALICE, row.uuid, number)
    assert (shown.id, shown.console_type, shown.port) == (listed.id, "vnc", 5900)
    assert (shown.host, shown.instance_name) == ("consoles.example.com", f"instance-{row.id:08x}")
    assert len(shown.password) == 8
    assert shown.password not in listed.password
    assert shown.password not in repr(shown)
    assert world.screens.asked == [("get_console_topic", {"fake": 1})] * 2
    world.consoles.delete(ALICE, row.uuid, number)
    world.settle()
    assert world.consoles.list(ALICE, row.uuid) == []
    with pytest.raises(ConsoleNotFound):
        world.consoles.delete(ALICE, row.uuid, number)


def test_a_server_is_a_row_a_uuid_or_a_number(world: ConsoleWorld) -> None:
    row = world.instance()
    world.consoles.create(ALICE, row)
    world.settle()
    assert [len(world.consoles.list(ALICE, one)) for one in (row, row.uuid, str(row.id))] == [1, 1, 1]
    assert len(world.consoles.list(ROOT, row.uuid)) == 1


@pytest.mark.parametrize("text", UNKNOWN)
def test_a_server_that_is_not_there(world: ConsoleWorld, text: str) -> None:
    world.instance()
    for act in (
        lambda: world.consoles.list(ALICE, text),
        lambda: world.consoles.create(ALICE, text),
        lambda: world.consoles.get(ALICE, text, "1"),
        lambda: world.consoles.delete(ALICE, text, "1"),
        lambda: world.consoles.vnc(ALICE, text, "novnc"),
    ):
        with pytest.raises(errors.InstanceNotFound):
            act()
    assert world.screens.asked == []


def test_a_foreign_server_is_not_there_and_an_ended_one_neither(world: ConsoleWorld) -> None:
    row = world.instance()
    with pytest.raises(errors.InstanceNotFound):
        world.consoles.list(MALLORY, row.uuid)
    with pytest.raises(errors.InstanceNotFound):
        world.consoles.vnc(MALLORY, row.uuid, "novnc")
    with pytest.raises(errors.PolicyNotAuthorized):
        world.consoles.create(MALLORY, row)
    end_instance(world.db, row.id)
    with pytest.raises(errors.InstanceNotFound):
        world.consoles.list(ALICE, row.uuid)


@pytest.mark.parametrize("text", ["999", "x", "", "-1", "1.0", "9" * 18, "9" * 400, "²"])
def test_a_console_that_is_not_there(world: ConsoleWorld, text: str) -> None:
    row = world.instance()
    for act in (world.consoles.get, world.consoles.delete):
        with pytest.raises(ConsoleNotFound):
            act(ALICE, row.uuid, text)


def test_the_console_of_another_server_is_not_there(world: ConsoleWorld) -> None:
    mine, theirs = world.instance(), world.instance(user_id="mallory", project_id="evil")
    world.consoles.create(MALLORY, theirs.uuid)
    world.settle()
    number = str(world.consoles.list(MALLORY, theirs.uuid)[0].id)
    for act in (world.consoles.get, world.consoles.delete):
        with pytest.raises(ConsoleNotFound):
            act(ALICE, mine.uuid, number)
        with pytest.raises(errors.InstanceNotFound):
            act(ALICE, theirs.uuid, number)
    world.settle()
    assert len(world.rows(models.consoles)) == 1


def test_the_policy_decides(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"default": [], "compute:create_console": [["role:admin"]]}))
    with console_world(tmp_path / "state", policy_file=str(rules)) as world:
        row = world.instance()
        assert world.consoles.list(ALICE, row.uuid) == []
        with pytest.raises(errors.PolicyNotAuthorized):
            world.consoles.create(ALICE, row.uuid)
        world.consoles.create(ROOT, row.uuid)


def test_a_server_without_a_host_or_with_a_silent_one(world: ConsoleWorld) -> None:
    placeless, orphan, row = world.instance(host=None), world.instance(host="h9"), world.instance()
    for act in (world.consoles.create, lambda who, uuid: world.consoles.vnc(who, uuid, "novnc")):
        with pytest.raises(errors.ServerWithoutHost):
            act(ALICE, placeless.uuid)
        with pytest.raises(NoConsumer):
            act(ALICE, orphan.uuid)
    world.screens.broken = True
    with pytest.raises(errors.ServiceUnavailable, match="cannot do it now"):
        world.consoles.create(ALICE, row.uuid)
    assert world.rows(models.consoles) == world.rows(models.console_tokens) == []


@pytest.mark.parametrize(
    ("kind", "base"),
    [("novnc", "http://127.0.0.1:6080/vnc_auto.html"), ("xvpvnc", "http://127.0.0.1:6081/console")],
)
def test_a_url_admits_once(world: ConsoleWorld, kind: str, base: str) -> None:
    row = world.instance()
    url = world.consoles.vnc(ALICE, row.uuid, kind)
    assert world.screens.asked == [("get_vnc_console", {"instance_uuid": row.uuid, "console_type": kind})]
    assert url.startswith(f"{base}?token=")
    token = url.partition("=")[2]
    assert token not in repr(world.rows(models.console_tokens))
    assert world.consoles.redeem(token) == Destination(
        instance_uuid=row.uuid, console_type=kind, host="10.1.1.1", port=5999, internal_access_path="/path"
    )
    assert world.consoles.redeem(token) is None


@pytest.mark.parametrize("kind", ["", "nonsense", "NOVNC", None, 1, [], {}])
def test_a_type_that_there_is_not(world: ConsoleWorld, kind: str) -> None:
    row = world.instance()
    with pytest.raises(errors.InvalidParameterValue, match="Invalid type specification"):
        world.consoles.vnc(ALICE, row.uuid, kind)
    assert world.screens.asked == []


def test_a_token_does_not_outlive_its_time_nor_its_server(world: ConsoleWorld) -> None:
    row, ending = world.instance(), world.instance()
    late = world.consoles.vnc(ALICE, row.uuid, "novnc").partition("=")[2]
    (kept,) = world.rows(models.console_tokens)
    assert kept.expires_at > models.now() + timedelta(seconds=world.runtime.config.console_token_ttl - 60)
    past = sa.update(models.console_tokens).values(expires_at=models.now() - timedelta(seconds=1))
    world.db.write(lambda tx: tx.execute(past))
    assert world.consoles.redeem(late) is None
    lost = world.consoles.vnc(ALICE, ending.uuid, "novnc").partition("=")[2]
    end_instance(world.db, ending.id)
    assert world.consoles.redeem(lost) is None
    assert world.rows(models.console_tokens) == []


def test_expired_tokens_go_when_a_new_one_comes(world: ConsoleWorld) -> None:
    row = world.instance()
    world.consoles.vnc(ALICE, row.uuid, "novnc")
    past = sa.update(models.console_tokens).values(expires_at=models.now() - timedelta(seconds=1))
    world.db.write(lambda tx: tx.execute(past))
    world.consoles.vnc(ALICE, row.uuid, "novnc")
    assert len(world.rows(models.console_tokens)) == 1


@pytest.mark.parametrize("token", ["", "x", "\ud800", "\0", "x" * 10_000])
def test_a_token_that_there_is_not(world: ConsoleWorld, token: str) -> None:
    assert world.consoles.redeem(token) is None
