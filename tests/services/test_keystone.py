"""Both doors behind a real Keystone: EC2 signatures, tokens, outages, TLS."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import signal
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from lxml import etree

from nova_api import errors
from nova_api.auth import keystone as client_module
from nova_api.auth.keystone import KeystoneClient, ServiceUser
from nova_api.auth.keystone_http import KeystoneHttp
from nova_api.auth.signatures import SignaturePolicy, SignedRequest, parse_claim
from tests.servers import RunningCloud, running_cloud
from tests.services.certificates import Authority
from tests.services.keystone import PASSWORD, Keystone, new_keystone, serve
from tests.wire.conftest import quote

pytestmark = [pytest.mark.xdist_group("keystone"), pytest.mark.slow]

MODERN, ESSEX = "2016-11-15", "2010-08-31"
SERVICE = ServiceUser(user="nova", password=PASSWORD)


@pytest.fixture(scope="module")
def keystone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    with new_keystone(tmp_path_factory.mktemp("keystone")) as running:
        running.add_user("nova", "service", "service")
        running.add_user("alice", "acme", "member")
        running.add_user("bob", "globex", "member")
        running.announce(running.url)
        yield running


def options(keystone: Keystone, *more: str) -> list[str]:
    """What nova-api is told of a Keystone."""
    settings = [
        "auth_strategy=keystone",
        f"keystone_ec2_url={keystone.url}/ec2tokens",
        "keystone_user=nova",
        f"keystone_password={PASSWORD}",
        "keystone_timeout=30",
        "ec2_role_aliases=member=sysadmin,member=netadmin",
        "simulated_immediate=true",
        *more,
    ]
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture(scope="module")
def cloud(keystone: Keystone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    with running_cloud(tmp_path_factory.mktemp("nova"), *options(keystone)) as running:
        keystone.add_endpoint("compute", f"http://127.0.0.1:{running.port('compute_v1.1')}/v2/$(project_id)s")
        yield running


@pytest.fixture
def alice(keystone: Keystone) -> tuple[str, str]:
    """An access key of this test's own, so that no other test locks it, and its secret."""
    return keystone.ec2_credentials("alice", "acme")


Answer = tuple[int, dict[str, str], bytes]


