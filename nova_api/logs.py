"""The form of the log: one line per record, as text or as JSON, each with the id of the request that it is about.

What clients send may stand in a message, so no message can begin a line of its own or move a terminal's cursor; what
the registry of secrets knows is hidden whoever logged it (:func:`nova_api.redact.text`).
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nova_api import redact
from nova_api.context import CURRENT_REQUEST

#: Attribute of a record: facts by name, which stand in JSON beside the message. Who sets it has left out secrets.
FIELDS = "fields"
# ASCII alone: control characters, line separators and stray surrogates become escapes.
_as_json = json.JSONEncoder(default=str).encode

#: Libraries whose debug lines hold messages, statements or headers as a whole.
TALKATIVE = ("sqlalchemy", "amqp", "kombu", "keystoneauth", "keystonemiddleware", "urllib3", "routes", "stevedore")


class TextFormatter(logging.Formatter):
    """``2012-04-05 12:00:00,000 INFO nova.api.ec2 [req-…] message``; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        about = one_line(CURRENT_REQUEST.get()) or "-"
        line = f"{self.formatTime(record)} {record.levelname} {record.name} [{about}] {one_line(message_of(record))}"
        trace = traceback_of(self, record)
        if trace:
            line += "".join(f"\n    {one_line(part)}" for part in trace.splitlines())
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object: ``time`` (UTC), ``level``, ``logger``, ``request_id``, ``message``, and the record's facts."""

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": CURRENT_REQUEST.get() or None,
            "message": message_of(record),
        }
        for name, value in getattr(record, FIELDS, {}).items():
            found.setdefault(name, value)
        trace = traceback_of(self, record)
        if trace:
            found["traceback"] = trace
        return _as_json(found)


def formatter(form: str) -> logging.Formatter:
    """The formatter of a form.

    :param form: ``text`` or ``json``
    """
    return JsonFormatter() if form == "json" else TextFormatter()


def hush() -> None:
    """Keep libraries from writing at DEBUG what no log may hold, whatever the level of the rest."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def message_of(record: logging.LogRecord) -> str:
    """What a record says, without secrets."""
    text = record.getMessage()
    # Lines that come with their facts are made of parts that are known to be clean: the busiest ones save the search.
    return text if hasattr(record, FIELDS) else redact.text(text)


def traceback_of(form: logging.Formatter, record: logging.LogRecord) -> str:
    """The traceback of a record, without secrets; empty without one."""
    parts = []
    if record.exc_info:
        parts.append(form.formatException(record.exc_info))
    if record.stack_info:
        parts.append(form.formatStack(record.stack_info))
    return redact.text("\n".join(parts)) if parts else ""


def one_line(text: str) -> str:
    """A text in which control characters, line breaks of every kind and stray surrogates are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def client_text(text: str) -> str:
    """What a client sent, for a log line: bounded, and on one line."""
    return one_line(text[:200])


def request_facts(environ: Mapping[str, Any], action: str, status: str, seconds: float) -> dict[str, Any]:
    """What is to be said of a request that is done, fit for a log line.

    :param environ: WSGI's, with the context if somebody was recognised
    :param action: what was asked for; client text is made safe
    :param status: three digits
    """
    context = environ.get("nova.context")
    return {
        "user": client_text(context.user_id or "") if context else None,
        "project": client_text(context.project_id or "") if context else None,
        "action": client_text(action),
        "status": int(status),
        "seconds": round(seconds, 6),
        "method": client_text(environ.get("REQUEST_METHOD", "")),
        "path": client_text(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")),
        "remote": environ.get("REMOTE_ADDR"),
        "agent": client_text(environ.get("HTTP_USER_AGENT", "")),
    }
