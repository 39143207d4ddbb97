"""Asking Keystone who signed an EC2 request: ``/v2.0/ec2tokens`` of 2012 and ``/v3/ec2tokens`` of today.

An answer is for one signed request and is never kept: a signature that Keystone has found right says nothing about
another request. What is kept is the token with which nova_api itself asks, which Keystone of today wants to see.
"""

import hashlib
import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from nova_api import errors
from nova_api.auth.claims import Claim
from nova_api.auth.keystone_http import Answer, KeystoneHttp

log = logging.getLogger(__name__)

#: A token of ours is renewed this long before its end, and not more often than this for being refused; seconds.
_MARGIN = 60.0
#: Parameters that hold the signature, which does not cover itself.
_SIGNATURES = frozenset({"Signature", "X-Amz-Signature"})


@dataclass(frozen=True, slots=True)
class KeystoneUser:
    """Whom Keystone recognised."""

    token: str = field(repr=False)
    user_id: str
    project_id: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUser:
    """Who nova_api itself is to Keystone, which tells only its services and administrators whose signature it is.

    :ivar auth_url: ``…/v3``, where it logs in; empty: beside the URL that is asked
    :ivar user: its name; empty: the question goes without a token, as in 2012
    """

    auth_url: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    project: str = "service"
    user_domain: str = "default"
    project_domain: str = "default"

    def question(self) -> dict[str, Any]:
        """What a token is asked for with."""
        user = {"name": self.user, "password": self.password, "domain": {"id": self.user_domain}}
        project = {"name": self.project, "domain": {"id": self.project_domain}}
        identity = {"methods": ["password"], "password": {"user": user}}
        return {"auth": {"identity": identity, "scope": {"project": project}}}


class KeystoneClient:
    """Verifies EC2 signatures at Keystone.

    :param url: ``http://localhost:5000/v2.0/ec2tokens`` or ``…/v3/ec2tokens``
    :param timeout: seconds that an exchange may take
    :param ca_file: certificates that Keystone's is checked against; empty for the system's
    :param service: who asks
    :raises ConfigError: the file of certificates cannot be read
    """

    def __init__(self, url: str, timeout: float, ca_file: str = "", service: ServiceUser | None = None) -> None:
        self.url = url
        self._http = KeystoneHttp(timeout, ca_file)
        service = service or ServiceUser()
        login = f"{identity_root(service.auth_url, url)}/auth/tokens"
        self._tokens = _ServiceTokens(self._http, service, login) if service.user else None

    def authenticate(self, claim: Claim) -> KeystoneUser:
        """Whose signature it is.

        :raises KeystoneUnauthorized: nobody's
        :raises InvalidParameterCombination: Keystone would not verify all of the request
        :raises KeystoneFailure: Keystone does not answer as it should
        :raises ServiceUnavailable: it does not answer at all
        """
        answer = self._ask(self._question(claim))
        if answer.status == 401 or _unknown_key(answer):
            # What is wrong is not told: an access key that is unknown looks like one with another secret.
            raise errors.KeystoneUnauthorized(answer.reason if answer.status == 401 else "Unauthorized")
        if answer.status != 200:
            log.error("Keystone answers %d %s to %s", answer.status, answer.reason, urlsplit(self.url).path)
            raise errors.KeystoneFailure()
        try:
            return _user(answer)
        except (KeyError, TypeError) as error:
            log.error("Keystone's answer lacks %s", error)
            raise errors.KeystoneFailure() from error

    def _ask(self, question: dict[str, Any]) -> Answer:
        if self._tokens is None:
            return self._http.post(self.url, question, {})
        token, since = self._tokens.current()
        answer = self._http.post(self.url, question, {"X-Auth-Token": token})
        if answer.status == 401 and time.monotonic() - since > _MARGIN:
            # Of a wrong signature, or of our own token, which Keystone may have revoked.
            token, _ = self._tokens.renewed(token)
            answer = self._http.post(self.url, question, {"X-Auth-Token": token})
        return answer

    def _question(self, claim: Claim) -> dict[str, Any]:
        request = claim.request
        params = {name: value for name, value in request.pairs if name not in _SIGNATURES}
        credentials: dict[str, Any] = {
            "access": claim.access_key,
            "signature": claim.signature,
            "host": request.host,
            "verb": request.method,
            "path": request.path,
            "params": params,
        }
        if claim.version == "4":
            _check_covered(claim)
            credentials["headers"] = {name.title(): value for name, value in request.headers.items()}
            credentials["headers"].setdefault("X-Amz-Date", f"{claim.timestamp:%Y%m%dT%H%M%SZ}")
            credentials["body_hash"] = hashlib.sha256(request.body).hexdigest()
        if "ec2" in self.url:
            return {"ec2Credentials": credentials}
        return {"auth": {"OS-KSEC2:ec2Credentials": credentials}}


