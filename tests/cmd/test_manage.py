"""nova-manage, command by command, as an administrator calls it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api.cmd.manage import main
from nova_api.db import models, schema, services
from nova_api.db.engine import Database
from nova_api.db.models import now

WORLD = Path(__file__).parent.parent / "conformance" / "bootstrap.json"


class Shell:
    """Runs commands on one state folder."""

    def __init__(self, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.state, self.capsys = state, capsys

    def __call__(self, *words: str, status: int = 0) -> str:
        assert main(["--state", str(self.state), *words]) == status
        out, err = self.capsys.readouterr()
        assert "Traceback" not in err
        assert bool(err) == (status != 0)
        return err if status else out

    def rows(self, *words: str) -> list[dict[str, Any]]:
        return list(json.loads(self("--json", *words)))


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "state", capsys)


def test_tables_for_people_and_json_for_scripts(shell: Shell) -> None:
    shell("user", "create", "alice", "--access", "AK1", "--secret", "s1")
    assert shell("user", "list").splitlines() == ["user   admin", "alice  no"]
    assert shell.rows("user", "list") == [{"user": "alice", "admin": False}]


def test_users_projects_roles_and_keys(shell: Shell) -> None:
    shell("user", "create", "alice", "--access", "AK1", "--secret", "s1")
    shell("user", "create", "bob")
    shell("project", "create", "acme", "alice")
    shell("project", "add", "acme", "bob")
    assert shell.rows("project", "list") == [{"project": "acme", "manager": "alice", "members": ["alice", "bob"]}]
    shell("role", "grant", "bob", "sysadmin")
    shell("role", "grant", "bob", "sysadmin", "--project", "acme")
    assert shell.rows("role", "list") == [
        {"user": "bob", "where": "acme", "roles": ["sysadmin"]},
        {"user": "bob", "where": "global", "roles": ["sysadmin"]},
    ]
    shell("role", "revoke", "bob", "sysadmin", "--project", "acme")
    [second] = shell.rows("key", "create", "alice")
    assert [row["access"] for row in shell.rows("key", "list", "alice")] == ["AK1", second["access"]]
    novarc = shell("key", "export", "alice", "acme")
    assert "export EC2_ACCESS_KEY='AK1:acme'\n" in novarc
    assert "export EC2_SECRET_KEY='s1'\n" in novarc
    shell("key", "revoke", "AK1")
    assert [row["access"] for row in shell.rows("key", "list", "alice")] == [second["access"]]
    shell("user", "modify", "bob", "--admin", "yes")
    assert {row["user"]: row["admin"] for row in shell.rows("user", "list")} == {"alice": False, "bob": True}
    shell("project", "remove", "acme", "bob")
    shell("project", "delete", "acme")
    shell("user", "delete", "bob")
    assert shell.rows("project", "list") == []


def test_bootstrap_may_be_repeated(shell: Shell) -> None:
    first = shell("bootstrap", str(WORLD))
    images = shell.rows("image", "list")
    assert shell("bootstrap", str(WORLD)) == first
    assert shell.rows("image", "list") == images
    assert [image["id"] for image in images[:3]] == ["aki-00000001", "ari-00000002", "ami-00000003"]
    assert {row["resource"]: row["limit"] for row in shell.rows("quota", "show", "perf")}["instances"] == 200000
    assert len(shell.rows("floating", "list")) == 14
    assert [row["label"] for row in shell.rows("network", "list")] == ["private"]
    assert len(shell.rows("flavor", "list")) == 5


def test_flavors_images_networks_addresses_quotas(shell: Shell) -> None:
    shell("flavor", "create", "m1.big", "--id", "9", "--memory", "1024", "--vcpus", "2", "--disk", "5")
    assert shell.rows("flavor", "list")[0]["flavorid"] == "9"
    shell("flavor", "delete", "m1.big")
    [image] = shell.rows("image", "create", "linux", "--format", "aki")
    assert image["id"].startswith("aki-")
    shell("image", "delete", image["id"])
    assert shell.rows("image", "list") == []
    shell("network", "create", "private", "10.9.0.0/29")
    shell("network", "delete", "private")
    assert shell("floating", "create", "192.0.2.0/30") == "2 added\n"
    assert shell("floating", "delete", "192.0.2.0/30") == "2 removed\n"
    shell("quota", "set", "acme", "instances", "-1")
    assert {row["resource"]: row["limit"] for row in shell.rows("quota", "show", "acme")}["instances"] == -1


def test_the_datastore(shell: Shell) -> None:
    assert shell("db", "version") == "empty\n"
    assert shell("db", "sync") == f"{schema.HEAD}\n"
    assert shell("db", "version") == f"{schema.HEAD}\n"
    assert shell("db", "downgrade", "base") == "empty\n"


def test_config_sample(shell: Shell) -> None:
    shipped = Path(__file__).parent.parent.parent / "etc" / "nova-api.conf"
    assert shell("config", "sample") == shipped.read_text()


@pytest.mark.parametrize(
    "words",
    [
        ("user", "delete", "nobody"),
        ("project", "create", "p", "nobody"),
        ("project", "delete", "p"),
        ("role", "grant", "nobody", "sysadmin"),
        ("role", "revoke", "nobody", "sysadmin"),
        ("key", "revoke", "nokey"),
        ("key", "export", "nobody", "p"),
        ("flavor", "delete", "m9"),
        ("flavor", "create", "x", "--memory", "0", "--vcpus", "1", "--disk", "1"),
        ("image", "delete", "ami-0000ffff"),
        ("network", "create", "n", "no/cidr"),
        ("network", "create", "n", "10.0.0.0/8"),
        ("network", "delete", "n"),
        ("floating", "create", "x"),
        ("quota", "set", "p", "instances", "-2"),
        ("service", "disable", "nohost", "compute"),
    ],
)
def test_what_is_refused_exits_with_1(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell(*words, status=1).startswith("nova-manage: ")


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("user",),
        ("quota", "set", "p", "nonsense", "1"),
        ("--set", "nonsense=1", "user", "list"),
        ("--config", "/nonexistent", "user", "list"),
        ("bootstrap", "/nonexistent"),
        ("db", "downgrade", "nonsense"),
    ],
)
def test_wrong_calls_exit_with_2(shell: Shell, words: tuple[str, ...]) -> None:
    shell(*words, status=2)


def test_services_that_report_and_that_do_not(shell: Shell) -> None:
    shell("db", "sync")
    db = Database(f"sqlite:///{shell.state}/nova.sqlite")
    for host in ("alive", "silent", "gone"):
        db.write(lambda tx, host=host: services.report(tx, host, "compute", "nova-compute", "nova"))
    db.write(lambda tx: services.gone(tx, "gone", ["compute"]))
    ago = now() - timedelta(seconds=61)
    silent = sa.update(models.services).where(models.services.c.host == "silent").values(updated_at=ago)
    db.write(lambda tx: tx.execute(silent))
    db.close()
    shell("service", "disable", "silent", "compute")
    found = {row["host"]: (row["zone"], row["status"], row["state"]) for row in shell.rows("service", "list")}
    assert found == {
        "alive": ("nova", "enabled", "up"),
        "silent": ("nova", "disabled", "down"),
        "gone": ("nova", "enabled", "down"),
    }
    assert [bool(row["updated"]) for row in shell.rows("service", "list")] == [True, True, False]
