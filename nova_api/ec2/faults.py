"""The outermost layer: whatever happens below, the client gets EC2 XML."""

import logging
from collections.abc import Iterable
from typing import Any

import webob
import webob.exc

from nova_api import errors
from nova_api.context import current_request_id
from nova_api.ec2 import answers, xml
from nova_api.ec2.dialect import dialect_of
from nova_api.ec2.incoming import KEY, Incoming, dialect_hint
from nova_api.wsgi import Environ, Middleware, StartResponse

log = logging.getLogger(__name__)

_UNKNOWN = "The server has either erred or is incapable of performing the requested operation."


def ec2_error(req: webob.Request, request_id: str | None, code: str, message: str) -> webob.Response:
    """An EC2 error as a webob response.

    :param req: the request it answers; its Version decides between status 400 and today's
    :param request_id: None makes a new one
    """
    body = xml.render_error(code, message, request_id or current_request_id())
    modern = dialect_of(req.params.get("Version", "")).modern_elements
    statuses = {"AuthFailure": 401, "UnauthorizedOperation": 403, "InternalError": 500} if modern else {}
    return webob.Response(body=body, status=statuses.get(code, 400), content_type="text/xml", charset=None)


class FaultWrapper(Middleware):
    """Calls the middleware stack, captures any exceptions into faults.

    A refusal raised by a layer is answered in the dialect of the request; anything else is a defect: the detail goes to
    the log under the request id that the client reads.
    """

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return self.application(environ, start_response)
        except errors.ApiError as error:
            return answers.refuse(start_response, error, dialect_hint(environ), _request_id(environ))
        except webob.exc.HTTPException as error:
            return self._http_error(environ, start_response, error)
        except Exception:
            request_id = _request_id(environ)
            log.exception("unexpected error, %s", request_id)
            body = xml.render_error("500", _UNKNOWN, request_id)
            return answers.send(start_response, 500, body)

    @staticmethod
    def _http_error(environ: Environ, start_response: StartResponse, error: Any) -> Iterable[bytes]:
        codes = {401: "AuthFailure", 403: "UnauthorizedOperation", 404: "InvalidAction"}
        code = codes.get(error.code, "InvalidRequest")
        body = xml.render_error(code, error.detail or error.explanation, _request_id(environ))
        return answers.send(start_response, error.code, body)


def _request_id(environ: Environ) -> str:
    found = environ.get(KEY)
    return found.request_id if isinstance(found, Incoming) else current_request_id()
