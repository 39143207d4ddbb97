"""A real Keystone for tests: in an environment of its own, on SQLite, with fernet tokens.

The environment is made on first use and stays beside .venv: Keystone's dependencies, oslo.messaging among them, are
none of ours. keystone-constraints.txt has the exact versions.
"""

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.servers import KEEP_COMPILED, ROOT

HERE = Path(__file__).parent
CONSTRAINTS = HERE / "keystone-constraints.txt"
VENV = ROOT / ".venv-keystone"
PASSWORD = "keystone-pass"
CONFIG = """
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = sqlite:///{folder}/keystone.sqlite
[token]
provider = fernet
expiration = {expiration}
[fernet_tokens]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[identity]
password_hash_rounds = 4
"""


def environment() -> Path:
    """The interpreter that has Keystone.

    Skips the test when there is none and none can be made, and fails it when NOVA_API_REQUIRE_SERVICES is set.
    """
    wanted = hashlib.sha256(CONSTRAINTS.read_bytes() + sys.version.encode()).hexdigest()
    stamp = VENV / "keystone.installed"
    with (ROOT / ".venv-keystone.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes, one makes it
        if not stamp.is_file() or stamp.read_text() != wanted:
            try:
                _make_environment()
            except subprocess.CalledProcessError as error:
                reason = f"Keystone cannot be installed: {error.stdout.decode(errors='replace')[-2000:]}"
                if os.environ.get("NOVA_API_REQUIRE_SERVICES"):
                    pytest.fail(reason)
                pytest.skip(reason)
            stamp.write_text(wanted)
    return VENV / "bin" / "python"


def _make_environment() -> None:
    _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)])
    pip = [sys.executable, "-m", "pip", "--python", str(VENV / "bin" / "python"), "--disable-pip-version-check"]
    # Of what it brings along, little is ever loaded: that is compiled when it is.
    _run([*pip, "install", "-qq", "--no-input", "--no-compile", "-c", str(CONSTRAINTS), "keystone"])


def _run(command: list[str], **variables: str) -> None:
    env = {**os.environ, **KEEP_COMPILED, "PYTHONWARNINGS": "ignore", **variables}
    subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
    )


