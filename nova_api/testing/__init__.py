"""A cloud in a fixture: what people import in their own tests.

    def test_my_tool(tmp_path):
        with nova_api.testing.cloud(tmp_path) as cloud:
            answer = cloud.ec2_request("DescribeImages")

The cloud is the real one, in this process: SQLite in a folder of the test, the simulated hypervisor without waiting
times, and the WSGI applications of the shipped Paste file, called without a socket.
"""

import base64
import hashlib
import hmac
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import webob
from paste.deploy import loadapp

from nova_api import runtime as runtimes
from nova_api.cloud import bootstrap
from nova_api.config import Config
from nova_api.nodes import service as nodes
from nova_api.runtime import Runtime


def make_config(state: Path | str, **options: Any) -> Config:
    """A configuration for tests: drivers that take no time, a datastore that need not outlive a power cut.

    :param state: folder for the datastore
    :param options: any option of :class:`nova_api.config.Config`
    """
    defaults = {"simulated_immediate": True, "sqlite_synchronous": "NORMAL", "state_path": str(state)}
    return Config(**{**defaults, **options})


def make_runtime(state: Path | str, **options: Any) -> Runtime:
    """A runtime with an empty datastore; the caller closes it."""
    return runtimes.build(make_config(state, **options))


@dataclass(slots=True)
class Cloud:
    """A running cloud.

    :ivar runtime: its services
    :ivar description: what ``cloud.json`` would say: users, projects, images, ...
    """

    runtime: Runtime
    description: dict[str, Any]
    _apps: dict[str, Any] = field(default_factory=dict)

    def app(self, name: str) -> Any:
        """A WSGI application of the Paste file: ``ec2`` or ``metadata``."""
        if name not in self._apps:
            path = Path(self.runtime.config.paste_path).absolute()
            runtimes.install(self.runtime)  # of several clouds in one process, this one's
            self._apps[name] = loadapp(f"config:{path}", name=name)
        return self._apps[name]

    def ec2_request(
        self, action: str, params: dict[str, str] | None = None, *, user: str | None = None, **options: str
    ) -> webob.Response:
        """Send a signed EC2 request.

        :param params: wire parameters, ``{"InstanceId.1": "i-00000001"}``
        :param user: name of a user of the description; the default user without it
        :param options: ``project``; ``version``, by default one of today's SDKs; ``method``
        """
        query = self.signed_query(action, params or {}, user=user, **options)
        path = "/services/Cloud/"
        if options.get("method", "GET") == "POST":
            request = webob.Request.blank(path, method="POST", body=query.encode(), base_url="http://localhost")
            request.content_type = "application/x-www-form-urlencoded"
        else:
            request = webob.Request.blank(f"{path}?{query}", base_url="http://localhost")
        return request.get_response(self.app("ec2"))

    def signed_query(
        self,
        action: str,
        params: dict[str, str],
        *,
        user: str | None = None,
        project: str | None = None,
        version: str = "2016-11-15",
        method: str = "GET",
        host: str = "localhost",
        path: str = "/services/Cloud/",
    ) -> str:
        """The query string of a request signed with version 2."""
        name = user or self.default_user
        who = self.description["users"][name]
        project = project or next(p for p, about in self.description["projects"].items() if name in about["members"])
        signed = {
            **params,
            "Action": action,
            "Version": version,
            "AWSAccessKeyId": f"{who['access']}:{project}",
            "SignatureMethod": "HmacSHA256",
            "SignatureVersion": "2",
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        query = "&".join(f"{_quote(k)}={_quote(v)}" for k, v in sorted(signed.items()))
        text = f"{method}\n{host}\n{path}\n{query}"
        digest = hmac.new(who["secret"].encode(), text.encode(), hashlib.sha256).digest()
        return f"{query}&Signature={_quote(base64.b64encode(digest).decode())}"

    @property
    def default_user(self) -> str:
        """The first user that is no administrator."""
        return str(next(name for name, who in sorted(self.description["users"].items()) if not who["admin"]))

    def settle(self, timeout: float = 30.0) -> None:
        """Wait until the nodes have handled every message.

        :param timeout: seconds
        :raises TimeoutError: they have not
        """
        until = time.monotonic() + timeout
        while self.runtime.outbox.depth():
            if time.monotonic() > until:
                raise TimeoutError(f"{self.runtime.outbox.depth()} messages are left")
            time.sleep(0.005)


@contextmanager
def cloud(state: Path | str, document: dict[str, Any] | None = None, **options: Any) -> Iterator[Cloud]:
    """A cloud for the length of a ``with`` block.

    :param state: folder for its datastore, empty or one that an earlier cloud left
    :param document: what it holds, as ``nova-manage bootstrap`` reads it; the first start's contents without it
    :param options: options of :class:`nova_api.config.Config`
    """
    runtime = make_runtime(state, **options)
    runtimes.install(runtime)
    running: list[Any] = []
    try:
        if document is None:
            bootstrap.first_start(runtime.db, runtime.config)
        else:
            bootstrap.bootstrap(runtime.db, runtime.config, document)
        running = nodes.start_all(runtime)
        runtime.outbox.start()
        yield Cloud(runtime, bootstrap.describe(runtime.db, runtime.config, {}))
    finally:
        nodes.stop_all(running, 10.0)
        runtimes.uninstall()
        runtime.close()


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.~")
