"""The 1.0 API behind Keystone: no login of its own, and the token's project in the place of the path's.

What auth_token does with a token is played here; tests/services/test_keystone.py has the real one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import webob
from lxml import etree

from nova_api.openstack.auth import NovaKeystoneContext
from nova_api.openstack.faults import TEXTS
from nova_api.openstack.keystone import TokenEdge
from nova_api.openstack.ratelimit import RateLimitingMiddleware
from nova_api.openstack.urlmap import URLMap
from nova_api.openstack.v1_0 import APIRouter, FaultWrapper
from nova_api.openstack.versions import Versions
from nova_api.openstack.xml import V1_0_NS
from nova_api.wsgi import Environ, Middleware, StartResponse
from tests.openstack.fakes import RAW, Door, fault

NS = f"{{{V1_0_NS}}}"
XML = {"Accept": "application/xml"}
#: What Keystone knows: users and projects by token.
TOKENS = {"alices": ("alice", "acme"), "bobs": ("bob", "globex")}


class Confirming(Middleware):
    """In the place of auth_token: it refuses tokens that it does not know, and tells of the others in headers."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        known = TOKENS.get(environ.get("HTTP_X_AUTH_TOKEN", ""))
        if known is None:
            refusal = webob.Response("no", status=401, headers={"WWW-Authenticate": "Keystone uri='http://k/v3'"})
            return refusal(environ, start_response)
        names = ("HTTP_X_USER_ID", "HTTP_X_TENANT_ID", "HTTP_X_ROLES", "HTTP_X_IDENTITY_STATUS")
        environ.update(zip(names, (*known, "member", "Confirmed"), strict=True))
        return self.application(environ, start_response)


@pytest.fixture(scope="module")
def keystone(door: Door) -> URLMap:
    """The pipeline ``keystone`` of the Paste file."""
    door.cloud.app("osapi_compute")
    services = door.cloud.runtime
    behind = NovaKeystoneContext(RateLimitingMiddleware(APIRouter()), services)
    return URLMap({"/": Versions(), "/v1.0": FaultWrapper(TokenEdge(Confirming(behind), services))})


def ask(
    keystone: URLMap,
    path: str,
    method: str = "GET",
    document: Any = None,
    *,
    token: str | None = "alices",
    headers: Mapping[str, str] | None = None,
) -> webob.Response:
    request = webob.Request.blank(path, method=method, headers=dict(headers or {}), base_url="http://localhost")
    if token is not None:
        request.headers["X-Auth-Token"] = token
    if document is not None:
        request.json, request.content_type = document, "application/json"
    return request.get_response(keystone)


def test_a_walk_without_a_project_in_the_path(keystone: URLMap, door: Door) -> None:
    server = {"server": {"name": "kept", "imageId": RAW, "flavorId": 1}}
    answer = ask(keystone, "/v1.0/servers", "POST", server)
    assert answer.status_int == 202, answer.text
    door.cloud.settle()
    made = answer.json["server"]
    path = f"/v1.0/servers/{made['id']}"
    shown = ask(keystone, path).json["server"]
    assert (shown["status"], len(shown["addresses"]["private"])) == ("ACTIVE", 1)
    assert etree.fromstring(ask(keystone, path, headers=XML).body).tag == f"{NS}server"
    assert ask(keystone, path, "PUT", {"server": {"name": "renamed"}}).status_int == 204
    assert ask(keystone, f"{path}/action", "POST", {"reboot": {"type": "SOFT"}}).status_int == 202
    door.cloud.settle()
    schedule = {"enabled": True, "weekly": "SUNDAY", "daily": "DISABLED"}
    assert ask(keystone, f"{path}/backup_schedule", "POST", {"backupSchedule": schedule}).status_int == 204
    assert ask(keystone, f"{path}/backup_schedule").json == {"backupSchedule": schedule}
    group = {"sharedIpGroup": {"name": "g", "server": made["id"]}}
    answer = ask(keystone, "/v1.0/shared_ip_groups", "POST", group)
    assert (answer.status_int, answer.json["sharedIpGroup"]["servers"]) == (201, [made["id"]])
    # The token's project may stand in the path too, and what is in it is what the other logins see.
    assert ask(keystone, f"/v1.0/acme/servers/{made['id']}").json["server"]["name"] == "renamed"
    assert door.server(made["uuid"])["name"] == "renamed"
    assert ask(keystone, path, "DELETE").status_int == 202
    door.cloud.settle()
    assert fault(ask(keystone, path))[:2] == (404, "itemNotFound")


def test_another_project(keystone: URLMap, door: Door) -> None:
    server = door.server(door.boot())["id"]
    assert ask(keystone, f"/v1.0/servers/{server}").status_int == 200
    assert ask(keystone, "/v1.0/servers", token="bobs").json == {"servers": []}
    assert fault(ask(keystone, f"/v1.0/servers/{server}", token="bobs"))[:2] == (404, "itemNotFound")
    for path in ("/v1.0/acme/servers", f"/v1.0/acme/servers/{server}"):
        assert fault(ask(keystone, path, token="bobs")) == (400, "badRequest", "Malformed request url")


@pytest.mark.parametrize("token", [None, "unknown"])
def test_tokens_that_are_refused(keystone: URLMap, token: str | None) -> None:
    # A login with a key is one of the other strategies: Keystone's users have their token from Keystone.
    login = {"X-Auth-User": "alice", "X-Auth-Key": "alice-access"}
    answer = ask(keystone, "/v1.0/servers", token=token, headers=login)
    assert fault(answer) == (401, "unauthorized", TEXTS[401])
    assert answer.headers["WWW-Authenticate"] == "Keystone uri='http://k/v3'"
    root = etree.fromstring(ask(keystone, "/v1.0/servers", token=token, headers=XML).body)
    assert (root.tag, root.get("code")) == (f"{NS}unauthorized", "401")


def test_the_version_document_needs_no_token(keystone: URLMap) -> None:
    for path in ("/v1.0", "/v1.0/"):
        assert ask(keystone, path, token=None).json["version"]["id"] == "v1.0"
    assert ask(keystone, "/v1.0/").json["version"]["id"] == "v1.0"
    assert [one["id"] for one in ask(keystone, "/", token=None).json["versions"]] == ["v2.0", "v1.0"]
