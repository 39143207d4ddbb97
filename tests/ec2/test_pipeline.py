"""The pipeline as the shipped Paste file puts it together, and each class by itself."""

import configparser
import json
from pathlib import Path
from typing import Any

import pytest
import webob
import webob.dec
import webob.exc
from lxml import etree

from nova_api import ec2, errors
from nova_api.auth.counters import LocalCounters
from nova_api.config import Config
from nova_api.ec2.cloud import ACTIONS, CloudController, validate_ec2_id
from nova_api.testing import Cloud
from nova_api.testing import cloud as running
from tests.ec2.conftest import ESSEX, MODERN, WORLD, ask, refuse, send

PASTE = Path(__file__).parent.parent.parent / "etc" / "api-paste.ini"
DOCUMENTED = "ec2faultwrap logrequest ec2lockout {} cloudrequest authorizer validator ec2executor"


def pipelines() -> dict[str, str]:
    parser = configparser.ConfigParser()
    parser.read(PASTE)
    return dict(parser["composite:ec2cloud"])


@pytest.mark.parametrize(
    ("strategy", "layer"), [("local", "authenticate"), ("deprecated", "authenticate"), ("keystone", "ec2keystoneauth")]
)
def test_lockout_and_authorizer_are_in_the_shipped_pipelines(strategy: str, layer: str) -> None:
    assert pipelines()[strategy] == DOCUMENTED.format(layer)


def test_the_names_of_the_documentation_are_there() -> None:
    for name in ec2.__all__:
        assert callable(getattr(ec2, name))
    for action in ACTIONS.values():
        assert callable(getattr(CloudController, action.method)), action
    assert len([a for a in ACTIONS.values() if a.method != "create_tags"]) >= 41


@webob.dec.wsgify
def forbid_on_demand(req: webob.Request) -> Any:
    if "die" in req.params:
        raise webob.exc.HTTPForbidden()
    return "OK"


class TestLockout:
    """As 2012's own tests had it: an application below that knows nothing of this project."""

    @pytest.fixture
    def clock(self) -> list[float]:
        return [1000.0]

    @pytest.fixture
    def lockout(self, clock: list[float]) -> ec2.Lockout:
        return ec2.Lockout(forbid_on_demand, LocalCounters(lambda: clock[0]), Config())

    def fail(self, lockout: ec2.Lockout, key: str, times: int = 1) -> None:
        for _ in range(times):
            request = webob.Request.blank(f"/?AWSAccessKeyId={key}&die=1")
            assert request.get_response(lockout).status_int == 403

    def locked(self, lockout: ec2.Lockout, key: str) -> bool:
        answer = webob.Request.blank(f"/?AWSAccessKeyId={key}").get_response(lockout)
        return bool(answer.status_int == 403)

    def test_five_failures_lock(self, lockout: ec2.Lockout) -> None:
        self.fail(lockout, "test", 5)
        assert self.locked(lockout, "test")
        assert not self.locked(lockout, "other")

    def test_four_do_not(self, lockout: ec2.Lockout) -> None:
        self.fail(lockout, "test", 4)
        assert not self.locked(lockout, "test")

    def test_the_lock_ends(self, lockout: ec2.Lockout, clock: list[float]) -> None:
        self.fail(lockout, "test", 5)
        clock[0] += 15 * 60 - 1
        assert self.locked(lockout, "test")
        clock[0] += 2
        assert not self.locked(lockout, "test")

    def test_the_window_ends(self, lockout: ec2.Lockout, clock: list[float]) -> None:
        self.fail(lockout, "test", 4)
        clock[0] += 15 * 60 + 1
        self.fail(lockout, "test", 4)
        assert not self.locked(lockout, "test")

    def test_a_project_suffix_is_no_way_out(self, lockout: ec2.Lockout) -> None:
        for suffix in ("", ":a", ":b", ":c", ":d"):
            self.fail(lockout, "test" + suffix)
        assert self.locked(lockout, "test:e")

    @pytest.mark.parametrize("hostile", ["", "a b", "x" * 500, "a%0D%0Aset+k+0+0+1", "%C3%A9"])
    def test_any_access_key_is_countable(self, lockout: ec2.Lockout, hostile: str) -> None:
        self.fail(lockout, hostile, 3)


def test_wrong_signatures_lock_in_both_dialects(cloud: Cloud) -> None:
    secret = cloud.description["users"]["bob"]["secret"]
    cloud.description["users"]["bob"]["secret"] = "wrong"
    for version, status in ((ESSEX, 403), (MODERN, 401), (ESSEX, 403), (MODERN, 401), (ESSEX, 403)):
        assert refuse(cloud, "DescribeRegions", version, "bob", "globex")[:2] == (status, "AuthFailure")
    cloud.description["users"]["bob"]["secret"] = secret
    status, _, message = refuse(cloud, "DescribeRegions", MODERN, "bob", "globex")
    assert (status, message) == (403, "Too many failed authentications.")
    ask(cloud, "DescribeRegions")


