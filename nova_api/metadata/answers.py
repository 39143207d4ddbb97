"""Plain text answers, the only kind that this door gives."""

from collections.abc import Callable, Iterable
from typing import Any

StartResponse = Callable[..., Any]

_NOT_FOUND = b"404 Not Found\n\nThe resource could not be found.\n\n   "
_FAILED = b"An unknown error has occurred. Please try your request again."
_UNAVAILABLE = b"The service is unavailable. Please try your request again."


def text(
    start_response: StartResponse, body: bytes, content_type: str = "text/plain; charset=UTF-8"
) -> Iterable[bytes]:
    """200 with a body."""
    return _answer(start_response, "200 OK", body, content_type)


def not_found(start_response: StartResponse) -> Iterable[bytes]:
    """404 in the words of 2012.1 (spec ec2.md 2.1)."""
    return _answer(start_response, "404 Not Found", _NOT_FOUND)


def failed(start_response: StartResponse) -> Iterable[bytes]:
    """500; the detail is in the log."""
    return _answer(start_response, "500 Internal Server Error", _FAILED)


def unavailable(start_response: StartResponse) -> Iterable[bytes]:
    """503: the datastore does not answer."""
    return _answer(start_response, "503 Service Unavailable", _UNAVAILABLE)


def _answer(
    start_response: StartResponse, status: str, body: bytes, content_type: str = "text/plain; charset=UTF-8"
) -> Iterable[bytes]:
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]