def fetch(
    port: int, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


# -- EC2


def ec2(cloud: RunningCloud, access: str, secret: str) -> Any:
    return boto3.client(
        "ec2",
        endpoint_url=cloud.cloud["endpoints"]["ec2"],
        region_name="nova",
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def v2(port: int, access: str, secret: str, *, version: str = MODERN, age: int = 0, method: str = "HmacSHA256") -> str:
    """A query with a signature of version 2.

    :param age: of the time stamp, seconds
    """
    stamp = datetime.now(UTC) - timedelta(seconds=age)
    pairs = {
        "Action": "DescribeRegions",
        "AWSAccessKeyId": access,
        "SignatureMethod": method,
        "SignatureVersion": "2",
        "Timestamp": stamp.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Version": version,
    }
    query = "&".join(f"{name}={quote(value)}" for name, value in sorted(pairs.items()))
    text = f"GET\n127.0.0.1:{port}\n/services/Cloud/\n{query}"
    digest = hmac.new(secret.encode(), text.encode(), getattr(hashlib, method[4:].lower())).digest()
    return f"/services/Cloud/?{query}&Signature={quote(base64.b64encode(digest))}"


def v4(port: int, access: str, secret: str, method: str, query: str = "", body: str = "") -> AWSRequest:
    """A request with a signature of version 4 in its header."""
    url = f"http://127.0.0.1:{port}/services/Cloud/" + (f"?{query}" if query else "")
    form = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    request = AWSRequest(method, url, headers=form, data=body or None)
    SigV4Auth(Credentials(access, secret), "ec2", "nova").add_auth(request)
    return request


def send(port: int, request: AWSRequest, added: str = "") -> Answer:
    parts = urllib.parse.urlsplit(request.url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    body = request.body if isinstance(request.body, bytes | None) else request.body.encode()
    return fetch(port, request.method, path + added, dict(request.headers.items()), body)


def test_boto3_end_to_end(keystone: Keystone, cloud: RunningCloud, alice: tuple[str, str]) -> None:
    client = ec2(cloud, *alice)
    image = client.describe_images()["Images"][0]["ImageId"]
    (made,) = client.run_instances(ImageId=image, InstanceType="m1.tiny", MinCount=1, MaxCount=1)["Instances"]
    reservation = client.describe_instances(InstanceIds=[made["InstanceId"]])["Reservations"][0]
    assert reservation["OwnerId"] == keystone.ids["acme"]
    bob = ec2(cloud, *keystone.ec2_credentials("bob", "globex"))
    assert bob.describe_instances()["Reservations"] == []
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidInstanceID.NotFound"):
        bob.terminate_instances(InstanceIds=[made["InstanceId"]])
    client.terminate_instances(InstanceIds=[made["InstanceId"]])


def test_every_way_to_sign(cloud: RunningCloud, alice: tuple[str, str]) -> None:
    port = cloud.port("ec2")
    question = f"Action=DescribeRegions&Version={MODERN}"
    assert fetch(port, "GET", v2(port, *alice))[0] == 200
    assert send(port, v4(port, *alice, "GET", question))[0] == 200
    assert send(port, v4(port, *alice, "POST", body=question))[0] == 200
    presigned = AWSRequest("GET", f"http://127.0.0.1:{port}/services/Cloud/?{question}")
    SigV4QueryAuth(Credentials(*alice), "ec2", "nova", expires=60).add_auth(presigned)
    assert send(port, presigned)[0] == 200


def test_what_keystone_does_not_verify_is_refused(cloud: RunningCloud, alice: tuple[str, str]) -> None:
    """It leaves the query string of a POST out of a signature of version 4: whoever caught one could add to it."""
    port = cloud.port("ec2")
    request = v4(port, *alice, "POST", body=f"Action=DescribeRegions&Version={MODERN}")
    assert send(port, request)[0] == 200
    status, _, body = send(port, request, "?Filter.1.Name=region-name")
    assert (status, b"InvalidParameterCombination" in body) == (400, True)


@pytest.mark.parametrize("added", ["&MaxResults=5", "&SignatureVersion=0", "&SignatureVersion=2", "&Signature=x"])
def test_a_signature_is_for_one_request(cloud: RunningCloud, alice: tuple[str, str], added: str) -> None:
    """That Keystone has said yes to a request a moment ago is no answer for one that differs."""
    port = cloud.port("ec2")
    request = v4(port, *alice, "GET", f"Action=DescribeRegions&Version={MODERN}")
    assert send(port, request)[0] == 200
    assert send(port, request, added)[0] in (400, 401)
    path = v2(port, *alice)
    assert fetch(port, "GET", path)[0] == 200
    assert fetch(port, "GET", path + added)[0] in (400, 401)
    assert fetch(port, "GET", path.replace("DescribeRegions", "DescribeImages"))[0] == 401


def test_a_time_stamp_out_of_the_window(cloud: RunningCloud, alice: tuple[str, str]) -> None:
    port = cloud.port("ec2")
    assert fetch(port, "GET", v2(port, *alice, age=3600))[0] in (400, 401)
    # Keystone itself has no objection to times that are still to come.
    status, _, body = fetch(port, "GET", v2(port, *alice, age=-3600))
    assert (status, b"RequestExpired" in body) == (400, True)


@pytest.mark.parametrize(("version", "status", "code"), [(MODERN, 401, b"AuthFailure"), (ESSEX, 400, b"Unauthorized")])
def test_refusals_look_alike_and_lock(
    keystone: Keystone, cloud: RunningCloud, version: str, status: int, code: bytes
) -> None:
    port = cloud.port("ec2")
    access, _ = keystone.ec2_credentials("alice", "acme")
    unknown = "0" * 31 + version[0]
    for key in (access, f"nobody{version}"):
        answers = [fetch(port, "GET", v2(port, key, unknown, version=version)) for _ in range(6)]
        assert [answer[0] for answer in answers] == [status] * 5 + [403]
        assert all(b"<Code>%s</Code>" % code in answer[2] for answer in answers[:5])
        assert all(
            b"<Message>Unauthorized</Message>" in answer[2].replace(b"UNAUTHORIZED", b"Unauthorized")
            for answer in answers[:5]
        )
        assert b"Too many failed authentications." in answers[5][2]


def test_roles_reach_what_they_stand_for(keystone: Keystone, cloud: RunningCloud) -> None:
    keystone.add_user("ron", "acme", "reader")
    reader = ec2(cloud, *keystone.ec2_credentials("ron", "acme"))
    reader.describe_regions()
    with pytest.raises(botocore.exceptions.ClientError, match="UnauthorizedOperation"):
        reader.create_volume(AvailabilityZone="nova", Size=1)


# -- OpenStack


class Tenant:
    """A user of the OpenStack door, who finds it in the catalogue of a token."""

    def __init__(self, keystone: Keystone, user: str, project: str) -> None:
        self.token, said = keystone.token(user, project)
        (url,) = [e["url"] for s in said["catalog"] if s["type"] == "compute" for e in s["endpoints"]]
        parts = urllib.parse.urlsplit(url)
        self.port, self.root = int(parts.port or 0), parts.path

    def ask(self, method: str, path: str, document: Any = None, token: str | None = None) -> tuple[int, Any]:
        body = None if document is None else json.dumps(document).encode()
        headers = {"X-Auth-Token": self.token if token is None else token, "Content-Type": "application/json"}
        status, _, text = fetch(self.port, method, path, headers, body)
        return status, json.loads(text) if text else None


def test_the_walk_of_a_client(keystone: Keystone, cloud: RunningCloud) -> None:
    alice, bob = Tenant(keystone, "alice", "acme"), Tenant(keystone, "bob", "globex")
    assert alice.root == f"/v2/{keystone.ids['acme']}"
    flavors = alice.ask("GET", f"{alice.root}/flavors/detail")[1]["flavors"]
    images = alice.ask("GET", f"{alice.root}/images")[1]["images"]
    spec = {"name": "one", "flavorRef": flavors[0]["id"], "imageRef": images[0]["id"]}
    status, made = alice.ask("POST", f"{alice.root}/servers", {"server": spec})
    assert status == 202
    listed = alice.ask("GET", f"{alice.root}/servers/detail")[1]["servers"]
    mine = next(server for server in listed if server["id"] == made["server"]["id"])
    assert (mine["tenant_id"], mine["user_id"]) == (keystone.ids["acme"], keystone.ids["alice"])
    assert bob.ask("GET", f"{bob.root}/servers")[1] == {"servers": []}
    assert bob.ask("GET", f"{bob.root}/servers/{mine['id']}")[0] == 404
    assert bob.ask("GET", f"{alice.root}/servers")[0] == 400  # Malformed request url
    assert bob.ask("DELETE", f"{alice.root}/servers/{mine['id']}")[0] == 400
    # Only the role admin of Keystone sees everybody's.
    admin = Tenant(keystone, "admin", "admin")
    assert mine["id"] in str(admin.ask("GET", f"{admin.root}/servers?all_tenants=1")[1])
    assert mine["id"] not in str(bob.ask("GET", f"{bob.root}/servers?all_tenants=1")[1])
    assert alice.ask("DELETE", f"{alice.root}/servers/{mine['id']}")[0] == 204


FORGED = {
    "X-User-Id": "alice",
    "X-Tenant-Id": "acme",
    "X-Project-Id": "acme",
    "X-Role": "admin",
    "X-Roles": "admin",
    "X-Identity-Status": "Confirmed",
}


@pytest.mark.parametrize("accept", ["application/json", "application/xml"])
@pytest.mark.parametrize("token", [None, "", "nonsense", "gAAAAA" + "x" * 180, "x" * 9000, "a/b?c=d&e"])
def test_what_is_no_token(keystone: Keystone, cloud: RunningCloud, token: str | None, accept: str) -> None:
    headers = {"Accept": accept, **FORGED, **({} if token is None else {"X-Auth-Token": token})}
    status, answered, body = fetch(cloud.port("compute_v1.1"), "GET", "/v2/acme/servers", headers)
    assert status == 401
    assert answered["content-type"].startswith(accept)
    assert answered["www-authenticate"] == f'Keystone uri="{keystone.url}"'
    code = json.loads(body)["unauthorized"]["code"] if "json" in accept else int(etree.fromstring(body).get("code"))
    assert code == 401


def test_tokens_that_are_not_for_a_project_or_no_more(keystone: Keystone, cloud: RunningCloud) -> None:
    alice = Tenant(keystone, "alice", "acme")
    unscoped, _ = keystone.token("alice", None)
    assert alice.ask("GET", f"{alice.root}/servers", token=unscoped)[0] == 401
    keystone.revoke(alice.token)
    assert alice.ask("GET", f"{alice.root}/servers")[0] == 401
    with serve(keystone.folder, expiration=2) as hasty:
        token, said = hasty.token("alice", "acme")
    while datetime.now(UTC) <= datetime.fromisoformat(said["expires_at"]):
        time.sleep(0.1)
    assert alice.ask("GET", f"{alice.root}/servers", token=token)[0] == 401


def test_versions_need_no_token(cloud: RunningCloud) -> None:
    for path in ("/", "/v2", "/v2/", "/v1.1/"):
        assert fetch(cloud.port("compute_v1.1"), "GET", path)[0] in (200, 300)


# -- Keystone away


def test_keystone_hangs_and_comes_back(keystone: Keystone, alice: tuple[str, str], tmp_path: Path) -> None:
    token, _ = keystone.token("alice", "acme")
    servers = f"/v2/{keystone.ids['acme']}/servers"
    with running_cloud(tmp_path, *options(keystone, "keystone_timeout=4")) as cloud:
        port = cloud.port("ec2")

        def openstack() -> tuple[int, bytes]:
            status, _, body = fetch(cloud.port("compute_v1.1"), "GET", servers, {"X-Auth-Token": token})
            return status, body

        keystone.process.send_signal(signal.SIGSTOP)
        try:
            paths = [v2(port, *alice, version=version) for version in (MODERN, ESSEX) * 3]
            with ThreadPoolExecutor() as pool:  # as many as would lock the key
                answers = list(pool.map(lambda path: fetch(port, "GET", path), paths))
            assert all(status == 503 and b"<Code>Unavailable</Code>" in body for status, _, body in answers), answers
            status, body = openstack()
            assert (status, json.loads(body)["serviceUnavailable"]["code"]) == (503, 503)
        finally:
            keystone.process.send_signal(signal.SIGCONT)
        keystone.admin()  # it has answered what waited in its queue
        # Nobody is locked out for it: nothing but 503 comes before 200.
        assert recovered(lambda: fetch(port, "GET", v2(port, *alice))[0]) == 200
        assert recovered(lambda: openstack()[0]) == 200


def recovered(ask: Callable[[], int], seconds: float = 120) -> int:
    """The first status other than 503; Keystone may be slow for a moment yet."""
    end = time.monotonic() + seconds
    while (status := ask()) == 503 and time.monotonic() < end:
        time.sleep(0.1)
    return status


def test_an_answer_that_drips_is_not_waited_for() -> None:
    """Each byte comes within the time-out; the whole would never end."""
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        near, _ = server.accept()
        with near, contextlib.suppress(OSError):
            near.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not over.wait(0.05):
                near.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        try:
            with pytest.raises(errors.ServiceUnavailable):
                KeystoneHttp(0.5).post(f"http://127.0.0.1:{server.getsockname()[1]}/v3/ec2tokens", {}, {})
        finally:
            over.set()
            thread.join()


def signed(access: str, secret: str) -> Any:
    """The claim of a request with a signature of version 2."""
    path = v2(1, access, secret)
    query = path.partition("?")[2]
    request = SignedRequest(
        method="GET",
        host="127.0.0.1:1",
        path="/services/Cloud/",
        query=query,
        headers={},
        body=b"",
        pairs=urllib.parse.parse_qsl(query),
    )
    return parse_claim(request, SignaturePolicy())


def test_our_own_token_is_got_anew_once_it_is_refused(
    keystone: Keystone, alice: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = KeystoneClient(f"{keystone.url}/ec2tokens", 30, service=SERVICE)
    assert client.authenticate(signed(*alice)).project_id == keystone.ids["acme"]
    assert client._tokens is not None
    first, _ = client._tokens.current()
    keystone.revoke(first)
    with pytest.raises(errors.KeystoneUnauthorized):  # just got: not asked for again so soon
        client.authenticate(signed(*alice))
    monkeypatch.setattr(client_module, "_MARGIN", -1.0)
    assert client.authenticate(signed(*alice)).project_id == keystone.ids["acme"]
    assert client._tokens.current()[0] != first


@pytest.mark.parametrize(
    "service",
    [
        ServiceUser(),
        ServiceUser(user="nova", password="wrong"),
        ServiceUser(user="bob", password=PASSWORD, project="globex"),
    ],
)
def test_a_service_user_that_may_not_ask(keystone: Keystone, alice: tuple[str, str], service: ServiceUser) -> None:
    """Keystone of today answers its services only. Without one, its refusal cannot be told from a wrong signature."""
    client = KeystoneClient(f"{keystone.url}/ec2tokens", 30, service=service)
    with pytest.raises(errors.KeystoneFailure if service.user else errors.KeystoneUnauthorized):
        client.authenticate(signed(*alice))


# -- TLS


@pytest.fixture
def secured(keystone: Keystone) -> Iterator[Keystone]:
    """The same Keystone behind TLS, with tokens that soon end."""
    authority = Authority(keystone.folder, "authority")
    with serve(keystone.folder, expiration=60, tls=(authority.file, *authority.issue("127.0.0.1"))) as running:
        keystone.announce(running.url)
        yield running
        keystone.announce(keystone.url)


def test_both_doors_over_tls(keystone: Keystone, secured: Keystone, alice: tuple[str, str], tmp_path: Path) -> None:
    with running_cloud(tmp_path, *options(secured, f"keystone_ca_file={secured.ca}")) as cloud:
        ec2(cloud, *alice).describe_regions()
        token, _ = secured.token("alice", "acme")
        path = f"/v2/{keystone.ids['acme']}/servers"
        assert fetch(cloud.port("compute_v1.1"), "GET", path, {"X-Auth-Token": token})[0] == 200


def test_a_certificate_of_somebody_else(
    keystone: Keystone, secured: Keystone, alice: tuple[str, str], tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger").file
    token, _ = secured.token("alice", "acme")
    with running_cloud(tmp_path, *options(secured, f"keystone_ca_file={stranger}")) as cloud:
        port = cloud.port("ec2")
        assert fetch(port, "GET", v2(port, *alice))[0] == 503
        path = f"/v2/{keystone.ids['acme']}/servers"
        assert fetch(cloud.port("compute_v1.1"), "GET", path, {"X-Auth-Token": token})[0] == 503
        log = cloud.log_path.read_text()
    assert "CERTIFICATE_VERIFY_FAILED" in log.upper()
    assert PASSWORD not in log and token not in log


def test_without_our_authority_and_with_another_name(keystone: Keystone, secured: Keystone, tmp_path: Path) -> None:
    for ca_file, host in (("", "127.0.0.1"), (str(secured.ca), "localhost")):
        with pytest.raises(errors.ServiceUnavailable):
            KeystoneHttp(30, ca_file).post(f"https://{host}:{secured.port}/v3/auth/tokens", {}, {})
    with pytest.raises(errors.ConfigError, match="keystone_ca_file"):
        KeystoneHttp(30, str(tmp_path / "missing.pem"))
