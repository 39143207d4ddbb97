"""Faults: refusals as documents in JSON and XML (spec openstack-core.md 2)."""

import json
import unittest

import pytest
import webob
import webob.dec
import webob.exc
from lxml import etree

from nova_api import errors
from nova_api.context import RequestContext
from nova_api.openstack import FaultWrapper
from nova_api.openstack.faults import CONTEXT, NAMES, TEXTS, Fault, OverLimitFault, of_error
from nova_api.wsgi import Request

COMPUTE = "http://docs.openstack.org/compute/api/v1.1"


class FaultsXMLSerializationTestV11(unittest.TestCase):
    """Tests covering nova.api.openstack.faults:Fault class."""

    @staticmethod
    def xml_of(fault: Fault) -> bytes:
        return webob.Request.blank("/", headers={"Accept": "application/xml"}).get_response(fault).body

    def test_400_fault(self) -> None:
        fault = Fault(webob.exc.HTTPBadRequest(explanation="scram"))
        expected = f'<badRequest xmlns="{COMPUTE}" code="400"><message>scram</message></badRequest>'
        assert self.xml_of(fault).decode() == expected

    def test_413_fault(self) -> None:
        fault = Fault(webob.exc.HTTPRequestEntityTooLarge(explanation="sorry", headers={"Retry-After": "4"}))
        expected = (
            f'<overLimit xmlns="{COMPUTE}" code="413"><message>sorry</message><retryAfter>4</retryAfter></overLimit>'
        )
        assert self.xml_of(fault).decode() == expected

    def test_404_fault(self) -> None:
        fault = Fault(webob.exc.HTTPNotFound(explanation="scram"))
        expected = f'<itemNotFound xmlns="{COMPUTE}" code="404"><message>scram</message></itemNotFound>'
        assert self.xml_of(fault).decode() == expected


WAYS_TO_JSON = [
    webob.Request.blank("/.json"),
    webob.Request.blank("/", headers={"Accept": "application/json"}),
]


class TestFaults:
    """Tests covering nova.api.openstack.faults:Fault class."""

    @pytest.mark.parametrize("request_", WAYS_TO_JSON)
    def test_400_fault_json(self, request_: webob.Request) -> None:
        """Test fault serialized to JSON via file-extension and/or header."""
        answer = request_.copy().get_response(Fault(webob.exc.HTTPBadRequest(explanation="scram")))
        assert answer.content_type == "application/json"
        assert answer.json == {"badRequest": {"message": "scram", "code": 400}}

    @pytest.mark.parametrize("request_", WAYS_TO_JSON)
    def test_413_fault_json(self, request_: webob.Request) -> None:
        """Test fault serialized to JSON via file-extension and/or header."""
        fault = Fault(webob.exc.HTTPRequestEntityTooLarge(explanation="sorry", headers={"Retry-After": "4"}))
        answer = request_.copy().get_response(fault)
        assert answer.content_type == "application/json"
        assert answer.headers["Retry-After"] == "4"
        assert answer.json == {"overLimit": {"message": "sorry", "code": 413, "retryAfter": 4}}

    def test_raise(self) -> None:
        """Ensure the ability to raise Fault in WSGI-ified methods."""

        @webob.dec.wsgify(RequestClass=Request)
        def raiser(req: Request) -> None:
            raise Fault(webob.exc.HTTPNotFound(explanation="whut?"))

        answer = webob.Request.blank("/.xml").get_response(raiser)
        assert answer.content_type == "application/xml"
        assert answer.status_int == 404
        assert "whut?" in answer.text

    def test_raise_403(self) -> None:
        """Ensure the ability to raise Fault in WSGI-ified methods."""

        @webob.dec.wsgify(RequestClass=Request)
        def raiser(req: Request) -> None:
            raise Fault(webob.exc.HTTPForbidden(explanation="whut?"))

        answer = webob.Request.blank("/.xml").get_response(raiser)
        assert answer.content_type == "application/xml"
        assert answer.status_int == 403
        assert "resizeNotAllowed" not in answer.text
        assert "forbidden" in answer.text

    def test_fault_has_status_int(self) -> None:
        """Ensure the status_int is set correctly on faults."""
        assert Fault(webob.exc.HTTPBadRequest(explanation="what?")).status_int == 400

    def test_xml_serializer(self) -> None:
        """Ensure that a v1.1 request responds with a v1.1 xmlns."""
        request = webob.Request.blank("/v1.1", headers={"Accept": "application/xml"})
        answer = request.get_response(Fault(webob.exc.HTTPBadRequest(explanation="scram")))
        assert COMPUTE in answer.text
        assert answer.content_type == "application/xml"


