"""Test WSGI basics and provide some helper functions for other WSGI tests."""

import unittest
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest
import routes
import webob
import webob.dec
import webob.exc
from lxml import etree

from nova_api import wsgi as base
from nova_api.context import RequestContext
from nova_api.openstack import wsgi
from nova_api.openstack.faults import CONTEXT
from nova_api.openstack.xml import Element, Template


class Test(unittest.TestCase):
    """The base types."""

    def test_debug(self) -> None:
        class Application(base.Application):
            """Dummy application to test debug."""

            def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
                start_response("200", [("X-Test", "checking")])
                return [b"Test result"]

        with redirect_stdout(StringIO()) as printed:
            application = base.Debug(Application())
            result = webob.Request.blank("/").get_response(application)
            assert result.body == b"Test result"
        assert "X-Test = checking" in printed.getvalue()
        assert "Test result" in printed.getvalue()

    def test_router(self) -> None:
        class Application(base.Application):
            """Test application to call from router."""

            def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
                start_response("200", [])
                return [b"Router result"]

        class Router(base.Router):
            """Test router."""

            def __init__(self) -> None:
                mapper = routes.Mapper()
                mapper.connect("/test", controller=Application())
                super().__init__(mapper)

        assert webob.Request.blank("/test").get_response(Router()).body == b"Router result"
        assert webob.Request.blank("/bad").get_response(Router()).body != b"Router result"
        assert webob.Request.blank("/bad").get_response(Router()).status_int == 404


