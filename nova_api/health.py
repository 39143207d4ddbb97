"""``/healthcheck``: the outermost layer of every door, and of the port of the metrics.

=====================  =================================================================================
``/healthcheck/live``  200 as long as the process answers at all: whoever watches it need not restart it
``/healthcheck/ready`` 200, or 503 without the datastore: no more requests should be sent here
``/healthcheck``       the same as ``ready``
=====================  =================================================================================

GET and HEAD of exactly these paths are answered here, without login, limit or log line; everything else is the door's.
"""

import json
from collections.abc import Iterable

from nova_api import runtime
from nova_api.readiness import Readiness
from nova_api.wsgi import Environ, Middleware, StartResponse, WsgiApplication

LIVE, READY = "/healthcheck/live", ("/healthcheck", "/healthcheck/ready")
_METHODS = ("GET", "HEAD")


class Healthcheck(Middleware):
    """Answers questions after the process's health.

    :param application: the door
    :param readiness: by default that of the current runtime
    """

    def __init__(self, application: WsgiApplication, readiness: Readiness | None = None) -> None:
        super().__init__(application)
        self.readiness = readiness or runtime.current().readiness

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith("/healthcheck") or environ.get("REQUEST_METHOD") not in _METHODS:
            return self.application(environ, start_response)
        if path == LIVE:
            return _answer(environ, start_response, True, {"live": True})
        if path in READY:
            report = self.readiness.report()
            return _answer(environ, start_response, report.ready, {"ready": report.ready, **report.parts})
        return self.application(environ, start_response)


def _answer(environ: Environ, start_response: StartResponse, well: bool, about: dict[str, object]) -> Iterable[bytes]:
    body = json.dumps(about).encode() + b"\n"
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start_response("200 OK" if well else "503 Service Unavailable", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
