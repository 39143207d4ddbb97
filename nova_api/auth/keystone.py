"""Asking Keystone who signed an EC2 request: ``/v2.0/ec2tokens`` of 2012 and ``/v3/ec2tokens`` of today."""

import hashlib
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from nova_api import errors
from nova_api.auth.signatures import Claim

_MAX_ANSWER = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class KeystoneUser:
    """Whom Keystone recognised."""

    token: str
    user_id: str
    project_id: str
    roles: tuple[str, ...]


class KeystoneClient:
    """Verifies EC2 signatures at Keystone.

    :param url: ``http://localhost:5000/v2.0/ec2tokens`` or ``…/v3/ec2tokens``
    :param timeout: seconds
    :param ca_file: certificates that Keystone's is checked against; empty for the system's
    """

    def __init__(self, url: str, timeout: float, ca_file: str = "") -> None:
        parts = urlsplit(url)
        self.parts, self.timeout = parts, timeout
        self._context = ssl.create_default_context(cafile=ca_file or None) if parts.scheme == "https" else None

    def authenticate(self, claim: Claim) -> KeystoneUser:
        """Whose signature it is.

        :raises KeystoneUnauthorized: nobody's, or Keystone does not answer as it should
        """
        status, reason, headers, body = self._post(self._question(claim))
        if status == 401:
            raise errors.KeystoneUnauthorized(reason)
        if status != 200:
            raise errors.KeystoneUnauthorized("Failure communicating with keystone")
        try:
            return self._user(json.loads(body), headers)
        except (ValueError, KeyError, TypeError) as error:
            raise errors.KeystoneUnauthorized("Failure communicating with keystone") from error

    def _question(self, claim: Claim) -> dict[str, Any]:
        request = claim.request
        credentials: dict[str, Any] = {
            "access": claim.access_key,
            "signature": claim.signature,
            "host": request.host,
            "verb": request.method,
            "path": request.path,
            "params": {name: value for name, value in request.pairs if name != "Signature"},
        }
        if claim.version == "4":
            credentials["headers"] = dict(request.headers)
            credentials["body_hash"] = hashlib.sha256(request.body).hexdigest()
            if "authorization" in request.headers:
                credentials["params"] = {}
        if "ec2" in self.parts.geturl():
            return {"ec2Credentials": credentials}
        return {"auth": {"OS-KSEC2:ec2Credentials": credentials}}

    def _post(self, question: dict[str, Any]) -> tuple[int, str, dict[str, str], bytes]:
        host, port = self.parts.hostname or "", self.parts.port
        connection: http.client.HTTPConnection
        if self._context is not None:
            connection = http.client.HTTPSConnection(host, port, timeout=self.timeout, context=self._context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self.timeout)
        try:
            connection.request(
                "POST", self.parts.path or "/", json.dumps(question), {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, answer.reason, headers, answer.read(_MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise errors.KeystoneUnauthorized("Failure communicating with keystone") from error
        finally:
            connection.close()

    @staticmethod
    def _user(document: dict[str, Any], headers: dict[str, str]) -> KeystoneUser:
        if "token" in document:
            token = document["token"]
            return KeystoneUser(
                headers["x-subject-token"],
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
