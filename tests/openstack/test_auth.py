"""Who asks at the OpenStack door (spec openstack-core.md 3)."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import webob
import webob.dec

from nova_api.auth.tokens import LIFETIME, Tokens, digest
from nova_api.db.models import auth_tokens, now
from nova_api.openstack.auth import AuthMiddleware, NoAuthMiddleware, NovaKeystoneContext
from nova_api.openstack.faults import CONTEXT, TEXTS
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, Door, message

STOCK = (401, TEXTS[401])


def key_of(door: Door, user: str) -> str:
    return str(door.cloud.description["users"][user]["access"])


def login(door: Door, user: str | None, key: str | None, path: str = "/v1.1/", **more: str) -> webob.Response:
    given = {"X-Auth-User": user, "X-Auth-Key": key, **{n.replace("_", "-"): v for n, v in more.items()}}
    return door.call(path, headers={name: value for name, value in given.items() if value is not None})


@pytest.mark.parametrize("path", ["/v1.1/", "/v1.1", "/v2/", "/v2"])
def test_a_login(door: Door, path: str) -> None:
    answer = login(door, "alice", key_of(door, "alice"), path)
    assert (answer.status_int, answer.body) == (204, b"")
    assert re.fullmatch("[0-9a-f]{40}", answer.headers["X-Auth-Token"])
    assert answer.headers["X-Server-Management-Url"] == f"http://localhost{path.rstrip('/')}/acme"
    assert (answer.headers["Content-Type"], answer.headers["Content-Length"]) == ("text/plain; charset=UTF-8", "0")
    assert "X-Storage-Url" not in answer.headers


def test_the_token_opens_both_mounts_and_every_project_of_the_user(door: Door) -> None:
    token = {"X-Auth-Token": door.login("alice")}
    assert door.call("/v1.1/acme/flavors", headers=token).status_int == 200
    assert door.call("/v2/acme/flavors", headers=token).status_int == 200


@pytest.mark.parametrize(
    ("user", "key", "path", "project", "expected"),
    [
        (
            None,
            None,
            "/v1.1/acme/servers",
            None,
            "Authentication requests must be made against a version root (e.g. /v2).",
        ),
        ("alice", "alice", "/v2/acme", None, "Authentication requests must be made against a version root (e.g. /v2)."),
        (None, "alice", "/v1.1/", None, "Could not find 'X-Auth-User' in request."),
        ("alice", None, "/v1.1/", None, "Could not find 'X-Auth-Key' in request."),
        ("alice", "nobody", "/v1.1/", None, TEXTS[401]),
        ("alice", "nobody", "/v1.1/", "acme", TEXTS[401]),
        ("alice", "bob", "/v1.1/", None, TEXTS[401]),
        ("alice", "alice", "/v1.1/", "globex", TEXTS[401]),
        ("alice", "alice", "/v1.1/", "nowhere", TEXTS[401]),
        ("admin", "admin", "/v1.1/", "acme", TEXTS[401]),
        ("", "alice", "/v1.1/", None, TEXTS[401]),
        ("alice", "", "/v1.1/", None, TEXTS[401]),
        ("alice", "x" * 5000, "/v1.1/", None, TEXTS[401]),
    ],
)
def test_refused_logins(
    door: Door, user: str | None, key: str | None, path: str, project: str | None, expected: str
) -> None:
    if key in door.cloud.description["users"]:
        key = key_of(door, str(key))
    more = {"X_Auth_Project_Id": project} if project else {}
    assert message(login(door, user, key, path, **more)) == (401, expected)


def test_a_project_may_be_chosen(door: Door) -> None:
    answer = login(door, "alice", key_of(door, "alice"), X_Auth_Project_Id="acme")
    assert answer.headers["X-Server-Management-Url"].endswith("/v1.1/acme")


@pytest.mark.parametrize("coding", ["utf-8", "latin-1"])
def test_names_that_are_no_ascii(tmp_path: Path, coding: str) -> None:
    document = {**DOCUMENT, "users": {**DOCUMENT["users"], "zoë": {"access": "zoe-access", "secret": "s"}}}
    document["projects"] = {**DOCUMENT["projects"], "a café": {"manager": "zoë", "members": ["zoë"]}}
    with running(tmp_path / "state", document) as cloud:
        door = Door(cloud)
        # A server hands over the bytes of a header as Latin-1.
        user, project = (name.encode(coding).decode("latin-1") for name in ("zoë", "a café"))
        for more in ({}, {"X_Auth_Project_Id": project}):
            answer = login(door, user, "zoe-access", **more)
            assert answer.headers["X-Server-Management-Url"] == "http://localhost/v1.1/a%20caf%C3%A9"
        token = {"X-Auth-Token": answer.headers["X-Auth-Token"]}
        assert door.call("/v1.1/a%20caf%C3%A9/servers", headers=token).json == {"servers": []}
        assert message(login(door, "zo", "zoe-access")) == STOCK
        assert message(login(door, user, "zoe-access", X_Auth_Project_Id="caf\xe9")) == STOCK


@pytest.mark.parametrize("path", ["/v1.1", "/v1.1/", "/v2", "/v2/"])
@pytest.mark.parametrize("token", [None, "nonsense"])
def test_the_version_document_needs_no_login(door: Door, path: str, token: str | None) -> None:
    answer = door.call(path, headers={"X-Auth-Token": token} if token else {})
    assert answer.json["version"]["id"] == "v2.0"
    assert answer.json["version"]["links"][0]["href"] == f"http://localhost{path.rstrip('/')}/"


@pytest.mark.parametrize("token", ["nonsense", "0" * 40, "x" * 5000, "\xff"])
def test_unknown_tokens(door: Door, token: str) -> None:
    assert message(door.call("/v1.1/acme/servers", headers={"X-Auth-Token": token})) == STOCK


@pytest.mark.parametrize("path", ["/v1.1/globex/servers", "/v2/nowhere/servers", "/v1.1/adminproj/flavors/1"])
def test_other_projects(door: Door, path: str) -> None:
    assert message(door.call(path, headers={"X-Auth-Token": door.login("alice")})) == STOCK


def test_an_administrator_enters_only_projects_that_have_him(door: Door) -> None:
    token = {"X-Auth-Token": door.login("admin")}
    assert message(door.call("/v1.1/acme/servers", headers=token)) == STOCK
    assert door.call("/v1.1/adminproj/servers", headers=token).status_int == 200


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Door]:
    """A cloud whose people come and go."""
    with running(tmp_path / "state", DOCUMENT) as made:
        yield Door(made)


def works(door: Door, token: str, project: str = "acme") -> bool:
    answer = door.call(f"/v1.1/{project}/flavors", headers={"X-Auth-Token": token})
    assert answer.status_int in (200, 401)
    return bool(answer.status_int == 200)


def test_the_datastore_knows_a_digest_only(own: Door) -> None:
    token = own.login("alice")
    with own.cloud.runtime.db.read() as conn:
        rows = conn.execute(sa.select(auth_tokens)).all()
    assert [row.token_hash for row in rows] == [digest(token)]
    assert token not in str(rows)


def test_two_days_later(own: Door) -> None:
    token, other, db = own.login("alice"), own.login("bob"), own.cloud.runtime.db

    def age(seconds: float) -> None:
        then = now() - LIFETIME + timedelta(seconds=seconds)
        mine = auth_tokens.c.token_hash == digest(token)
        db.write(lambda tx: tx.execute(sa.update(auth_tokens).where(mine).values(created_at=then)))

    age(60)
    assert works(own, token)
    age(-1)
    assert not works(own, token)
    with db.read() as conn:
        assert [row.token_hash for row in conn.execute(sa.select(auth_tokens))] == [digest(other)]


def test_old_tokens_are_swept_by_the_next_login(own: Door) -> None:
    tokens = Tokens(own.cloud.runtime.db)
    tokens.issue("alice", "acme", "")
    long_ago = now() - LIFETIME * 2
    own.cloud.runtime.db.write(lambda tx: tx.execute(sa.update(auth_tokens).values(created_at=long_ago)))
    tokens.issue("bob", "globex", "")
    with own.cloud.runtime.db.read() as conn:
        assert [row.user_id for row in conn.execute(sa.select(auth_tokens))] == ["bob"]


@pytest.mark.parametrize("end", ["user", "membership", "project", "key", "token"])
def test_what_ends_a_token(own: Door, end: str) -> None:
    identity = own.cloud.runtime.identity
    token, other = own.login("carol"), own.login("bob")
    assert works(own, token)
    if end == "user":
        identity.delete_user("carol")
    elif end == "membership":
        identity.remove_member("acme", "carol")
    elif end == "project":
        identity.delete_project("acme")
    elif end == "key":
        identity.revoke_key(key_of(own, "carol"))
    else:
        Tokens(own.cloud.runtime.db).revoke(token)
    assert not works(own, token)
    assert works(own, other, "globex")


def test_a_token_does_not_come_back_with_the_membership(own: Door) -> None:
    identity = own.cloud.runtime.identity
    token = own.login("carol")
    identity.remove_member("acme", "carol")
    identity.add_member("acme", "carol")
    assert not works(own, token)


def test_the_middleware_s_own_methods(own: Door) -> None:
    middleware = AuthMiddleware(lambda environ, start: [], services=own.cloud.runtime)
    token = own.login("alice")
    request = webob.Request.blank("/v1.1/acme/servers", headers={"X-Auth-Token": token})
    assert middleware.has_authentication(request)
    assert middleware.get_user_by_authentication(request) == {"id": "alice", "is_admin": False}
    assert middleware.authorize_token("nonsense") is None
    assert not middleware.has_authentication(webob.Request.blank("/v1.1/"))


class FewTokens:
    """A store of one's own: what the documentation calls a ``db_driver``."""

    def __init__(self) -> None:
        self.issued: list[tuple[str, str]] = []

    def issue(self, user_id: str, project_id: str, management_url: str) -> str:
        self.issued.append((user_id, project_id))
        return "the-token"

    def lookup(self, token: str) -> Any:
        return None


