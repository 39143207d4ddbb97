"""What a request says of who signed it: the common ground of the signature versions (spec ec2.md 2.6)."""

import hmac
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from nova_api import errors, limits

log = logging.getLogger(__name__)

Pairs = Sequence[tuple[str, str]]

#: Parameters that are about the request and no arguments of its action (spec ec2.md 1.2).
SIGNATURE_PARAMETERS = frozenset(
    {"Signature", "AWSAccessKeyId", "SignatureMethod", "SignatureVersion", "Timestamp", "Expires"}
)
# What no datastore stores and no log should print. An access key is looked up before it is believed.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PLAIN = re.compile("[A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignaturePolicy:
    """What is accepted.

    :ivar window: how far a time stamp may be off, either way, seconds
    :ivar allow_sha1: version 2 with HmacSHA1; versions 0 and 1 know nothing else and have their own switches
    """

    window: int = 900
    allow_v0: bool = False
    allow_v1: bool = False
    allow_sha1: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as it was received.

    Method, host, path, query and headers hold bytes as latin-1, as WSGI has them.

    :ivar host: Host header, verbatim
    :ivar path: path as it stood in the request line, percent-encoding kept
    :ivar query: query string as received
    :ivar headers: by lower-case name
    :ivar pairs: decoded names and values of query and form body
    """

    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    pairs: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(ABC):
    """What a request claims to be.

    :ivar version: ``0``, ``1``, ``2`` or ``4``
    :ivar access_key: with the project behind a colon, if one is named
    :ivar timestamp: when it was signed
    :ivar expires: when it ends, if it says so
    :ivar arguments: the pairs that are left for the action, ``Action`` and ``Version`` included
    """

    version: str
    access_key: str
    signature: str = field(repr=False)
    timestamp: datetime
    expires: datetime | None
    arguments: Pairs = field(repr=False)
    request: SignedRequest = field(repr=False)

    @property
    def key_id(self) -> str:
        """The access key without the project."""
        return self.access_key.partition(":")[0]

    @property
    def project(self) -> str | None:
        """The project, when one is named."""
        return self.access_key.partition(":")[2] or None

    @property
    def presigned(self) -> bool:
        """Whether the request names its own lifetime, in place of the window behind its time stamp."""
        return False

    def verify(self, secret: str) -> bool:
        """Whether the signature was made with this secret.

        Takes as long for a right one as for a wrong one: for an unknown access key call it with any secret.
        """
        given = octets(self.signature)
        matches = [hmac.compare_digest(made, given) for made in self.signatures(secret.encode(*_ANY_TEXT))]
        if True in matches[1:] and not matches[0]:
            # A reading beside the literal one widens what a signature covers (spec ec2.md 9, row 4).
            log.debug("signature version %s: host or path were signed in another form than sent", self.version)
        return any(matches)

    @abstractmethod
    def signatures(self, key: bytes) -> list[bytes]:
        """What this request's signature is by ``key``: one for each way to read it, the literal one first."""


_ANY_TEXT = ("utf-8", "surrogatepass")  # a lone surrogate is wrong, and no reason to raise


def octets(text: str) -> bytes:
    """The bytes of a text that was received: WSGI holds them as latin-1; anything beyond that is UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode(*_ANY_TEXT)


def encoded(text: str | bytes, safe: str = "") -> str:
    """Percent-encoded: all but ``A-Za-z0-9_.-~`` and ``safe``, in UTF-8."""
    if isinstance(text, bytes):
        return quote(text, safe=safe)
    return text if _PLAIN.fullmatch(text) else quote(text.encode(*_ANY_TEXT), safe=safe)


def checked_access_key(text: str) -> str:
    """The access key, if it can be one.

    :raises InvalidParameterValue: it is empty, too long, or holds control characters
    """
    if not text or len(text) > limits.MAX_ACCESS_KEY or _UNPRINTABLE.search(text):
        raise errors.InvalidParameterValue("The access key is empty, too long, or no printable text.")
    return text


def iso_time(name: str, text: str) -> datetime:
    """A time of ISO 8601, in UTC; without a zone it is UTC already.

    :param name: the parameter that holds it
    :raises InvalidParameterValue: it is no time
    """
    try:
        parsed = datetime.fromisoformat(text) if text.isascii() and len(text) <= 40 else None
        if parsed is not None:
            return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise errors.InvalidParameterValue(f"Value ({text[:40]}) for parameter {name} is invalid.")


def check_action(params: Mapping[str, str]) -> None:
    """Every request says what it wants, and in which version of the API (spec ec2.md 1.2).

    :raises MissingParameter: it does not
    """
    for name in ("Action", "Version"):
        if name not in params:
            raise errors.MissingParameter(name)


def without_port(host: str) -> str:
    """The bare host; an IPv6 address loses its brackets too (spec ec2.md 2.6)."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