STATUSES = [*NAMES, 422, 500]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("accept", ["application/json", "application/vnd.openstack.compute+json", "text/html", ""])
def test_every_status_in_json(status: int, accept: str) -> None:
    fault = Fault(webob.exc.status_map[status](explanation="why"))
    answer = webob.Request.blank("/", headers={"Accept": accept}).get_response(fault)
    assert answer.status_int == status
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert answer.json == {NAMES.get(status, "computeFault"): {"message": "why", "code": status}}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("kind", ["application/xml", "application/vnd.openstack.compute+xml"])
def test_every_status_in_xml(status: int, kind: str) -> None:
    request = webob.Request.blank("/")
    request.environ["nova.best_content_type"] = kind
    answer = request.get_response(Fault(webob.exc.status_map[status](explanation="a < b")))
    assert answer.headers["Content-Type"] == "application/xml; charset=UTF-8"
    root = etree.fromstring(answer.body)
    assert (etree.QName(root).localname, root.get("code")) == (NAMES.get(status, "computeFault"), str(status))
    assert root.findtext(f"{{{COMPUTE}}}message") == "a < b"


@pytest.mark.parametrize("status", [400, 401, 404, 405, 422, 500, 501])
def test_stock_texts(status: int) -> None:
    answer = webob.Request.blank("/").get_response(Fault(webob.exc.status_map[status]()))
    assert next(iter(answer.json.values()))["message"] == TEXTS[status]


def test_a_positional_text_is_a_detail_that_is_not_shown() -> None:
    answer = webob.Request.blank("/").get_response(Fault(webob.exc.HTTPConflict("inner workings")))
    assert answer.json["conflictingRequest"]["message"] == TEXTS[409]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (errors.InstanceNotFound("secret-id"), 404, TEXTS[404]),
        (errors.ImageNotFound("x"), 404, "Image x could not be found."),
        (errors.InstanceLimitExceeded(), 413, "Quota exceeded: code=InstanceLimitExceeded"),
        (
            errors.ServerState("reboot", "vm_state", "error", "uuid"),
            409,
            "Cannot 'reboot' while instance is in vm_state error",
        ),
        (errors.PolicyNotAuthorized("compute:x"), 403, "Policy doesn't allow compute:x to be performed."),
        (errors.InvalidParameterValue("no"), 400, "no"),
    ],
)
def test_what_the_cloud_refuses(error: errors.ApiError, status: int, message: str) -> None:
    answer = webob.Request.blank("/").get_response(of_error(error))
    ((_, fault),) = answer.json.items()
    assert (answer.status_int, fault["message"]) == (status, message)
    assert answer.headers.get("Retry-After") == ("0" if status == 413 else None)


def test_over_limit() -> None:
    fault = OverLimitFault("This request was rate-limited.", "Only 1", 7)
    answer = webob.Request.blank("/").get_response(fault)
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert answer.headers["Retry-After"] == "7"
    shown = {"message": "This request was rate-limited.", "code": 413, "details": "Only 1"}
    assert answer.json == {"overLimitFault": shown}
    xml = webob.Request.blank("/.xml").get_response(fault)
    assert etree.fromstring(xml.body).findtext(f"{{{COMPUTE}}}details") == "Only 1"


def test_the_wrapper_tells_nothing_of_a_defect() -> None:
    @webob.dec.wsgify
    def broken(req: webob.Request) -> None:
        raise RuntimeError("password is tuna")

    request = webob.Request.blank("/")
    context = request.environ[CONTEXT] = RequestContext("joe", "proj")
    answer = request.get_response(FaultWrapper(broken))
    assert answer.status_int == 500
    assert json.loads(answer.body) == {"computeFault": {"message": TEXTS[500], "code": 500}}
    assert answer.headers["X-Compute-Request-Id"] == context.request_id


def test_the_wrapper_renders_what_is_raised() -> None:
    @webob.dec.wsgify
    def refusing(req: webob.Request) -> None:
        raise errors.ProjectNotFound("p")

    answer = webob.Request.blank("/").get_response(FaultWrapper(refusing))
    assert answer.json["itemNotFound"]["message"] == "Project p could not be found."
