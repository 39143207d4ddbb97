"""The request as it came in: read once, within limits, and passed on in the environ.

Limits come before work: the size before anything is read, the number of parameters before they are decoded, their
form before any look into the datastore.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

from nova_api import errors, limits
from nova_api.auth.signatures import Claim, SignedRequest
from nova_api.context import current_request_id
from nova_api.ec2 import multipart
from nova_api.ec2.dialect import ESSEX, Dialect, dialect_of
from nova_api.wsgi import Environ, read_body

log = logging.getLogger(__name__)

KEY = "nova.ec2.request"
_FORM = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class Incoming:
    """One EC2 request on its way through the pipeline.

    :ivar pairs: decoded parameters of query and body
    :ivar claim: what is claimed of the caller, once an authentication layer or Lockout asked for it
    :ivar arguments: pairs that are left for the action
    """

    signed: SignedRequest
    pairs: list[tuple[str, str]]
    dialect: Dialect
    version: str = ""
    action: str = ""
    request_id: str = field(default_factory=current_request_id)
    claim: Claim | None = None
    arguments: list[tuple[str, str]] = field(default_factory=list)

    def first(self, name: str) -> str | None:
        """The first value of a parameter."""
        return next((value for key, value in self.pairs if key == name), None)


def incoming(environ: Environ, *, essex_only: bool = False) -> Incoming:
    """The request of an environ; read at the first call.

    :param essex_only: everybody gets the answers of 2012.1
    :raises RequestTooLarge: a body beyond the limit
    :raises MalformedQueryString: parameters that cannot be read
    """
    found = environ.get(KEY)
    if isinstance(found, Incoming):
        return found
    body = read_body(environ)
    query = environ.get("QUERY_STRING", "")
    pairs = list(_pairs(query))
    if body:
        pairs += _form(environ.get("CONTENT_TYPE", ""), body)
    if len(pairs) > limits.MAX_PARAMETERS:
        raise errors.MalformedQueryString(f"A request has at most {limits.MAX_PARAMETERS} parameters.")
    made = Incoming(
        signed=SignedRequest(
            method=environ["REQUEST_METHOD"],
            host=environ.get("HTTP_HOST") or _server(environ),
            path=_raw_path(environ),
            query=query,
            headers=_headers(environ),
            body=body,
            pairs=pairs,
        ),
        pairs=pairs,
        dialect=ESSEX,
    )
    made.action = made.first("Action") or ""
    made.version = made.first("Version") or ""
    if not essex_only:
        made.dialect = dialect_of(made.version)
    environ[KEY] = made
    return made


def dialect_hint(environ: Environ) -> Dialect:
    """The dialect to answer in when the request itself could not be read."""
    found = environ.get(KEY)
    if isinstance(found, Incoming):
        return found.dialect
    _, mark, rest = environ.get("QUERY_STRING", "").partition("Version=")
    return dialect_of(rest[:10]) if mark else ESSEX


def _form(content_type: str, body: bytes) -> Iterable[tuple[str, str]]:
    """Names and values in a body; a body of another type has none.

    :raises MalformedQueryString: it is a form that cannot be read
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _FORM:
        return _pairs(body.decode("latin-1"))
    return multipart.pairs(content_type, body) if kind == multipart.TYPE else ()


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    """Names and values of a form; the text holds bytes as latin-1.

    :raises MalformedQueryString: more than the limit, or no UTF-8
    """
    if not text:
        return
    if text.count("&") >= limits.MAX_PARAMETERS:
        raise errors.MalformedQueryString(f"A request has at most {limits.MAX_PARAMETERS} parameters.")
    for part in text.split("&"):
        if part:
            name, _, value = part.partition("=")
            yield _decoded(name), _decoded(value)


def _decoded(text: str) -> str:
    if "%" not in text and "+" not in text and text.isascii():
        return text
    raw = unquote_to_bytes(text.replace("+", " ").encode("latin-1", "replace"))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise errors.MalformedQueryString("A parameter is no UTF-8 text.") from None


def _raw_path(environ: Environ) -> str:
    """The path as it stood in the request line, where the server tells; else encoded anew."""
    raw = environ.get("RAW_PATH_INFO") or environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw:
        return str(raw).partition("?")[0]
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return quote(path.encode("latin-1", "replace"), safe="/-_.~")


def _server(environ: Environ) -> str:
    return f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"


def _headers(environ: Environ) -> dict[str, str]:
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    if environ.get("CONTENT_LENGTH"):
        headers["content-length"] = environ["CONTENT_LENGTH"]
    return headers