def test_a_db_driver(own: Door) -> None:
    store = FewTokens()
    middleware = AuthMiddleware(lambda environ, start: [], db_driver=store, services=own.cloud.runtime)
    headers = {"X-Auth-User": "alice", "X-Auth-Key": key_of(own, "alice")}
    answer = webob.Request.blank("/", headers=headers).get_response(middleware)
    assert answer.headers["X-Auth-Token"] == "the-token"
    assert store.issued == [("alice", "acme")]


@webob.dec.wsgify
def show_context(req: webob.Request) -> str:
    context = req.environ[CONTEXT]
    return f"{context.user_id} {context.project_id} {context.is_admin} {','.join(context.roles)}"


def test_the_context_of_a_token(own: Door) -> None:
    middleware = AuthMiddleware(show_context, services=own.cloud.runtime)
    for user, project, expected in (
        ("alice", "acme", "alice acme False netadmin,projectmanager,sysadmin"),
        ("admin", "adminproj", "admin adminproj True"),
    ):
        headers = {"X-Auth-Token": own.login(user)}
        answer = webob.Request.blank(f"/v1.1/{project}/servers", headers=headers).get_response(middleware)
        assert answer.text.startswith(expected)
    headers = {"X-Auth-Token": own.login("alice")}
    assert webob.Request.blank("/elsewhere", headers=headers).get_response(middleware).text.startswith("alice acme")


