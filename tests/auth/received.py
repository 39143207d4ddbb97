"""Requests as a WSGI server hands them on, for the tests of signatures."""

from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qsl, quote, urlsplit

from nova_api import errors
from nova_api.auth.signatures import SignaturePolicy, SignedRequest, parse_claim

FORM = "application/x-www-form-urlencoded; charset=utf-8"
EVERYTHING = SignaturePolicy(allow_v0=True, allow_v1=True)
#: What a careless or malicious client may put anywhere.
HOSTILE = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "\r\nX-Evil: 1",
    "\x7f\x85\x9f",
    "\ud800",
    "\udfff\ud800",
    "é",
    "漢字",
    "𝟙",
    "٣",
    "/",
    "////",
    ":",
    ",",
    ";",
    "=",
    "%",
    "%ff",
    "%zz",
    "+",
    "<&\"'>",
    "9" * 5000,
    "-1",
    "1e9",
    "x" * 70_000,
    "None",
]


def received(
    method: str, url: str, headers: Mapping[str, str | bytes], body: bytes | str | None = b""
) -> SignedRequest:
    """What the server gets when a client sends this: header texts are UTF-8 bytes, read as latin-1."""
    parts = urlsplit(url)
    body = body.encode() if isinstance(body, str) else body or b""
    lowered = {
        name.lower(): (value if isinstance(value, bytes) else value.encode()).decode("latin-1")
        for name, value in headers.items()
    }
    host = lowered.setdefault("host", parts.netloc)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if lowered.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        pairs += parse_qsl(body.decode("latin-1"), keep_blank_values=True)
    return SignedRequest(
        method=method,
        host=host,
        path=quote(parts.path, safe="/%!$&'()*+,;=:@~"),  # HTTP clients send no other bytes
        query=parts.query,
        headers=lowered,
        body=body,
        pairs=pairs,
    )


def accepted(request: SignedRequest, secret: str, policy: SignaturePolicy = EVERYTHING) -> bool:
    """Whether the request is let in; a refusal of its form is a no, anything else raised is a defect."""
    try:
        return parse_claim(request, policy).verify(secret)
    except errors.ApiError:
        return False


def survivors(changed: Iterable[tuple[str, SignedRequest]], secret: str) -> list[str]:
    """The names of those changes after which a request still verifies."""
    return [name for name, request in changed if accepted(request, secret)]


def other(character: str) -> str:
    """Another character of the same kind."""
    return "B" if character == "A" else "A"


def each_character(text: str, put: Callable[[str], SignedRequest], name: str) -> Iterable[tuple[str, SignedRequest]]:
    """The request with one character of a text changed, for every character."""
    for at, character in enumerate(text):
        yield f"{name}[{at}]", put(text[:at] + other(character) + text[at + 1 :])
