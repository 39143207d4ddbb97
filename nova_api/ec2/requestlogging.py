"""One line per request, when it is done."""

import logging
import time
from collections.abc import Iterable
from typing import Any

import webob

from nova_api import logs, redact
from nova_api.ec2.incoming import KEY, Incoming
from nova_api.wsgi import LOGGED, UNKNOWN_ACTION, Environ, Middleware, StartResponse

#: The logger's name in the documentation of 2012.
log = logging.getLogger("nova.api.ec2")


class RequestLogging(Middleware):
    """Access-Log akin logging for all EC2 API requests (spec ec2.md 2.3)."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not log.isEnabledFor(logging.INFO):
            return self.application(environ, start_response)
        start = time.perf_counter()
        noted: list[Any] = ["500", ""]

        def note(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            noted[0] = status[:3]
            noted[1] = next((value for name, value in headers if name.lower() == "content-type"), "")
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        try:
            return self.application(environ, note)
        finally:
            self._log(environ, noted[0], noted[1], start)

    def log_request_completion(self, response: webob.Response, request: webob.Request, start: float) -> None:
        """Write the line of a request that is done.

        :param start: :func:`time.perf_counter` when it began, seconds
        """
        self._log(request.environ, str(response.status_int), response.content_type or "", start)

    @staticmethod
    def _log(environ: Environ, status: str, answer_type: str, start: float) -> None:
        found = environ.get(KEY)
        asked = found if isinstance(found, Incoming) else None
        action = asked.action if asked else ""
        facts = logs.request_facts(environ, action or UNKNOWN_ACTION, status, time.perf_counter() - start)
        environ[LOGGED] = True
        log.info(
            "%.6fs %s %s %s %s:%s %s [%s] %s %s %s %s",
            facts["seconds"],
            facts["remote"],
            facts["method"],
            facts["path"],
            "CloudController" if action else None,
            facts["action"] if action else None,
            status,
            facts["agent"],
            logs.client_text(environ.get("CONTENT_TYPE", "")),
            answer_type,
            asked.request_id if asked else "-",
            f"{facts['user']}:{facts['project']}" if facts["user"] else "-",
            extra={logs.FIELDS: facts},
        )
        if asked and log.isEnabledFor(logging.DEBUG):
            log.debug("%s %s", asked.request_id, redact.parameters(asked.pairs), extra={logs.FIELDS: {}})