class _ServiceTokens:
    """The token of nova_api itself: one, kept until shortly before its end.

    One asks for it at a time, and those that wait meanwhile share what becomes of it: each of them would wait for a
    Keystone that hangs once more, one after the other.
    """

    def __init__(self, http: KeystoneHttp, service: ServiceUser, url: str) -> None:
        self._http, self._service, self._url = http, service, url
        self._lock = threading.Lock()
        self._token, self._since, self._until = "", 0.0, 0.0
        self._failed: tuple[float, errors.ApiError] | None = None

    def current(self) -> tuple[str, float]:
        """The token, and when it was got, on the monotonic clock.

        :raises ServiceUnavailable: Keystone gives none
        """
        asked = time.monotonic()
        with self._lock:
            if not self._token or time.monotonic() >= self._until:
                self._renew(asked)
            return self._token, self._since

    def renewed(self, refused: str) -> tuple[str, float]:
        """Another one than that which was refused; whoever comes later takes the one that was got meanwhile."""
        asked = time.monotonic()
        with self._lock:
            if self._token == refused:
                self._renew(asked)
            return self._token, self._since

    def _renew(self, asked: float) -> None:
        """Get another one.

        :param asked: since when somebody waits for it, on the monotonic clock
        """
        if self._failed is not None and self._failed[0] >= asked:
            raise self._failed[1].with_traceback(None)
        try:
            self._get()
        except errors.ApiError as error:
            self._failed = (time.monotonic(), error)
            raise

    def _get(self) -> None:
        answer = self._http.post(self._url, self._service.question(), {})
        token = answer.headers.get("x-subject-token")
        try:
            if answer.status != 201 or not token:
                raise KeyError("token")
            expires = datetime.fromisoformat(answer.document()["token"]["expires_at"])
            life = (expires.replace(tzinfo=expires.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (KeyError, TypeError, ValueError) as error:
            log.error("Keystone gives no token to %s: %d %s", self._service.user, answer.status, answer.reason)
            raise errors.KeystoneFailure() from error
        self._since = time.monotonic()
        self._token, self._until = token, self._since + life - _MARGIN


def identity_root(auth_url: str, ec2_url: str) -> str:
    """Where the identity API of today begins, ``http://localhost:5000/v3``.

    :param auth_url: where it does, as the operator says; may be empty
    :param ec2_url: ``…/v2.0/ec2tokens`` or ``…/v3/ec2tokens`` of the same Keystone
    """
    if auth_url:
        return auth_url.rstrip("/")
    parts = urlsplit(ec2_url)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path.rpartition('/v')[0]}/v3", "", ""))


def _check_covered(claim: Claim) -> None:
    """Refuse what Keystone would verify in another way than it was read here.

    Its version 4 leaves the query string of a POST out, so that whoever caught one could add to it; and it lets
    ``SignatureVersion``, where there is one, choose a weaker version.

    :raises InvalidParameterCombination: the request has one of these
    """
    if claim.request.method.upper() == "POST" and claim.request.query:
        raise errors.InvalidParameterCombination(
            "A POST with a signature of version 4 has its parameters in the body alone."
        )
    if any(name == "SignatureVersion" for name, _ in claim.request.pairs):
        raise errors.InvalidParameterCombination("SignatureVersion cannot be given beside a signature of version 4.")


def _unknown_key(answer: Answer) -> bool:
    """Whether a 404 is Keystone's word on an access key, and not that of a URL that leads elsewhere."""
    if answer.status != 404:
        return False
    document = answer.document()
    return isinstance(document, dict) and "access key" in str(document.get("error"))


def _user(answer: Answer) -> KeystoneUser:
    document = answer.document()
    if "token" in document:
        token = document["token"]
        return KeystoneUser(
            answer.headers["x-subject-token"],
            token["user"]["id"],
            token["project"]["id"],
            tuple(role["name"] for role in token["roles"]),
        )
    access = document["access"]
    return KeystoneUser(
        access["token"]["id"],
        access["user"]["id"],
        access["token"]["tenant"]["id"],
        tuple(role["name"] for role in access["user"]["roles"]),
    )