@dataclass
class Keystone:
    """A Keystone that answers.

    :ivar ca: the file of certificates that its own is checked against; None for plain HTTP
    """

    folder: Path
    process: subprocess.Popen[bytes]
    port: int
    ca: Path | None = None
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{'https' if self.ca else 'http'}://127.0.0.1:{self.port}/v3"

    def call(
        self, method: str, path: str, document: Any = None, *, token: str = "", status: int | None = None
    ) -> tuple[Mapping[str, str], Any]:
        """One request of its API.

        :returns: headers and document
        """
        connection: http.client.HTTPConnection
        if self.ca:
            trust = ssl.create_default_context(cafile=str(self.ca))
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=trust)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json", **({"X-Auth-Token": token} if token else {})}
            body = None if document is None else json.dumps(document)
            connection.request(method, f"/v3{path}", body, headers)
            answer = connection.getresponse()
            text = answer.read()
        assert answer.status < 300 if status is None else answer.status == status, (answer.status, text)
        return answer.headers, json.loads(text) if text else None

    def token(self, user: str, project: str | None, password: str = PASSWORD) -> tuple[str, Any]:
        """Log in.

        :param project: its name; None for a token without a scope
        :returns: the token, and what is said of it
        """
        who = {"name": user, "password": password, "domain": {"id": "default"}}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
        auth["scope"] = "unscoped" if project is None else {"project": {"name": project, "domain": {"id": "default"}}}
        headers, document = self.call("POST", "/auth/tokens", {"auth": auth})
        return headers["X-Subject-Token"], document["token"]

    def admin(self) -> str:
        """A token of the administrator."""
        return self.token("admin", "admin")[0]

    def revoke(self, token: str) -> None:
        """End a token before its time."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(
                "DELETE", "/v3/auth/tokens", headers={"X-Auth-Token": self.admin(), "X-Subject-Token": token}
            )
            assert connection.getresponse().status == 204

    def add_user(self, name: str, project: str, role: str) -> None:
        """A user with a role in a project; both are made if need be."""
        token = self.admin()
        for kind, made, more in (("project", project, {}), ("user", name, {"password": PASSWORD})):
            if made not in self.ids:
                document = {kind: {"name": made, "domain_id": "default", **more}}
                self.ids[made] = self.call("POST", f"/{kind}s", document, token=token)[1][kind]["id"]
        (found,) = self.call("GET", f"/roles?name={role}", token=token)[1]["roles"]
        self.call("PUT", f"/projects/{self.ids[project]}/users/{self.ids[name]}/roles/{found['id']}", token=token)

    def ec2_credentials(self, user: str, project: str) -> tuple[str, str]:
        """A new access key of a user in a project, and its secret."""
        token = self.admin()
        path = f"/users/{self.ids[user]}/credentials/OS-EC2"
        _, document = self.call("POST", path, {"tenant_id": self.ids[project]}, token=token)
        return document["credential"]["access"], document["credential"]["secret"]

    def announce(self, url: str) -> None:
        """Have the catalogue say that Keystone is at ``url``: auth_token goes by that."""
        token = self.admin()
        (service,) = self.call("GET", "/services?type=identity", token=token)[1]["services"]
        for old in self.call("GET", f"/endpoints?service_id={service['id']}", token=token)[1]["endpoints"]:
            self.call("DELETE", f"/endpoints/{old['id']}", token=token)
        endpoint = {"interface": "internal", "service_id": service["id"], "url": url}
        self.call("POST", "/endpoints", {"endpoint": endpoint}, token=token)

    def add_endpoint(self, kind: str, url: str) -> None:
        """A service in the catalogue."""
        token = self.admin()
        made = {"service": {"name": f"nova-{uuid.uuid4().hex[:6]}", "type": kind}}
        service = self.call("POST", "/services", made, token=token)[1]["service"]["id"]
        endpoint = {"interface": "public", "service_id": service, "url": url}
        self.call("POST", "/endpoints", {"endpoint": endpoint}, token=token)


@contextlib.contextmanager
def new_keystone(folder: Path) -> Iterator[Keystone]:
    """A Keystone of its own, with what ``keystone-manage bootstrap`` makes, until the block ends."""
    environment()
    manage, config = str(VENV / "bin" / "keystone-manage"), _configure(folder, 3600)
    me = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
    bootstrap = {"OS_BOOTSTRAP_PASSWORD": PASSWORD, "OS_BOOTSTRAP_INTERNAL_URL": "http://127.0.0.1:1/v3"}
    for words in (["db_sync"], ["fernet_setup", *me], ["credential_setup", *me], ["bootstrap"]):
        _run([manage, "--config-file", str(config), *words], **bootstrap)
    with serve(folder) as keystone:
        yield keystone


@contextlib.contextmanager
def serve(folder: Path, *, expiration: int = 3600, tls: tuple[Path, Path, Path] | None = None) -> Iterator[Keystone]:
    """A server of the Keystone in ``folder``; there may be several.

    :param expiration: life of its tokens, seconds
    :param tls: files of the authority's certificate, the server's, and its key
    """
    unique = uuid.uuid4().hex[:8]
    port_file = folder / f"port-{unique}"
    # Isolated: the script's own folder holds a keystone.py that is not Keystone.
    command = [str(VENV / "bin" / "python"), "-I", str(HERE / "keystone_server.py"), str(port_file)]
    with (folder / f"server-{unique}.out").open("wb") as output:
        process = subprocess.Popen(
            [*command, *map(str, tls[1:])] if tls else command,
            env={**os.environ, **KEEP_COMPILED, "OS_KEYSTONE_CONFIG_FILES": str(_configure(folder, expiration))},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + 60
        while not port_file.exists():
            assert process.poll() is None and time.monotonic() < end, Path(output.name).read_text()[-3000:]
            time.sleep(0.05)
        yield Keystone(folder, process, int(port_file.read_text()), tls[0] if tls else None)
    finally:
        process.kill()
        process.wait()


def _configure(folder: Path, expiration: int) -> Path:
    path = folder / f"keystone-{expiration}.conf"
    path.write_text(CONFIG.format(folder=folder, expiration=expiration))
    return path