class TestNoAuth:
    """Everybody is an administrator (spec 3.2)."""

    @pytest.fixture
    def application(self, own: Door) -> Any:
        return NoAuthMiddleware(show_context, services=own.cloud.runtime)

    @pytest.mark.parametrize(
        ("path", "headers", "token", "url"),
        [
            ("/v2/foo/bar", {}, "admin:admin", "http://localhost/v2/foo/bar/admin"),
            ("/v2/", {"X-Auth-User": "joe"}, "joe:admin", "http://localhost/v2/admin"),
            (
                "/v2",
                {"X-Auth-User": "joe", "X-Auth-Project-Id": "proj"},
                "joe:proj",
                "http://localhost/v2/proj",
            ),
        ],
    )
    def test_login(self, application: Any, path: str, headers: dict[str, str], token: str, url: str) -> None:
        answer = webob.Request.blank(path, headers=headers).get_response(application)
        assert answer.status_int == 204
        assert (answer.headers["X-Auth-Token"], answer.headers["X-Server-Management-Url"]) == (token, url)

    @pytest.mark.parametrize(("token", "expected"), [("joe:proj", "joe proj"), ("joe", "joe joe"), ("a:b:c", "a b:c")])
    def test_tokens(self, application: Any, token: str, expected: str) -> None:
        answer = webob.Request.blank("/v2/x/servers", headers={"X-Auth-Token": token}).get_response(application)
        assert answer.text == f"{expected} True admin"

    def test_a_name_that_would_break_the_header(self, application: Any) -> None:
        answer = webob.Request.blank("/v2/", headers={"X-Auth-User": "joe smith"}).get_response(application)
        assert answer.status_int == 400

    def test_names_that_no_row_holds(self, application: Any) -> None:
        for headers in ({"X-Auth-User": "x" * 256}, {"X-Auth-Project-Id": "x" * 256}):
            assert webob.Request.blank("/v2/", headers=headers).get_response(application).status_int == 400
        for token in ("x" * 256, f"joe:{'x' * 256}", f"{'x' * 256}:proj"):
            answer = webob.Request.blank("/v2/x/servers", headers={"X-Auth-Token": token}).get_response(application)
            assert answer.status_int == 401


class TestKeystone:
    """Headers that the token middleware has set (spec 3.3)."""

    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ({"X-User-Id": "u", "X-Tenant-Id": "t", "X-Role": "Member, other"}, "u t False Member,other"),
            ({"X-User": "u", "X-Tenant": "t", "X-Role": "ADMIN"}, "u t True ADMIN,admin"),
            ({"X-User-Id": "u", "X-User": "x", "X-Tenant-Id": "t", "X-Tenant": "y"}, "u t False "),
        ],
    )
    def test_contexts(self, own: Door, headers: dict[str, str], expected: str) -> None:
        application = NovaKeystoneContext(show_context, services=own.cloud.runtime)
        assert webob.Request.blank("/v2/t/servers", headers=headers).get_response(application).text == expected

    @pytest.mark.parametrize("headers", [{}, {"X-User-Id": "u"}, {"X-Tenant-Id": "t"}])
    def test_nobody(self, own: Door, headers: dict[str, str]) -> None:
        application = NovaKeystoneContext(show_context, services=own.cloud.runtime)
        assert webob.Request.blank("/v2/t/servers", headers=headers).get_response(application).status_int == 401
