"""EC2 signatures, versions 0, 1, 2 and 4: pure functions over what the client sent (spec ec2.md 2.6, 12).

Three steps, in this order: :func:`parse_claim` finds what a request claims and refuses what is off in its
form; :meth:`Claim.verify` compares in constant time; :func:`check_freshness` looks at the clock. What is
verified is what was received: names and values of version 2 are those that the action will see, version 4
hashes the body's own bytes.
"""

import base64
import hmac
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_to_bytes

from nova_api import errors
from nova_api.auth import sigv4
from nova_api.auth.claims import (
    SIGNATURE_PARAMETERS,
    Claim,
    Pairs,
    SignaturePolicy,
    SignedRequest,
    check_action,
    checked_access_key,
    encoded,
    iso_time,
    octets,
    without_port,
)

__all__ = [
    "SIGNATURE_PARAMETERS",
    "Claim",
    "Pairs",
    "SignaturePolicy",
    "SignedRequest",
    "check_freshness",
    "parse_claim",
]

_DIGESTS = {"HmacSHA256": "sha256", "HmacSHA1": "sha1"}
_SESSION = "X-Amz-Security-Token"


def parse_claim(request: SignedRequest, policy: SignaturePolicy) -> Claim:
    """Find what a request claims. Nothing is believed yet.

    :raises MissingParameter: something without which there is no signature to check
    :raises InvalidParameterCombination: a parameter that comes twice, or two ways to sign in one request
    :raises InvalidParameterValue: a version, method, time stamp or credential of another form
    :raises IncompleteSignature: version 4 without one of its parts
    :raises InvalidClientToken: a session token, which this cloud does not give out
    """
    params: dict[str, str] = {}
    for name, value in request.pairs:
        if name in params:
            raise errors.InvalidParameterCombination(f"The parameter {name[:80]} is given twice.")
        params[name] = value
    if _SESSION in params or _SESSION.lower() in request.headers:
        raise errors.InvalidClientToken("Session tokens are not supported.")
    authorization = request.headers.get("authorization", "")
    if authorization.startswith("AWS4-"):
        return sigv4.header_claim(request, params, authorization)
    if "X-Amz-Algorithm" in params:
        return sigv4.query_claim(request, params)
    return _parameter_claim(request, params, policy)


def check_freshness(claim: Claim, now: datetime, policy: SignaturePolicy) -> None:
    """Look at the clock, once the signature has been found right (spec ec2.md 2.6).

    :param now: aware
    :raises RequestExpired: the time stamp is outside of the window, or what the request says of its end
        has passed
    """
    if claim.expires is not None and now >= claim.expires:
        raise errors.RequestExpired(f"Request has expired. It was valid until {claim.expires:%Y-%m-%dT%H:%M:%SZ}.")
    age = (now - claim.timestamp).total_seconds()
    if age < -policy.window or (age > policy.window and not claim.presigned):
        raise errors.RequestExpired("Request has expired. Timestamp is outside of the allowed window.")


# -- versions 0, 1, 2 ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _ParameterClaim(Claim):
    """Versions 0, 1 and 2: the signature is one parameter among the others."""

    digest: str

    def signatures(self, key: bytes) -> list[bytes]:
        """In base64, as they are sent: the bytes behind it can be written in more than one way."""
        return [base64.b64encode(hmac.digest(key, text, self.digest)) for text in _TEXTS[self.version](self)]


def _parameter_claim(request: SignedRequest, params: dict[str, str], policy: SignaturePolicy) -> Claim:
    for name in ("AWSAccessKeyId", "Signature", "SignatureVersion", "Timestamp"):
        if name not in params:
            raise errors.MissingParameter(name)
    check_action(params)
    version = params["SignatureVersion"]
    if not {"2": True, "1": policy.allow_v1, "0": policy.allow_v0}.get(version):
        raise errors.InvalidParameterValue(f"The signature version {version[:40]} is not supported.")
    expires = params.get("Expires")
    return _ParameterClaim(
        version=version,
        access_key=checked_access_key(params["AWSAccessKeyId"]),
        signature=params["Signature"],
        timestamp=iso_time("Timestamp", params["Timestamp"]),
        expires=None if expires is None else iso_time("Expires", expires),
        arguments=[(name, value) for name, value in request.pairs if name not in SIGNATURE_PARAMETERS],
        request=request,
        digest=_digest(version, params, policy),
    )


def _digest(version: str, params: dict[str, str], policy: SignaturePolicy) -> str:
    if version != "1" and "SignatureMethod" not in params:
        raise errors.MissingParameter("SignatureMethod")
    method = params.get("SignatureMethod", "HmacSHA1")
    if method not in _DIGESTS or (method == "HmacSHA1" and version == "2" and not policy.allow_sha1):
        raise errors.InvalidParameterValue(f"The signature method {method[:40]} is not supported.")
    # 2012.1: versions 0 and 1 are made with SHA1 whatever SignatureMethod says.
    return _DIGESTS[method] if version == "2" else "sha1"


def _texts_v0(claim: Claim) -> list[bytes]:
    params = dict(claim.request.pairs)
    return [_utf8(params["Action"] + params["Timestamp"])]


def _texts_v1(claim: Claim) -> list[bytes]:
    signed = sorted(_signed(claim.request), key=lambda pair: pair[0].lower())
    return [_utf8("".join(name + value for name, value in signed))]


def _texts_v2(claim: Claim) -> list[bytes]:
    request = claim.request
    # By the raw bytes of the name: UTF-8 sorts as code points do, and so does str.
    signed = sorted((name, encoded(value)) for name, value in _signed(request))
    query = "&".join(f"{_encoded_name(name)}={value}" for name, value in signed)
    queries = [query]
    if "~" in "".join(name for name, _ in signed):
        # 2012.1 wants %7E in a name; RFC 3986, and with it today's clients, leaves the tilde alone.
        queries.append("&".join(f"{encoded(name)}={value}" for name, value in signed))
    paths = dict.fromkeys((octets(request.path), encoded(unquote_to_bytes(octets(request.path)), "/").encode()))
    # boto signs the host in lower case, whatever the case it sends it in.
    hosts = dict.fromkeys(
        host for given in (request.host, request.host.lower()) for host in (given, without_port(given))
    )
    method = octets(request.method)
    return [
        b"\n".join((method, octets(host), path, text.encode())) for host in hosts for path in paths for text in queries
    ]


_TEXTS = {"0": _texts_v0, "1": _texts_v1, "2": _texts_v2}


def _signed(request: SignedRequest) -> Pairs:
    return [pair for pair in request.pairs if pair[0] != "Signature"]


def _encoded_name(name: str) -> str:
    return encoded(name).replace("~", "%7E")


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
