"""EC2 signatures, versions 0, 1, 2 and 4: pure functions over what the client sent (spec ec2.md 2.6, 12).

Three steps, in this order: :func:`parse_claim` finds what a request claims and refuses what is off in its form;
:meth:`Claim.verify` compares in constant time; :func:`check_freshness` looks at the clock. What is verified is what was
received: names and values of version 2 are those that the action will see, version 4 hashes the body's own bytes.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_to_bytes

from nova_api import errors, limits

Pairs = Sequence[tuple[str, str]]

#: Parameters that are about the request and no arguments of its action (spec ec2.md 1.2).
SIGNATURE_PARAMETERS = frozenset(
    {"Signature", "AWSAccessKeyId", "SignatureMethod", "SignatureVersion", "Timestamp", "Expires"}
)
_ALGORITHM = "AWS4-HMAC-SHA256"
_V4_PREFIX = "X-Amz-"
_UNRESERVED = "-_.~"
_DIGESTS = {"HmacSHA256": hashlib.sha256, "HmacSHA1": hashlib.sha1}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignaturePolicy:
    """What is accepted.

    :ivar window: how far a time stamp may be off, seconds
    """

    window: int = 900
    allow_v0: bool = False
    allow_v1: bool = False
    allow_sha1: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as it was received.

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
class Claim:
    """What a request claims to be.

    :ivar version: ``0``, ``1``, ``2`` or ``4``
    :ivar access_key: with the project behind a colon, if one is named
    :ivar timestamp: when it was signed; expires: when it ends, if it says so
    :ivar arguments: the pairs that are left for the action, ``Action`` and ``Version`` included
    """

    version: str
    access_key: str
    signature: str
    timestamp: datetime
    expires: datetime | None
    arguments: Pairs
    method: str = "HmacSHA256"
    scope: tuple[str, str, str] = ("", "", "")
    signed_headers: tuple[str, ...] = ()
    stamp: str = ""
    request: SignedRequest = field(repr=False)

    @property
    def key_id(self) -> str:
        """The access key without the project."""
        return self.access_key.partition(":")[0]

    @property
    def project(self) -> str | None:
        """The project, when one is named."""
        return self.access_key.partition(":")[2] or None

    def verify(self, secret: str) -> bool:
        """Whether the signature was made with this secret; takes as long either way."""
        key = secret.encode()
        if self.version == "4":
            return _verify_v4(self, key)
        given = _unbase64(self.signature)
        digest = _DIGESTS[self.method]
        matched = False
        for text in _texts(self):
            made = hmac.new(key, text, digest).digest()
            matched |= hmac.compare_digest(made, given)
        return matched


def parse_claim(request: SignedRequest, policy: SignaturePolicy) -> Claim:
    """Find what a request claims.

    :raises MissingParameter: something without which there is no signature to check
    :raises InvalidParameterCombination: a parameter that comes twice
    :raises InvalidParameterValue: a version, method, time stamp or credential of another form
    """
    params: dict[str, str] = {}
    for name, value in request.pairs:
        if name in params:
            raise errors.InvalidParameterCombination(f"The parameter {name[:80]} is given twice.")
        params[name] = value
    if "SecurityToken" in params or "X-Amz-Security-Token" in params or "x-amz-security-token" in request.headers:
        raise errors.InvalidClientToken("Session tokens are not supported.")
    authorization = request.headers.get("authorization", "")
    if authorization.startswith(_ALGORITHM):
        return _header_claim(request, authorization[len(_ALGORITHM) :])
    if "X-Amz-Algorithm" in params:
        return _query_claim(request, params)
    return _parameter_claim(request, params, policy)


def check_freshness(claim: Claim, now: datetime, policy: SignaturePolicy) -> None:
    """Look at the clock, once the signature has been found right.

    :raises RequestExpired: the time stamp is outside of the window, or what the request says of its end has passed
    """
    window = timedelta(seconds=policy.window)
    if claim.expires is not None and now >= claim.expires:
        raise errors.RequestExpired(f"Request has expired. It was valid until {claim.expires:%Y-%m-%dT%H:%M:%SZ}.")
    late = claim.timestamp < now - window and not (claim.version == "4" and claim.expires is not None)
    if late or claim.timestamp > now + window:
        raise errors.RequestExpired("Request has expired. Timestamp is outside of the allowed window.")


# -- versions 0, 1, 2 ----------------------------------------------------------------------------------------


def _parameter_claim(request: SignedRequest, params: dict[str, str], policy: SignaturePolicy) -> Claim:
    for name in ("AWSAccessKeyId", "Signature", "SignatureVersion", "Timestamp", "Version", "Action"):
        if name not in params:
            raise errors.MissingParameter(name)
    version = params["SignatureVersion"]
    _check_version(version, policy)
    if version != "1" and "SignatureMethod" not in params:
        raise errors.MissingParameter("SignatureMethod")
    method = params.get("SignatureMethod", "HmacSHA1")
    if method not in _DIGESTS or (method == "HmacSHA1" and version == "2" and not policy.allow_sha1):
        raise errors.InvalidParameterValue(f"The signature method {method[:40]} is not supported.")
    expires = params.get("Expires")
    return Claim(
        version=version,
        access_key=_checked_key(params["AWSAccessKeyId"]),
        signature=params["Signature"],
        timestamp=_iso_time("Timestamp", params["Timestamp"]),
        expires=None if expires is None else _iso_time("Expires", expires),
        arguments=[(name, value) for name, value in request.pairs if name not in SIGNATURE_PARAMETERS],
        method=method if version == "2" else "HmacSHA1",
        request=request,
    )


def _check_version(version: str, policy: SignaturePolicy) -> None:
    allowed = {"2": True, "1": policy.allow_v1, "0": policy.allow_v0}
    if not allowed.get(version):
        raise errors.InvalidParameterValue(f"The signature version {version[:40]} is not supported.")


def _texts(claim: Claim) -> list[bytes]:
    """What may have been signed: two texts for version 2 when the host comes with a port."""
    request = claim.request
    if claim.version == "0":
        params = dict(request.pairs)
        return [(params["Action"] + params["Timestamp"]).encode()]
    signed = [(name, value) for name, value in request.pairs if name != "Signature"]
    if claim.version == "1":
        signed.sort(key=lambda pair: pair[0].lower())
        return ["".join(name + value for name, value in signed).encode()]
    query = "&".join(
        f"{quote(name, safe='-_.')}={quote(value, safe=_UNRESERVED)}"
        for name, value in sorted((n.encode(), v.encode()) for n, v in signed)
    )
    hosts = [request.host]
    bare = _without_port(request.host)
    if bare != request.host:
        hosts.append(bare)
    return [f"{request.method}\n{host}\n{request.path}\n{query}".encode() for host in hosts]


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _iso_time(name: str, text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text) if text.isascii() and len(text) <= 40 else None
    except ValueError:
        parsed = None
    if parsed is None:
        raise errors.InvalidParameterValue(f"Value ({text[:40]}) for parameter {name} is invalid.")
    try:
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except OverflowError:
        raise errors.InvalidParameterValue(f"Value ({text[:40]}) for parameter {name} is invalid.") from None


def _checked_key(text: str) -> str:
    if not text or len(text) > limits.MAX_ACCESS_KEY:
        raise errors.InvalidParameterValue("The access key is empty or too long.")
    return text


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        return b""


# -- version 4 -------------------------------------------------------------------------------------------------


def _header_claim(request: SignedRequest, text: str) -> Claim:
    fields = dict(part.strip().partition("=")[::2] for part in text.split(","))
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not fields.get(name):
            raise errors.IncompleteSignature(f"Authorization header requires '{name}'.")
    stamp = request.headers.get("x-amz-date", "")
    if not stamp:
        raise errors.MissingParameter("X-Amz-Date")
    return _v4_claim(request, fields, stamp, None, request.pairs)


def _query_claim(request: SignedRequest, params: dict[str, str]) -> Claim:
    if params["X-Amz-Algorithm"] != _ALGORITHM:
        raise errors.InvalidParameterValue("The signature algorithm is not supported.")
    for name in ("Credential", "SignedHeaders", "Signature", "Date", "Expires"):
        if not params.get(_V4_PREFIX + name):
            raise errors.MissingParameter(_V4_PREFIX + name)
    lifetime = params["X-Amz-Expires"]
    if not (lifetime.isascii() and lifetime.isdigit() and len(lifetime) <= 6 and 1 <= int(lifetime) <= 604_800):
        raise errors.InvalidParameterValue("X-Amz-Expires is a number of seconds up to 604800.")
    fields = {name: params[_V4_PREFIX + name] for name in ("Credential", "SignedHeaders", "Signature")}
    rest = [(name, value) for name, value in request.pairs if not name.startswith(_V4_PREFIX)]
    return _v4_claim(request, fields, params["X-Amz-Date"], int(lifetime), rest)


def _v4_claim(
    request: SignedRequest, fields: Mapping[str, str], stamp: str, lifetime: int | None, arguments: Pairs
) -> Claim:
    parts = fields["Credential"].rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise errors.IncompleteSignature("Credential must be <access key>/<date>/<region>/<service>/aws4_request.")
    access_key, day, region, service, _ = parts
    if service != "ec2" and not _named_after_address(request.host, region, service):
        raise errors.InvalidParameterValue("Credential should be scoped to the service 'ec2'.")
    signed_headers = tuple(fields["SignedHeaders"].lower().split(";"))
    if "host" not in signed_headers:
        raise errors.IncompleteSignature("The host header must be signed.")
    try:
        when = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        ends = None if lifetime is None else when + timedelta(seconds=lifetime)
    except (ValueError, OverflowError):
        raise errors.InvalidParameterValue("X-Amz-Date is no time of the form 20120405T101112Z.") from None
    if day != stamp[:8]:
        raise errors.InvalidParameterValue("The date of Credential is not that of X-Amz-Date.")
    for name in ("Action", "Version"):
        if not any(given == name for given, _ in arguments):
            raise errors.MissingParameter(name)
    return Claim(
        version="4",
        access_key=_checked_key(access_key),
        signature=fields["Signature"],
        timestamp=when,
        expires=ends,
        arguments=list(arguments),
        scope=(day, region, service),
        signed_headers=signed_headers,
        stamp=stamp,
        request=request,
    )


def _named_after_address(host: str, region: str, service: str) -> bool:
    """boto 2 takes region and service from the labels of the host name, those of an address too.

    For 127.0.0.1 its scope reads ``…/0/127/aws4_request`` (spec clients.md): the client means the server it talks to.
    """
    labels = _without_port(host).split(".")
    return len(labels) == 4 and all(label.isdigit() for label in labels) and {region, service} <= set(labels)


def _verify_v4(claim: Claim, key: bytes) -> bool:
    request = claim.request
    day, region, service = claim.scope
    signing = b"AWS4" + key
    for part in (day, region, service, "aws4_request"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    content = request.headers.get("x-amz-content-sha256", "")
    body_hash = hashlib.sha256(request.body).hexdigest()
    honest = not content or hmac.compare_digest(content.encode(), body_hash.encode())
    query = _canonical_query(request.query)
    scope = f"{day}/{region}/{service}/aws4_request"
    given = claim.signature.encode()
    matched = False
    for headers in _canonical_headers(claim):
        for path in _canonical_paths(request.path):
            text = f"{request.method}\n{path}\n{query}\n{headers}\n{';'.join(claim.signed_headers)}\n{body_hash}"
            digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
            to_sign = f"{_ALGORITHM}\n{claim.stamp}\n{scope}\n{digest}".encode()
            made = hmac.digest(signing, to_sign, "sha256").hex()
            matched |= hmac.compare_digest(made.encode(), given)
    return matched and honest


def _canonical_query(raw: str) -> str:
    """The query string as AWS sorts it; the encoding of the pairs is normalised, the signature left out."""
    if not raw:
        return ""
    pairs = []
    for part in raw.split("&"):
        name, _, value = part.partition("=")
        if name and name != "X-Amz-Signature":
            pairs.append((_reencoded(name), _reencoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _reencoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe=_UNRESERVED)


def _canonical_paths(raw: str) -> list[str]:
    """The path as received, and with its encoding doubled, as the general algorithm has it for other services."""
    path = raw or "/"
    doubled = quote(path, safe="/-_.~")
    return [path] if doubled == path else [path, doubled]


def _canonical_headers(claim: Claim) -> list[str]:
    """The signed headers; once more without the port when it is the default one, which some clients leave out."""
    request = claim.request
    hosts = [request.host]
    bare = _without_port(request.host)
    if bare != request.host:
        hosts.append(bare)
    made = []
    for host in hosts:
        lines = [
            f"{name}:{' '.join((host if name == 'host' else request.headers.get(name, '')).split())}\n"
            for name in claim.signed_headers
        ]
        made.append("".join(lines))
    return made
