"""Parameters in a body of multipart/form-data."""

import urllib.parse
from collections.abc import Mapping

import pytest
import webob

from nova_api import errors, limits
from nova_api.ec2 import multipart
from nova_api.testing import Cloud
from tests.ec2.conftest import ESSEX, plain, texts

TYPE = 'multipart/form-data; boundary="a b"'


def form(fields: Mapping[str, str], boundary: str = "a b", extra: bytes = b"") -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    return b"".join(parts) + extra + f"--{boundary}--\r\n".encode()


def read(body: bytes, content_type: str = TYPE) -> list[tuple[str, str]]:
    return list(multipart.pairs(content_type, body))


def test_a_signed_form_is_carried_out(cloud: Cloud) -> None:
    params = {"GroupName": "web", "GroupDescription": "für den Verkehr\r\nvon außen"}
    query = cloud.signed_query("CreateSecurityGroup", params, user="alice", version=ESSEX, method="POST")
    upload = b'--a b\r\nContent-Disposition: form-data; name="File"; filename="x"\r\n\r\n\xff\x00\r\n'
    body = form(dict(urllib.parse.parse_qsl(query)), extra=upload)
    request = webob.Request.blank("/services/Cloud/", method="POST", body=body, base_url="http://localhost")
    request.headers["Content-Type"] = TYPE
    answer = request.get_response(cloud.app("ec2"))
    assert answer.status_int == 200, answer.text
    assert texts(plain(answer), ".//groupName") == ["web"]


def test_values_are_those_that_were_sent() -> None:
    fields = {"a.1": "", "b": "x--a b", "é": "ü\r\n\r\n--a", "c": " x "}
    assert read(form(fields)) == list(fields.items())


def test_what_is_no_parameter_is_left_out() -> None:
    files = (
        b'--a b\r\nContent-Disposition: form-data; name="f"; filename=""\r\n\r\n\xff\r\n'
        b"--a b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a b\r\n\r\ny\r\n"
    )
    assert read(form({"a": "1"}, extra=files)) == [("a", "1")]


def test_the_preamble_and_what_follows_are_no_parameters() -> None:
    assert read(b"words\r\n" + form({"a": "1"}) + form({"b": "2"})) == [("a", "1")]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", form({"a": "1"})),
        (TYPE, form({"a": "1"})[:-8]),
        (TYPE, b""),
        (TYPE, b'--a b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--a b--'),
        (TYPE, b'--a b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--a b--'),
        (TYPE, b"\r\n--a b" * (limits.MAX_PARAMETERS + 2)),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(errors.MalformedQueryString):
        read(body, content_type)


def test_the_refusal_is_ec2_xml(cloud: Cloud) -> None:
    request = webob.Request.blank("/services/Cloud/", method="POST", body=b"x")
    request.headers["Content-Type"] = TYPE
    answer = request.get_response(cloud.app("ec2"))
    assert (answer.status_int, b"<Code>MalformedQueryString</Code>" in answer.body) == (400, True)
