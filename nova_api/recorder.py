"""Around every door: gives a request its id, and writes down what became of it, in the log and in the metrics."""

import logging
import time
from collections.abc import Iterable
from typing import Any

from nova_api import logs, runtime
from nova_api.context import CURRENT_REQUEST, new_request_id
from nova_api.wsgi import ACTION, LOGGED, UNKNOWN_ACTION, Environ, Middleware, StartResponse, WsgiApplication


class Recorder(Middleware):
    """One line and one observation per request, when it is done.

    The id made here is the one that the answer carries, and that stands in every line logged on the way. A layer below
    that has written a line of its own (EC2's RequestLogging) says so in the environ.

    :param application: the door
    :param door: its name in the metrics and in the name of the logger, such as ``openstack``
    :param services: the current runtime by default
    """

    def __init__(
        self, application: WsgiApplication, door: str = "other", services: runtime.Runtime | None = None
    ) -> None:
        super().__init__(application)
        self.log = logging.getLogger(f"nova.api.{door}")
        metrics = (services or runtime.current()).metrics
        self._observe = metrics.observer(door) if metrics is not None else None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start = time.perf_counter()
        token = CURRENT_REQUEST.set(new_request_id())
        status = "500"

        def note(text: str, headers: Any, *more: Any) -> Any:
            nonlocal status
            status = text[:3]
            return start_response(text, headers, *more)

        try:
            return self.application(environ, note)
        finally:
            seconds = time.perf_counter() - start
            if self._observe is not None:
                self._observe(environ.get(ACTION, UNKNOWN_ACTION), status, seconds)
            if LOGGED not in environ and self.log.isEnabledFor(logging.INFO):
                self._write(environ, status, seconds)
            CURRENT_REQUEST.reset(token)

    def _write(self, environ: Environ, status: str, seconds: float) -> None:
        facts = logs.request_facts(environ, environ.get(ACTION, UNKNOWN_ACTION), status, seconds)
        self.log.info(
            "%.6fs %s %s %s %s %s [%s] %s",
            seconds,
            facts["remote"],
            facts["method"],
            facts["path"],
            facts["action"],
            status,
            facts["agent"],
            f"{facts['user']}:{facts['project']}" if facts["user"] else "-",
            extra={logs.FIELDS: facts},
        )
