"""Refusals as documents: JSON or XML, by what the client accepts (spec openstack-core.md 2)."""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import webob
import webob.exc
from lxml import etree

from nova_api import errors
from nova_api.context import RequestContext, current_request_id
from nova_api.openstack.media import BEST, JSON, XML, best_match, plain
from nova_api.openstack.mounts import is_v1_0
from nova_api.openstack.xml import COMPUTE_NS, V1_0_NS, safe_text
from nova_api.wsgi import Environ, Middleware, StartResponse, WsgiApplication

log = logging.getLogger(__name__)

CONTEXT = "nova.context"

#: Names by status; every other status is a ``computeFault``.
NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    501: "notImplemented",
    503: "serviceUnavailable",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an API writes its faults.

    :ivar names: by status; other: of every other status
    :ivar namespace: in XML
    """

    names: Mapping[int, str]
    other: str
    namespace: str


V1_1 = Dialect(NAMES, "computeFault", COMPUTE_NS)
#: Spec 9.1.
V1_0 = Dialect({**NAMES, 403: "resizeNotAllowed", 409: "inProgress"}, "cloudServersFault", V1_0_NS)
#: What 2012.1 said where a refusal brought no text of its own.
TEXTS = {
    400: "The server could not comply with the request since it is either malformed or otherwise incorrect.",
    401: "This server could not verify that you are authorized to access the document you requested. Either you "
    "supplied the wrong credentials (e.g., bad password), or your browser does not understand how to supply the "
    "credentials required.",
    403: "Access was denied to this resource.",
    404: "The resource could not be found.",
    405: "The server could not comply with the request since it is either malformed or otherwise incorrect.",
    409: "There was a conflict when trying to complete your request.",
    422: "Unable to process the contained instructions",
    500: "The server has either erred or is incapable of performing the requested operation.",
    501: "The server has either erred or is incapable of performing the requested operation.",
}


class Fault(webob.exc.HTTPException):  # type: ignore[misc]  # webob carries no types
    """A webob exception as a fault document.

    :param exception: any :class:`webob.exc.HTTPException` with a status
    :ivar status_int: its status
    """

    def __init__(self, exception: Any) -> None:
        self.wrapped_exc = exception
        self.status_int = int(exception.status_int)
        webob.exc.HTTPException.__init__(self, str(exception), exception)

    def __str__(self) -> str:
        return str(explanation_of(self.wrapped_exc))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        status = self.status_int
        headers = dict(self.wrapped_exc.headers or {})
        retry = headers.get("Retry-After") if status == 413 else None
        kept = {name: value for name, value in headers.items() if name in ("Retry-After", "Location", "Allow")}
        return answer(environ, start_response, status, explanation_of(self.wrapped_exc), retry=retry, headers=kept)


class OverLimitFault(webob.exc.HTTPException):  # type: ignore[misc]  # webob carries no types
    """The rate of a user's requests is over the limit.

    :param message: what is said; 2012.1 has "This request was rate-limited."
    :param details: which limit it was
    :param retry_after: seconds until the request would be admitted
    """

    def __init__(self, message: str, details: str, retry_after: int) -> None:
        self.message, self.details, self.retry_after = message, details, max(0, retry_after)
        self.status_int = 413
        webob.exc.HTTPException.__init__(self, message, webob.exc.HTTPRequestEntityTooLarge())

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        kind = wanted(environ)
        if kind == XML:
            namespace = dialect_of(environ).namespace
            root = etree.Element(f"{{{namespace}}}overLimitFault", nsmap={None: namespace}, code="413")
            for name, text in (("message", self.message), ("details", self.details)):
                etree.SubElement(root, f"{{{namespace}}}{name}").text = safe_text(text)
            body = etree.tostring(root)
        else:
            fault = {"message": self.message, "code": 413, "details": self.details}
            body = json.dumps({"overLimitFault": fault}).encode()
        return send(start_response, 413, body, kind, {"Retry-After": str(self.retry_after)})


class FaultWrapper(Middleware):
    """Calls the middleware stack, captures any exceptions into faults.

    A refusal becomes the fault of its status; anything else is a defect: the detail goes to the log under the request
    id that the client reads.
    """

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = self._answer(environ, start_response)
        # No resource knows HEAD; not every server drops the document of its refusal.
        return () if environ.get("REQUEST_METHOD") == "HEAD" else body

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            _refuse_nul(environ)
            return self.application(environ, start_response)
        except errors.ApiError as error:
            return of_error(error)(environ, start_response)
        except webob.exc.HTTPException as error:
            application: WsgiApplication = error if isinstance(error, (Fault, OverLimitFault)) else Fault(error)
            return application(environ, start_response)
        except Exception:
            log.exception("unexpected error, %s", _request_id(environ))
            return answer(environ, start_response, 500, TEXTS[500])


def _refuse_nul(environ: Environ) -> None:
    """No database but SQLite can be asked for a text that holds NUL: nothing bears such a name.

    :raises HTTPNotFound: it stands in the path
    :raises HTTPBadRequest: it stands in the query, or in a header, where our own server lets none through
    """
    if "\x00" in environ.get("PATH_INFO", ""):
        raise webob.exc.HTTPNotFound
    if "%00" in environ.get("QUERY_STRING", ""):
        raise webob.exc.HTTPBadRequest
    if any("\x00" in value for name, value in environ.items() if name.startswith("HTTP_")):
        raise webob.exc.HTTPBadRequest


def of_error(error: errors.ApiError) -> Fault:
    """The fault that a refusal of the cloud is."""
    headers = {"Retry-After": "0"} if error.status == 413 else {}
    kind = webob.exc.status_map.get(error.status) or webob.exc.HTTPBadRequest
    # 2012.1 did not name the server that is not there.
    message = "" if isinstance(error, errors.InstanceNotFound) else error.message
    return Fault(kind(explanation=message or TEXTS.get(error.status), headers=headers))


def explanation_of(exception: Any) -> str:
    """What a webob exception says: its own text, else that of 2012.1 for its status.

    Text given by position is webob's *detail*, which 2012.1 did not show; neither do we (spec extensions 0.3).
    """
    stock = type(exception).explanation if isinstance(exception, webob.exc.WSGIHTTPException) else None
    given = getattr(exception, "explanation", None)
    if given and given != stock:
        return str(given)
    return TEXTS.get(int(exception.status_int)) or str(given or "")


def answer(
    environ: Environ,
    start_response: StartResponse,
    status: int,
    message: str,
    *,
    retry: str | None = None,
    headers: dict[str, str] | None = None,
) -> Iterable[bytes]:
    """Send a fault document.

    :param retry: ``Retry-After``, which the document of a 413 repeats
    """
    kind = wanted(environ)
    body = render(status, message, kind, retry, dialect_of(environ))
    sent = dict(headers or {})
    if isinstance(environ.get(CONTEXT), RequestContext):
        sent["X-Compute-Request-Id"] = environ[CONTEXT].request_id
    return send(start_response, status, body, kind, sent)


def dialect_of(environ: Environ) -> Dialect:
    """How the API that a request is for writes its faults."""
    return V1_0 if is_v1_0(environ) else V1_1


def render(status: int, message: str, kind: str, retry: str | None = None, dialect: Dialect = V1_1) -> bytes:
    """A fault as text.

    :param kind: ``application/json`` or ``application/xml``
    """
    name, namespace = dialect.names.get(status, dialect.other), dialect.namespace
    if kind == XML:
        root = etree.Element(f"{{{namespace}}}{name}", nsmap={None: namespace}, code=str(status))
        etree.SubElement(root, f"{{{namespace}}}message").text = safe_text(message)
        if retry is not None:
            etree.SubElement(root, f"{{{namespace}}}retryAfter").text = safe_text(retry)
        return bytes(etree.tostring(root))
    fault: dict[str, Any] = {"message": message, "code": status}
    if retry is not None:
        fault["retryAfter"] = int(retry) if retry.isdigit() else retry
    return json.dumps({name: fault}).encode()


def wanted(environ: Environ) -> str:
    """The plain type that a fault is written in: vendor types have no fault of their own (spec 11.1, 2)."""
    found = environ.get(BEST)
    if found is None:
        suffix = environ.get("PATH_INFO", "").rpartition(".")[2]
        found = f"application/{suffix}"
        if found not in (JSON, XML):
            found = best_match(environ.get("HTTP_ACCEPT", ""), (JSON, XML))[0] or JSON
    return plain(found)


def send(
    start_response: StartResponse, status: int, body: bytes, kind: str, headers: dict[str, str]
) -> Iterable[bytes]:
    """Start an answer and give its body."""
    reason = webob.exc.status_map[status].title if status in webob.exc.status_map else "Error"
    start_response(
        f"{status} {reason}",
        [
            ("Content-Type", f"{kind}; charset=UTF-8"),
            ("Content-Length", str(len(body))),
            *headers.items(),
        ],
    )
    return [body]


def _request_id(environ: Environ) -> str:
    context = environ.get(CONTEXT)
    return context.request_id if isinstance(context, RequestContext) else current_request_id()
