"""The policy file, with the match lists of 2012 and the texts of today."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

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


def test_nobody_owns_nothing(tmp_path: Path) -> None:
    policy = make(tmp_path / "p.json", RULES)
    nobody = RequestContext("alice", None, roles=("sysadmin",))
    for target in (None, {"project_id": None}, {}):
        assert not allowed(policy, nobody, "unlisted", target)


@pytest.mark.parametrize(
    "rule",
    ["a b:%(project_id)s", "project_id:%s", "user_id.x:%(project_id)s", "rule:wrong", "no rule", "nothing:there"],
)
def test_a_rule_that_cannot_be_judged_does_not_hold(tmp_path: Path, rule: str) -> None:
    policy = make(tmp_path / "p.json", {"wrong": [[rule]]})
    for context in (MEMBER, ADMIN):
        assert not allowed(policy, context, "wrong")
        assert not allowed(policy, context, "neither this rule nor the default one is there")


class Judge(BaseHTTPRequestHandler):
    """Answers what its path says, after a look at what it is asked."""

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        assert json.loads(asked["target"][0])["project_id"] == "acme"
        credentials = json.loads(asked["credentials"][0])
        assert (credentials["user_id"], credentials["read_deleted"]) == ("alice", "no")
        assert len(credentials["timestamp"]) == len("2012-01-31T23:59:59.000000") and "auth_token" not in credentials
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.strip("/").encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def test_a_server_is_asked(tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), Judge)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    rules = {word: [[f"http://127.0.0.1:{server.server_port}/{word}"]] for word in ("True", "False", "true")}
    policy = make(tmp_path / "p.json", rules)
    try:
        assert [allowed(policy, MEMBER, word) for word in rules] == [True, False, False]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert not allowed(policy, MEMBER, "True")


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