class Things(wsgi.Controller):
    """A controller with a bit of everything."""

    @wsgi.serializers(xml=Template(Element("thing", select="thing", attributes=("id",))))
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        return {"thing": {"id": id}}

    def needs_body(self, req: wsgi.Request, body: Any) -> dict[str, Any]:
        return {"got": body}

    @wsgi.response(202)
    def accepted(self, req: wsgi.Request) -> None:
        return None

    def refuses(self, req: wsgi.Request) -> None:
        raise webob.exc.HTTPConflict(explanation="busy")

    @wsgi.action("paint")
    def _paint(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        return {"painted": [id, body["paint"]]}

    @wsgi.action("create")
    def _make(self, req: wsgi.Request, body: Any) -> dict[str, Any]:
        return {"made": body}


def send(
    resource: wsgi.Resource, action: str, body: bytes | None = None, headers: dict[str, str] | None = None, **args: str
) -> webob.Response:
    request = webob.Request.blank("/", method="GET" if body is None else "POST", headers=headers or {})
    if body is not None:
        request.body = body
        request.headers.setdefault("Content-Type", "application/json")
    request.environ["wsgiorg.routing_args"] = ((), {"action": action, "controller": resource, **args})
    request.environ[CONTEXT] = RequestContext("joe", "proj")
    return request.get_response(resource)


@pytest.fixture
def resource() -> wsgi.Resource:
    return wsgi.Resource(Things())


def test_a_dict_is_a_document(resource: wsgi.Resource) -> None:
    answer = send(resource, "show", id="7")
    assert (answer.status_int, answer.json) == (200, {"thing": {"id": "7"}})
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["x-compute-request-id"].startswith("req-")


def test_a_document_in_xml(resource: wsgi.Resource) -> None:
    answer = send(resource, "show", headers={"Accept": "application/vnd.openstack.compute+xml"}, id="7")
    assert answer.headers["Content-Type"] == "application/vnd.openstack.compute+xml"
    assert answer.body == b"<?xml version='1.0' encoding='UTF-8'?>\n<thing id=\"7\"/>"


def test_nothing_is_an_empty_answer(resource: wsgi.Resource) -> None:
    answer = send(resource, "accepted")
    assert (answer.status_int, answer.body) == (202, b"")


@pytest.mark.parametrize(
    ("action", "body", "content_type", "status", "message"),
    [
        ("missing", None, None, 404, "The resource could not be found."),
        ("_paint", None, None, 404, "The resource could not be found."),
        ("refuses", None, None, 409, "busy"),
        ("needs_body", b"", "application/json", 400, None),
        ("needs_body", b"{", "application/json", 400, "Malformed request body"),
        ("needs_body", b"\xff", "application/json", 400, "Malformed request body"),
        ("needs_body", b"<a", "application/xml", 400, "Malformed request body"),
        ("needs_body", b"<!DOCTYPE a><a/>", "application/xml", 400, "Malformed request body"),
        ("needs_body", b"{}", "text/plain", 400, None),
        ("needs_body", b"{}", "APPLICATION/JSON", 400, None),
        ("accepted", b"{}", "application/json", 400, None),
        ("action", b'{"fly": {}}', "application/json", 400, "There is no such action: fly"),
        ("action", b'{"paint": 1, "fly": 2}', "application/json", 400, "Malformed request body"),
        ("action", b"{}", "application/json", 400, "Malformed request body"),
        ("action", b"[]", "application/json", 400, "Malformed request body"),
        ("action", b"x", "text/plain", 400, "There is no such action: None"),
        ("action", b"<fly/>", "application/xml", 400, "There is no such action: fly"),
        ("action", b"<fly", "application/xml", 400, "Malformed request body"),
        ("delete", None, None, 404, None),
    ],
)
def test_refusals(
    resource: wsgi.Resource, action: str, body: bytes | None, content_type: str | None, status: int, message: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = send(resource, action, body, headers)
    assert answer.status_int == status, answer.text
    if message is not None:
        assert next(iter(answer.json.values()))["message"] == message


def test_actions_are_found_by_the_key_of_the_body(resource: wsgi.Resource) -> None:
    assert send(resource, "action", b'{"paint": "red"}', id="7").json == {"painted": ["7", "red"]}
    assert send(resource, "create", b'{"a": 1}').json == {"made": {"a": 1}}


def test_parameters_of_the_type_do_not_matter(resource: wsgi.Resource) -> None:
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    assert send(resource, "needs_body", b"[1]", headers).json == {"got": [1]}


def test_xml_without_a_form_of_its_own(resource: wsgi.Resource) -> None:
    body = b'<a x="1"><b>text</b><metadata><meta>m</meta></metadata></a>'
    answer = send(resource, "needs_body", body, {"Content-Type": "application/xml"})
    assert answer.json == {"got": {"a": {"x": "1", "b": "text", "metadata": ["m"]}}}


def test_the_project_of_the_url_is_the_context_s(resource: wsgi.Resource) -> None:
    answer = send(resource, "show", id="7", project_id="other")
    assert answer.json["badRequest"]["message"] == "Malformed request url"
    assert send(resource, "show", id="7", project_id="proj").status_int == 200


class Hooks(wsgi.Controller):
    """Extensions that note in which order they run."""

    def __init__(self, name: str, notes: list[str], *, ends: bool = False) -> None:
        self.name, self.notes, self.ends = name, notes, ends

    @wsgi.extends
    def show(self, req: wsgi.Request, id: str) -> Iterator[Any]:
        self.notes.append(f"{self.name} before {id}")
        answer = yield ({"ended": self.name} if self.ends else None)
        self.notes.append(f"{self.name} after")
        answer.obj["thing"][self.name] = True
        answer.attach(xml=Template(Element("thing", attributes=(self.name,))))

    @wsgi.extends(action="paint")
    def _on_paint(self, req: wsgi.Request, resp_obj: wsgi.ResponseObject, id: str, body: Any) -> None:
        resp_obj.obj["painted"].append(self.name)

    @wsgi.action("polish")
    def _polish(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        return {"polished": self.name}


def extended(resource: wsgi.Resource, *hooks: Hooks) -> wsgi.Resource:
    for one in hooks:
        resource.register_actions(one)
        resource.register_extensions(one)
    return resource


def test_extensions_run_around_the_method(resource: wsgi.Resource) -> None:
    notes: list[str] = []
    extended(resource, Hooks("a", notes), Hooks("b", notes))
    assert send(resource, "show", id="7").json == {"thing": {"id": "7", "a": True, "b": True}}
    assert notes == ["a before 7", "b before 7", "b after", "a after"]
    answer = send(resource, "show", headers={"Accept": "application/xml"}, id="7")
    assert dict(etree.fromstring(answer.body).attrib) == {"id": "7", "a": "True", "b": "True"}


def test_an_extension_may_end_a_request(resource: wsgi.Resource) -> None:
    notes: list[str] = []
    extended(resource, Hooks("a", notes), Hooks("b", notes, ends=True), Hooks("c", notes))
    assert send(resource, "show", id="7").json == {"ended": "b"}
    assert notes == ["a before 7", "b before 7"]


def test_extensions_of_actions(resource: wsgi.Resource) -> None:
    extended(resource, Hooks("a", []), Hooks("b", []))
    assert send(resource, "action", b'{"paint": 1}', id="7").json == {"painted": ["7", 1, "b", "a"]}
    assert send(resource, "action", b'{"polish": 1}', id="7").json == {"polished": "b"}


def test_actions_are_those_of_one_class_body() -> None:
    class More(Things):
        """A controller that adds one."""

        @wsgi.action("wash")
        def _wash(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
            return {"washed": id}

    assert set(More.wsgi_actions) == {"wash"}
    assert set(wsgi.Resource(More()).wsgi_actions) == {"wash", "paint", "create"}


def test_text_that_is_written_already_is_sent_as_it_is_until_somebody_looks() -> None:
    answer = wsgi.ResponseObject(text='{"a": 1}')
    answer.bind(Things.show, "json")
    assert answer.body() == b'{"a": 1}'
    answer.obj["b"] = 2
    assert answer.body() == b'{"a": 1, "b": 2}'


def test_headers_and_codes_of_an_answer() -> None:
    answer = wsgi.ResponseObject({}, code=201)
    answer["X-Thing"] = "1"
    answer.bind(Things.accepted, "json")
    assert (answer["x-thing"], answer.code) == ("1", 201)
    del answer["X-THING"]
    assert answer.headers == {}


def test_a_body_beyond_the_limit(resource: wsgi.Resource) -> None:
    answer = send(resource, "needs_body", b" " * 200_000)
    assert answer.status_int == 413