def test_one_dialect_for_everybody(tmp_path: Path) -> None:
    # Lockout is the first that reads a request.
    with running(tmp_path / "state", json.loads(WORLD.read_text()), ec2_dialect="essex") as cloud:
        assert refuse(cloud, "DescribeImages", MODERN, ImageId__1="ami-0000ffff")[:2] == (400, "ImageNotFound")


def test_a_request_refused_for_its_form_is_not_counted(cloud: Cloud) -> None:
    app = cloud.app("ec2")
    access = cloud.description["users"]["alice"]["access"]
    for _ in range(10):
        answer = webob.Request.blank(f"/services/Cloud/?AWSAccessKeyId={access}&Action=X").get_response(app)
        assert answer.status_int == 400
    ask(cloud, "DescribeRegions")


def test_revocation_is_effective_at_once(cloud: Cloud) -> None:
    ask(cloud, "DescribeRegions", user="bob", project="globex")
    cloud.runtime.identity.revoke_key(cloud.description["users"]["bob"]["access"])
    assert refuse(cloud, "DescribeRegions", user="bob", project="globex")[1] == "AuthFailure"


@pytest.mark.parametrize(
    ("action", "version", "status", "code"),
    [
        ("RunInstances", ESSEX, 401, "UnauthorizedOperation"),
        ("RunInstances", MODERN, 403, "UnauthorizedOperation"),
        ("NoSuchAction", ESSEX, 401, "UnauthorizedOperation"),
        ("AllocateAddress", MODERN, 403, "UnauthorizedOperation"),
    ],
)
def test_roles_decide_before_any_argument(cloud: Cloud, action: str, version: str, status: int, code: str) -> None:
    assert refuse(cloud, action, version, "carol", "acme", ImageId="]]>", MinCount="x")[:2] == (status, code)


@pytest.mark.parametrize(("version", "code"), [(ESSEX, "InvalidRequest"), (MODERN, "InvalidAction")])
@pytest.mark.parametrize("action", ["NoSuchAction", "__init__", "runtime", "describe_regions", "actions"])
def test_administrators_reach_the_table_and_nothing_else(cloud: Cloud, version: str, code: str, action: str) -> None:
    assert refuse(cloud, action, version, "admin", "adminproj")[:2] == (400, code)


def test_a_defect_is_answered_without_detail(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(CloudController, "describe_regions", broken)
    status, code, message = refuse(cloud, "DescribeRegions")
    assert (status, code) == (500, "InternalError")
    assert "detail" not in message


def test_what_escapes_every_layer_is_ec2_xml() -> None:
    def broken(environ: Any, start_response: Any) -> Any:
        raise RuntimeError("secret detail")

    answer = webob.Request.blank("/?AWSAccessKeyId=k").get_response(ec2.FaultWrapper(broken))
    assert answer.status_int == 500
    assert etree.fromstring(answer.body).findtext("Errors/Error/Code") == "500"
    assert b"detail" not in answer.body


def test_a_raised_refusal_is_answered_in_the_dialect() -> None:
    def refusing(environ: Any, start_response: Any) -> Any:
        raise errors.VolumeNotFound("vol-1")

    for version, code in ((ESSEX, "VolumeNotFound"), (MODERN, "InvalidVolume.NotFound")):
        answer = webob.Request.blank(f"/?Version={version}").get_response(ec2.FaultWrapper(refusing))
        assert etree.fromstring(answer.body).findtext("Errors/Error/Code") == code


def test_ec2_error_escapes() -> None:
    request = webob.Request.blank("/")
    answer = ec2.ec2_error(request, "req-1", "Code", "a<b>&\x00")
    assert answer.status_int == 400
    assert etree.fromstring(answer.body).findtext("Errors/Error/Message") == "a<b>&"


def test_key_material_is_not_stored_on_its_way(cloud: Cloud) -> None:
    answer = send(cloud, "CreateKeyPair", MODERN, "alice", "acme", KeyName="k")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("value", ["i-0000002a", "vol-1", "abc"])
def test_validate_ec2_id_accepts(value: str) -> None:
    validate_ec2_id(value)
    assert ec2.Validator.validate_ec2_id(value)


@pytest.mark.parametrize("value", ["i-", "i-zz", "", None, 5, "i-\u0661"])
def test_validate_ec2_id_refuses(value: Any) -> None:
    with pytest.raises(errors.InvalidInstanceIDMalformed):
        validate_ec2_id(value)
    assert not ec2.Validator.validate_ec2_id(value)


def test_the_log_line_has_no_secret(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="nova.api.ec2"):
        refuse(cloud, "RunInstances", ImageId="ami-0fffffff", UserData="c2VjcmV0", KeyName="a\nb")
    text = caplog.text
    assert "CloudController:RunInstances 400" in text
    assert "c2VjcmV0" not in text
    assert cloud.description["users"]["alice"]["access"] not in text
    assert "a\nb" not in text
