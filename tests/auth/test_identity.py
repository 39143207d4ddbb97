"""Who somebody is, and what that makes of them in a project (spec ec2.md 2.5)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nova_api import errors
from nova_api.auth.identity import Credentials, Identity
from nova_api.config import Config
from nova_api.db import models
from nova_api.db.engine import Database


@pytest.fixture
def identity(tmp_path: Path) -> Iterator[Identity]:
    db = Database(f"sqlite:///{tmp_path}/x.sqlite")
    models.metadata.create_all(db.engine)
    yield Identity(db, Config(state_path=str(tmp_path)))
    db.close()


@pytest.fixture
def alice(identity: Identity) -> Identity:
    identity.create_user("alice", access="AK", secret="secret")
    identity.create_project("acme", "alice")
    return identity


def known(identity: Identity, project: str | None = "acme") -> Credentials:
    found = identity.credentials("AK", project)
    assert found is not None
    return found


def test_a_member(alice: Identity) -> None:
    found = known(alice)
    assert (found.user_id, found.secret, found.project_id, found.allowed) == ("alice", "secret", "acme", True)
    assert not found.is_admin
    assert found.roles == ("projectmanager",)


def test_nobody(alice: Identity) -> None:
    assert alice.credentials("AK2", "acme") is None


@pytest.mark.parametrize("project", ["none", "other"])
def test_no_member(alice: Identity, project: str) -> None:
    alice.create_user("bob")
    alice.create_project("other", "bob")
    assert not known(alice, project).allowed


def test_without_a_project_the_one_of_the_users_name_counts(alice: Identity) -> None:
    assert not known(alice, None).allowed
    alice.create_project("alice", "alice")
    assert known(alice, None).project_id == "alice"


def test_a_role_is_active_when_it_is_held_globally_and_in_the_project(alice: Identity) -> None:
    alice.grant("alice", "sysadmin")
    assert "sysadmin" not in known(alice).roles
    alice.grant("alice", "sysadmin", "acme")
    assert "sysadmin" in known(alice).roles
    alice.revoke("alice", "sysadmin")
    assert "sysadmin" not in known(alice).roles


@pytest.mark.parametrize("role", ["cloudadmin", "itsec"])
def test_some_global_roles_make_an_administrator(alice: Identity, role: str) -> None:
    alice.grant("alice", role)
    assert known(alice).is_admin
    assert {role, "admin"} <= set(known(alice).roles)


def test_an_administrator_may_use_any_project_that_exists(alice: Identity) -> None:
    alice.create_user("root", admin=True, access="RK", secret="s")
    found = alice.credentials("RK", "acme")
    assert found is not None and found.allowed and found.is_admin
    found = alice.credentials("RK", "none")
    assert found is not None and not found.allowed


def test_several_keys_and_their_end(alice: Identity) -> None:
    access, secret = alice.create_key("alice")
    found = alice.credentials(access, "acme")
    assert found is not None and found.secret == secret
    alice.revoke_key(access)
    assert alice.credentials(access, "acme") is None
    assert known(alice).allowed


def test_the_end_of_a_user_ends_everything_of_theirs(alice: Identity) -> None:
    alice.delete_user("alice")
    assert alice.credentials("AK", "acme") is None
    assert alice.members() == {}


def test_secrets_are_encrypted_in_the_datastore(alice: Identity) -> None:
    with alice.db.read() as conn:
        stored = conn.execute(sa.select(models.access_keys.c.secret)).scalar_one()
    assert "secret" not in stored
    assert alice.box.path.stat().st_mode & 0o777 == 0o600


def test_another_key_file_does_not_open_them(alice: Identity, tmp_path: Path) -> None:
    other = Identity(alice.db, Config(state_path=str(tmp_path / "elsewhere"), secret_key_file=str(tmp_path / "k")))
    with pytest.raises(errors.ConfigError):
        other.credentials("AK", "acme")


@pytest.mark.parametrize("role", ["king", "", "projectmanager2"])
def test_unknown_roles_are_refused(alice: Identity, role: str) -> None:
    with pytest.raises(errors.InvalidParameterValue):
        alice.grant("alice", role)


def test_duplicates_are_refused(alice: Identity) -> None:
    with pytest.raises(errors.Duplicate):
        alice.create_user("alice")
    with pytest.raises(errors.Duplicate):
        alice.create_user("carol", access="AK")
    with pytest.raises(errors.Duplicate):
        alice.create_project("acme", "alice")
    assert [row.id for row in alice.list_users()] == ["alice"]


def test_an_access_key_has_no_blanks_around_it(alice: Identity) -> None:
    for access in ("AK ", " AK", "AK\n"):
        with pytest.raises(errors.InvalidParameterValue):
            alice.create_key("alice", access=access)
