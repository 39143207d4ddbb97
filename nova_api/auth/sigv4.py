"""Signature version 4, in the Authorization header and in the query string (spec ec2.md 12, clients.md).

The grammar of the header is strict: a field that is unknown, missing or repeated is refused, so that nobody
who reads the access key out of it, Lockout for one, can read another one than is verified here.

In the header form the access key itself is not signed: the secret tells whose request it is. Nor is the
``:project`` behind it: a changed one reaches what that user may use, and nothing else.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_to_bytes

from nova_api import errors
from nova_api.auth.claims import (
    SIGNATURE_PARAMETERS,
    Claim,
    Pairs,
    SignedRequest,
    check_action,
    checked_access_key,
    encoded,
    octets,
    without_port,
)

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_LIFETIME = 604_800  # seconds: the seven days that AWS admits
_PREFIX = "X-Amz-"
_FIELDS = ("Credential", "SignedHeaders", "Signature")
#: What only another way to sign needs. Beside a signature in the header it is a second opinion on who signed.
_OTHER_WAYS = ("Signature", "AWSAccessKeyId", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature")
_STAMP = re.compile("[0-9]{8}T[0-9]{6}Z")
_TOKEN = "[!#$%&'*+.^_`|~0-9a-z-]+"  # noqa: S105 - a header name by RFC 9110, no secret
_SIGNED_HEADERS = re.compile(f"{_TOKEN}(?:;{_TOKEN})*")
_SIGNATURE = re.compile("[!-+.-:<>-~]+")  # printable, without "," ";" "="
_PLAIN_PATH = re.compile("(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*/?")
_BODY_HASH = re.compile("[0-9a-f]{64}")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class V4Claim(Claim):
    """Version 4.

    :ivar stamp: the time stamp as it goes into the signed text
    :ivar scope: date, region and service
    """

    stamp: str
    scope: tuple[str, str, str]
    signed_headers: tuple[str, ...]

    @property
    def presigned(self) -> bool:
        """Whether the signature came in the query, with its own lifetime."""
        return self.expires is not None

    def signatures(self, key: bytes) -> list[bytes]:
        """In hexadecimal. There is none when the client gives a hash that is not that of its body."""
        request = self.request
        body_hash = hashlib.sha256(request.body).hexdigest()
        if request.headers.get("x-amz-content-sha256", body_hash) != body_hash:
            return []
        signing = b"AWS4" + key
        for part in (*self.scope, "aws4_request"):
            signing = hmac.digest(signing, part.encode(), "sha256")
        scope = "/".join(self.scope)
        prefix = f"{ALGORITHM}\n{self.stamp}\n{scope}/aws4_request\n"
        method = octets(request.method)
        query = _canonical_query(request.query)
        tail = f"\n{';'.join(self.signed_headers)}\n{body_hash}".encode()
        made = []
        for headers in _canonical_headers(self):
            for path in _canonical_paths(request.path):
                text = b"\n".join((method, path, query, headers)) + tail
                to_sign = prefix + hashlib.sha256(text).hexdigest()
                made.append(hmac.digest(signing, to_sign.encode(), "sha256").hex().encode())
        return made


def header_claim(request: SignedRequest, params: Mapping[str, str], authorization: str) -> V4Claim:
    """The claim of an Authorization header.

    :param authorization: its value, which starts with ``AWS4-``
    :raises InvalidParameterValue: another algorithm
    :raises IncompleteSignature: a field is missing, or none of these
    :raises InvalidParameterCombination: the parameters tell of another way to sign
    """
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise errors.InvalidParameterValue(f"The signature algorithm {algorithm[:40]} is not supported.")
    for name in _OTHER_WAYS:
        if name in params:
            raise errors.InvalidParameterCombination(
                f"The parameter {name} cannot be given beside a signature in the Authorization header."
            )
    fields: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip(" \t").partition("=")
        if name not in _FIELDS or name in fields:
            raise errors.IncompleteSignature(
                f"Authorization header requires {', '.join(_FIELDS)}, each once and nothing else."
            )
        fields[name] = value
    try:
        fields["Credential"] = octets(fields.get("Credential", "")).decode()
    except UnicodeDecodeError:
        raise errors.IncompleteSignature("Credential is no UTF-8 text.") from None
    return _claim(request, params, fields, _header_stamp(request.headers), None)


def query_claim(request: SignedRequest, params: Mapping[str, str]) -> V4Claim:
    """The claim of a presigned URL.

    :raises MissingParameter: one of the ``X-Amz-`` parameters is missing
    :raises InvalidParameterValue: another algorithm, or a lifetime that is none
    :raises InvalidParameterCombination: the parameters tell of another way to sign as well
    """
    if params["X-Amz-Algorithm"] != ALGORITHM:
        raise errors.InvalidParameterValue("The signature algorithm is not supported.")
    for name in ("Signature", "AWSAccessKeyId"):
        if name in params:
            raise errors.InvalidParameterCombination(f"The parameter {name} cannot be given beside X-Amz-Algorithm.")
    for name in (*_FIELDS, "Date", "Expires"):
        if not params.get(_PREFIX + name):
            raise errors.MissingParameter(_PREFIX + name)
    lifetime = params["X-Amz-Expires"]
    if not re.fullmatch("[0-9]{1,6}", lifetime) or not 1 <= int(lifetime) <= MAX_LIFETIME:
        raise errors.InvalidParameterValue(f"X-Amz-Expires is a number of seconds from 1 to {MAX_LIFETIME}.")
    fields = {name: params[_PREFIX + name] for name in _FIELDS}
    return _claim(request, params, fields, params["X-Amz-Date"], int(lifetime))


def _claim(
    request: SignedRequest,
    params: Mapping[str, str],
    fields: Mapping[str, str],
    stamp: str,
    lifetime: int | None,
) -> V4Claim:
    if not _SIGNATURE.fullmatch(fields.get("Signature", "")):
        raise errors.IncompleteSignature("The signature is missing, or no printable text.")
    access_key, scope = _credential(fields["Credential"], request.host)
    signed_headers = _signed_headers(fields.get("SignedHeaders", ""), request)
    if not _BODY_HASH.fullmatch(request.headers.get("x-amz-content-sha256", "0" * 64)):
        raise errors.InvalidParameterValue("X-Amz-Content-SHA256 must be the hash of the body.")
    when = _time_of(stamp)
    if scope[0] != stamp[:8]:
        raise errors.InvalidParameterValue("The date of Credential is not that of X-Amz-Date.")
    check_action(params)
    try:
        ends = None if lifetime is None else when + timedelta(seconds=lifetime)
    except OverflowError:
        raise errors.InvalidParameterValue("X-Amz-Date is beyond the calendar.") from None
    return V4Claim(
        version="4",
        access_key=access_key,
        signature=fields["Signature"],
        timestamp=when,
        expires=ends,
        arguments=_arguments(request.pairs),
        request=request,
        stamp=stamp,
        scope=scope,
        signed_headers=signed_headers,
    )


def _arguments(pairs: Pairs) -> Pairs:
    return [(name, value) for name, value in pairs if name not in SIGNATURE_PARAMETERS and not name.startswith(_PREFIX)]


# -- the parts of a claim --------------------------------------------------------------------------------


def _credential(text: str, host: str) -> tuple[str, tuple[str, str, str]]:
    """Access key and scope. The key may hold ``/`` and ``:``, so the scope is split off from the right."""
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise errors.IncompleteSignature("Credential must be <access key>/<date>/<region>/<service>/aws4_request.")
    access_key, day, region, service, _ = parts
    if not region.isascii():
        raise errors.InvalidParameterValue("Credential names a region that cannot be one.")
    if service != "ec2" and not _is_named_after_address(host, region, service):
        raise errors.InvalidParameterValue("Credential should be scoped to the service 'ec2'.")
    return checked_access_key(access_key), (day, region, service)


def _is_named_after_address(host: str, region: str, service: str) -> bool:
    """boto 2 takes service and region from the first two labels of the host name, be it an address.

    For 127.0.0.1 its scope reads ``…/0/127/aws4_request`` (spec clients.md). Numbers name no service of AWS,
    so this is a client that named none.
    """
    host = without_port(host)
    return _ADDRESS.fullmatch(host) is not None and host.split(".")[:2] == [service, region]


def _signed_headers(text: str, request: SignedRequest) -> tuple[str, ...]:
    """The names of the signed headers.

    :raises IncompleteSignature: Host is not among them, or one that did not come is, or one is repeated:
        a long list of one name would make us hash its value that often
    """
    if not _SIGNED_HEADERS.fullmatch(text):
        raise errors.IncompleteSignature("SignedHeaders is no list of header names.")
    names = tuple(text.split(";"))
    if len(set(names)) != len(names):
        raise errors.IncompleteSignature("SignedHeaders names a header twice.")
    if "host" not in names:
        raise errors.IncompleteSignature("The host header must be signed.")
    for name in names:
        if name != "host" and name not in request.headers:
            raise errors.IncompleteSignature(f"The signed header {name[:80]} is not in the request.")
    return names


def _header_stamp(headers: Mapping[str, str]) -> str:
    """The time stamp that goes into the signed text: X-Amz-Date, or Date put into the same form."""
    stamp = headers.get("x-amz-date", "")
    if stamp:
        return stamp
    date = headers.get("date", "")
    if not date:
        raise errors.MissingParameter("X-Amz-Date")
    if _STAMP.fullmatch(date):
        return date
    try:
        if len(date) > 64:
            raise ValueError(len(date))
        parsed = parsedate_to_datetime(date)
        parsed = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        raise errors.InvalidParameterValue("The Date header is no date.") from None
    return parsed.replace(tzinfo=None).isoformat(timespec="seconds").replace("-", "").replace(":", "") + "Z"


def _time_of(stamp: str) -> datetime:
    try:
        if _STAMP.fullmatch(stamp):
            return datetime.fromisoformat(stamp)
    except ValueError:
        pass
    raise errors.InvalidParameterValue("X-Amz-Date is no time of the form 20120405T101112Z.")


# -- the canonical request -------------------------------------------------------------------------------


def _canonical_query(raw: str) -> bytes:
    """The parameters of the query string, encoded anew and sorted; the signature itself left out."""
    pairs = []
    for part in raw.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((_reencoded(name), _reencoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs) if name != "X-Amz-Signature").encode()


def _reencoded(text: str) -> str:
    if "%" in text or "+" in text or not text.isascii():
        return encoded(unquote_to_bytes(octets(text.replace("+", " "))))
    return encoded(text)


def _canonical_paths(raw: str) -> Iterable[bytes]:
    """The path as received; then as boto 2 has it, encoded once, and as botocore has it, encoded once more.

    Both take dot segments and doubled slashes out before they sign, and send them nevertheless.
    """
    path = raw or "/"
    if _PLAIN_PATH.fullmatch(path):
        return (path.encode(),)
    short = _without_dots(path)
    once = encoded(unquote_to_bytes(octets(short)), "/")
    return dict.fromkeys((octets(path), once.encode(), encoded(octets(short), "/").encode()))


def _without_dots(path: str) -> str:
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part and part != ".":
            kept.append(part)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")


def _canonical_headers(claim: V4Claim) -> Iterable[bytes]:
    """The signed headers, with runs of blanks made one; once for each form of the host."""
    given = claim.request.headers
    lines = [
        b"" if name == "host" else b"%b:%b\n" % (name.encode(), b" ".join(octets(given[name]).split()))
        for name in claim.signed_headers
    ]
    at = claim.signed_headers.index("host")
    before, after = b"".join(lines[:at]), b"".join(lines[at + 1 :])
    return [b"%bhost:%b\n%b" % (before, octets(form), after) for form in _hosts(claim.request.host)]


def _hosts(host: str) -> Iterable[str]:
    """The host as received; with and without the port where it is a default one; and in lower case."""
    forms = [host]
    bare, _, port = host.rpartition(":")
    if port in ("80", "443") and bare:
        forms.append(bare)
    elif not port.isdigit() or not bare:
        forms += [f"{host}:80", f"{host}:443"]
    return dict.fromkeys((*forms, *(form.lower() for form in forms)))
