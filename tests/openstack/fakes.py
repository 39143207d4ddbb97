"""What the tests of the OpenStack door share: a world, a login, requests through the whole pipeline."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import webob

from nova_api.testing import Cloud

WORLD = Path(__file__).parent.parent / "conformance" / "bootstrap.json"
DOCUMENT: dict[str, Any] = json.loads(WORLD.read_text())
IMAGES = {image["name"]: image["id"] for image in DOCUMENT["images"]}
RAW = IMAGES["oracle-raw"]
PROJECTS = {"alice": "acme", "carol": "acme", "bob": "globex", "admin": "adminproj", "perf": "perf"}
NOBODY = "00000000-0000-4000-8000-00000000dead"
STOCK_404 = "The resource could not be found."
STOCK_400 = "The server could not comply with the request since it is either malformed or otherwise incorrect."


@dataclass
class Door:
    """The OpenStack door of a cloud in this process.

    :ivar version: the mount that requests go to; api: the application of the Paste file
    """

    cloud: Cloud
    version: str = "v1.1"
    api: str = "osapi_compute"
    tokens: dict[str, str] = field(default_factory=dict)

    def call(
        self, path: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> webob.Response:
        """A request as it is: the whole path, no token."""
        request = webob.Request.blank(path, method=method, headers=headers or {}, base_url="http://localhost")
        if body is not None:
            request.body = body
        return request.get_response(self.cloud.app(self.api))

    def login(self, user: str) -> str:
        """The user's token."""
        if user not in self.tokens:
            key = self.cloud.description["users"][user]["access"]
            answer = self.call(f"/{self.version}/", headers={"X-Auth-User": user, "X-Auth-Key": key})
            assert answer.status_int == 204, answer.text
            self.tokens[user] = answer.headers["X-Auth-Token"]
        return self.tokens[user]

    def ask(
        self,
        path: str,
        method: str = "GET",
        document: Any = None,
        *,
        user: str = "alice",
        project: str | None = None,
        xml: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> webob.Response:
        """A request of a user, below the project.

        :param document: JSON to send; ``xml`` sends that, and asks for it
        """
        given = {"X-Auth-Token": self.login(user), **(headers or {})}
        body = None
        if xml is not None:
            body = xml.encode() or None
            given = {"Accept": "application/xml", "Content-Type": "application/xml", **given}
        elif document is not None:
            body = json.dumps(document).encode()
            given = {"Content-Type": "application/json", **given}
        whole = f"/{self.version}/{project or PROJECTS[user]}{path}"
        return self.call(whole, method, body, given)

    def post(self, path: str, document: Any, **options: Any) -> webob.Response:
        return self.ask(path, "POST", document, **options)

    def put(self, path: str, document: Any, **options: Any) -> webob.Response:
        return self.ask(path, "PUT", document, **options)

    def delete(self, path: str, **options: Any) -> webob.Response:
        return self.ask(path, "DELETE", **options)

    def act(self, server: str, action: str, argument: Any = None, **options: Any) -> webob.Response:
        return self.post(f"/servers/{server}/action", {action: argument}, **options)

    def new(self, user: str = "alice", **fields: Any) -> webob.Response:
        """The answer to a create."""
        server = {"name": "test", "imageRef": RAW, "flavorRef": "1", **fields}
        return self.post("/servers", {"server": server}, user=user)

    def boot(self, user: str = "alice", **fields: Any) -> str:
        """A server that runs."""
        answer = self.new(user, **fields)
        assert answer.status_int == 202, answer.text
        self.cloud.settle()
        server = str(answer.json["server"]["id"])
        assert self.server(server, user)["status"] == "ACTIVE"
        return server

    def server(self, server: str, user: str = "alice") -> dict[str, Any]:
        """Its document."""
        answer = self.ask(f"/servers/{server}", user=user)
        assert answer.status_int == 200, answer.text
        return dict(answer.json["server"])


def fault(answer: webob.Response) -> tuple[int, str, str]:
    """Status, name and message of a refusal in JSON."""
    ((name, about),) = answer.json.items()
    assert about["code"] == answer.status_int
    return answer.status_int, name, about["message"]


def message(answer: webob.Response) -> tuple[int, str]:
    """Status and message of a refusal in JSON."""
    status, _, text = fault(answer)
    return status, text
