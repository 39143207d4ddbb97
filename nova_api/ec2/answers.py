"""Answers of the EC2 door."""

from collections.abc import Iterable
from http import HTTPStatus

from nova_api import errors
from nova_api.ec2 import xml
from nova_api.ec2.dialect import Dialect
from nova_api.wsgi import StartResponse

_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_TYPE = ("Content-Type", "text/xml")


def send(start_response: StartResponse, status: int, body: bytes, *, secret: bool = False) -> Iterable[bytes]:
    """Answer with XML.

    :param secret: the body holds a secret and must not be kept anywhere on its way
    """
    headers = [_TYPE, ("Content-Length", str(len(body)))]
    if secret:
        headers.append(("Cache-Control", "no-store"))
    start_response(_LINES[status], headers)
    return [body]


def refuse(start_response: StartResponse, error: errors.ApiError, dialect: Dialect, request_id: str) -> Iterable[bytes]:
    """Answer with an error in the words of the dialect."""
    body = xml.render_error(dialect.code(error), error.message, request_id)
    return send(start_response, dialect.status(error), body)
