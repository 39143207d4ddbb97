"""Bodies of requests, as different servers hand them over; layers around an application."""

import io
from typing import Any

import pytest
import webob

from nova_api import errors, limits
from nova_api.wsgi import Middleware, Request, read_body


class Endless(io.RawIOBase):
    """An input that goes on for ever: nobody may read it to its end."""

    def __init__(self) -> None:
        self.taken = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and size >= 0, "read to the end"
        self.taken += size
        return b"x" * size


class Broken(io.RawIOBase):
    """An input whose server has an exception of its own."""

    def read(self, size: int | None = -1) -> bytes:
        raise LookupError("chunk size")


def environ(stream: Any = None, **more: Any) -> dict[str, Any]:
    return {"REQUEST_METHOD": "POST", "wsgi.input": stream or Endless(), **more}


CHUNKED = {"HTTP_TRANSFER_ENCODING": "Chunked"}


@pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "0"}])
def test_no_length_is_no_body(length: dict[str, str]) -> None:
    stream = Endless()
    assert read_body(environ(stream, **length)) == b""
    assert stream.taken == 0


def test_no_more_is_read_than_was_said() -> None:
    stream = Endless()
    assert read_body(environ(stream, CONTENT_LENGTH="5")) == b"xxxxx"
    assert stream.taken == 5


def test_a_chunked_body_ends_where_the_server_says() -> None:
    terminated = {**CHUNKED, "wsgi.input_terminated": True}
    assert read_body(environ(io.BytesIO(b"abc"), **terminated)) == b"abc"
    with pytest.raises(errors.RequestTooLarge):
        read_body(environ(**terminated))
    with pytest.raises(errors.LengthRequired):
        read_body(environ(**CHUNKED))
    with pytest.raises(errors.LengthRequired):
        read_body(environ(**CHUNKED, **{"wsgi.input_terminated": False}))


def test_too_long_is_not_read_at_all() -> None:
    stream = Endless()
    with pytest.raises(errors.RequestTooLarge):
        read_body(environ(stream, CONTENT_LENGTH=str(limits.MAX_BODY_BYTES + 1)))
    assert stream.taken == 0


@pytest.mark.parametrize("length", ["-1", "+5", "5 ", "0x5", "5_0", "\u0665", "9" * 40, "5,5"])
def test_lengths_that_are_none(length: str) -> None:
    with pytest.raises(errors.InvalidParameterValue):
        read_body(environ(CONTENT_LENGTH=length))


def test_bodies_that_break_off() -> None:
    with pytest.raises(errors.MalformedQueryString):
        read_body(environ(io.BytesIO(b"ab"), CONTENT_LENGTH="5"))
    with pytest.raises(errors.MalformedQueryString):
        read_body(environ(Broken(), CONTENT_LENGTH="5"))


class Stamp(Middleware):
    """A layer of an operator's, as 2012.1 let them be written."""

    def __init__(self, application: Any, mark: str = "seen") -> None:
        super().__init__(application)
        self.mark = mark

    def process_request(self, request: Request) -> webob.Response | None:
        return webob.Response(status=403) if request.path == "/closed" else None

    def process_response(self, response: webob.Response) -> webob.Response:
        response.headers["X-Mark"] = self.mark
        return response


def test_a_layer_answers_itself_or_filters_the_answer_from_below() -> None:
    layer = Stamp.factory({}, mark="m")(webob.Response(text="below"))
    passed = webob.Request.blank("/open").get_response(layer)
    assert (passed.status_int, passed.text, passed.headers["X-Mark"]) == (200, "below", "m")
    own = webob.Request.blank("/closed").get_response(layer)
    assert (own.status_int, "X-Mark" in own.headers) == (403, False)


def test_a_layer_that_filters_nothing_passes_the_answer_through() -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("299 Odd", [])
        return answer

    answer = [b"as it is"]
    assert Middleware(application)({"REQUEST_METHOD": "GET"}, lambda *_: None) is answer
