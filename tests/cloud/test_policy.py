"""The policy file, with the match lists of 2012 and the texts of today."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nova_api import errors
from nova_api.cloud import policy as module
from nova_api.cloud.policy import Policy
from nova_api.config import Config
from nova_api.context import RequestContext

MEMBER = RequestContext("alice", "acme", roles=("sysadmin",))
ADMIN = RequestContext("root", "adminproj", is_admin=True, roles=("admin",))


def make(path: Path, rules: dict[str, Any]) -> Policy:
    path.write_text(json.dumps(rules))
    return Policy(str(path))


def allowed(policy: Policy, context: RequestContext, action: str, target: dict[str, Any] | None = None) -> bool:
    try:
        policy.check(context, action, target)
    except errors.PolicyNotAuthorized as error:
        assert error.message == f"Policy doesn't allow {action} to be performed."
        return False
    return True


RULES: dict[str, Any] = {
    "admin_or_owner": [["role:admin"], ["project_id:%(project_id)s"]],
    "default": [["rule:admin_or_owner"]],
    "open": [],
    "admin": [["role:ADMIN"]],
    "both": [["role:sysadmin", "project_id:acme"]],
    "text": "role:sysadmin or role:admin",
    "missing": [["project_id:%(no_such_key)s"]],
    "nowhere": [["rule:no_such_rule"]],
}


@pytest.mark.parametrize(
    ("action", "member", "admin"),
    [
        ("open", True, True),
        ("admin", False, True),
        ("both", True, False),
        ("text", True, True),
        ("missing", False, False),
        ("unlisted", True, True),
    ],
)
def test_rules(tmp_path: Path, action: str, member: bool, admin: bool) -> None:
    policy = make(tmp_path / "p.json", RULES)
    assert (allowed(policy, MEMBER, action), allowed(policy, ADMIN, action)) == (member, admin)


def test_the_target_is_the_object_not_the_caller(tmp_path: Path) -> None:
    policy = make(tmp_path / "p.json", RULES)
    assert allowed(policy, MEMBER, "compute:get", {"project_id": "acme"})
    assert not allowed(policy, MEMBER, "compute:get", {"project_id": "globex"})
    assert allowed(policy, ADMIN, "compute:get", {"project_id": "globex"})


def test_a_change_of_the_file_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.0)
    path = tmp_path / "p.json"
    policy = make(path, {"x": []})
    assert allowed(policy, MEMBER, "x")
    path.write_text(json.dumps({"x": [["role:admin"]]}))
    os.utime(path, ns=(1, 1))
    assert not allowed(policy, MEMBER, "x")
    path.write_text("{broken")
    os.utime(path, ns=(2, 2))
    assert not allowed(policy, MEMBER, "x")  # the last good rules stay


@pytest.mark.parametrize("text", ["{", "[]", "5"])
def test_a_broken_file_at_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(errors.ConfigError):
        Policy(str(path))


def test_the_shipped_file_lets_members_use_what_is_theirs() -> None:
    policy = Policy(Config().policy_path)
    for action in ("compute:create", "compute:get_all", "volume:create", "network:allocate_floating_ip"):
        assert allowed(policy, MEMBER, action)
    assert allowed(policy, MEMBER, "compute:delete", {"project_id": "acme"})
    assert not allowed(policy, MEMBER, "compute:delete", {"project_id": "globex"})
