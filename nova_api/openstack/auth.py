"""Who asks at the OpenStack door: tokens of the datastore, anybody, or Keystone's word (spec openstack-core.md 3)."""

import hmac
import re
from collections.abc import Iterable
from typing import Any

import webob
import webob.exc

from nova_api import limits, runtime
from nova_api.auth import callers
from nova_api.auth.tokens import Tokens
from nova_api.context import RequestContext
from nova_api.openstack import mounts, wsgi
from nova_api.openstack.faults import CONTEXT, Fault
from nova_api.openstack.versions import V1_0, VOLUME_VERSIONS, VersionDetail, create_resource
from nova_api.openstack.views.links import segment
from nova_api.wsgi import Environ, Middleware, StartResponse, WsgiApplication, decoded

_PRINTABLE = re.compile(r"[\x21-\x7e]+\Z")


class _Admitting(Middleware):
    """What the three have in common: the context that goes into the environ, or an answer of their own.

    :param services: the runtime; the current one by default
    """

    def __init__(self, application: WsgiApplication, services: runtime.Runtime | None = None) -> None:
        super().__init__(application)
        self.services = services or runtime.current()
        self.config = self.services.config
        self._trusted = callers.networks(self.config.trusted_proxies)
        self._version_document = create_resource()
        self._volume_version = wsgi.Resource(VersionDetail(VOLUME_VERSIONS[0]))
        self._version_1_0 = create_resource(V1_0)

    def remote_address(self, environ: Environ) -> str | None:
        """The address of the caller, as far as it can be believed."""
        return callers.caller(environ, forwarded=self.config.use_forwarded_for, trusted=self._trusted)

    def show_version(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The version document, which needs no login (spec 3.1 [D])."""
        environ["wsgiorg.routing_args"] = ((), {"action": "show"})
        of_volumes = environ.get("SCRIPT_NAME", "").endswith(f"/{VOLUME_VERSIONS[0]['mount']}")
        document = self._volume_version if of_volumes else self._version_document
        if mounts.is_v1_0(environ):
            document = self._version_1_0
        return document(environ, start_response)


def _at_root(environ: Environ) -> bool:
    return environ.get("PATH_INFO", "") in ("", "/")


def _unauthorized(explanation: str | None = None) -> Fault:
    return Fault(webob.exc.HTTPUnauthorized(explanation=explanation) if explanation else webob.exc.HTTPUnauthorized())


def _management_url(environ: Environ, root: str, project: str) -> str:
    """What a client puts paths behind; that of the 1.0 API names no project, the token carries it (spec 9.1 [D]).

    :param root: the URL of the login
    """
    root = root.rstrip("/")
    return root if mounts.is_v1_0(environ) else f"{root}/{segment(project)}"


def _granted(token: str, management_url: str) -> webob.Response:
    """What a login answers: no document, everything in headers."""
    answer = webob.Response(status=204)
    # Set as headers: webob takes a type and a length for nonsense where there is no document (spec 3.1).
    answer.headers["Content-Type"] = "text/plain; charset=UTF-8"
    answer.headers["X-Auth-Token"] = token
    answer.headers["X-Server-Management-Url"] = management_url
    answer.headers["Content-Length"] = "0"
    return answer


class AuthMiddleware(_Admitting):
    """Authorize the openstack API request or return an HTTP Forbidden.

    A request without ``X-Auth-Token`` is a login: ``X-Auth-User`` is the user's name, ``X-Auth-Key`` one of the
    user's access keys. With one, the token says who asks and the path for which project.

    :param application: the pipeline below
    :param db_driver: keeps the tokens: ``issue`` and ``lookup`` as :class:`nova_api.auth.tokens.Tokens` has them
    """

    def __init__(
        self, application: WsgiApplication, db_driver: Any = None, services: runtime.Runtime | None = None
    ) -> None:
        super().__init__(application, services)
        self.identity = self.services.identity
        self.tokens: Any = db_driver or Tokens(self.services.db)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        login = "HTTP_X_AUTH_USER" in environ or "HTTP_X_AUTH_KEY" in environ
        req = webob.Request(environ)
        if not login and environ.get("REQUEST_METHOD") == "GET" and _at_root(environ):
            # Whoever is logged in is sent from /v1 to /v1/, as in 2012.1.
            if environ.get("PATH_INFO") or not self.has_authentication(req) or self._context(req) is None:
                return self.show_version(environ, start_response)
        if not self.has_authentication(req):
            answer: WsgiApplication = self.authenticate(req)
            return answer(environ, start_response)
        context = self._context(req)
        if context is None:
            return _unauthorized()(environ, start_response)
        environ[CONTEXT] = context
        return self.application(environ, start_response)

    def has_authentication(self, req: webob.Request) -> bool:
        """Whether the request carries a token."""
        return bool(req.headers.get("X-Auth-Token"))

    def get_user_by_authentication(self, req: webob.Request) -> dict[str, Any] | None:
        """The user whose token the request carries, or None."""
        return self.authorize_token(req.headers["X-Auth-Token"])

    def authorize_token(self, token_hash: str) -> dict[str, Any] | None:
        """The user behind a token.

        :param token_hash: the token as the client sends it; the datastore knows a digest of it
        :returns: ``{"id": name of the user, "is_admin": the user's own flag}``; None for a token that is unknown, or
            older than two days, which removes it
        """
        row = self.tokens.lookup(token_hash)
        return None if row is None else {"id": row.user_id, "is_admin": bool(row.is_admin)}

    def authenticate(self, req: webob.Request) -> Any:
        """Answer a login: 204 with a token, or a fault."""
        if not _at_root(req.environ):
            return _unauthorized("Authentication requests must be made against a version root (e.g. /v2).")
        for name in ("X-Auth-User", "X-Auth-Key"):
            if name not in req.headers:
                return _unauthorized(f"Could not find '{name}' in request.")
        user = self._user(req.headers["X-Auth-User"], req.headers["X-Auth-Key"])
        if user is None:
            return _unauthorized()
        mine = self.identity.projects_of(user)
        wanted = req.headers.get("X-Auth-Project-Id")
        project = next((one for one in (_readings(wanted) if wanted else mine) if one in mine), None)
        if project is None:
            return _unauthorized()
        url = _management_url(req.environ, req.path_url if mounts.is_v1_0(req.environ) else req.url, project)
        return _granted(self.tokens.issue(user, project, url[: limits.MAX_URL]), url)

    def _user(self, name: str, key: str) -> str | None:
        """The user of that name, if the access key is one of the user's."""
        if not 0 < len(key) <= limits.MAX_ACCESS_KEY or len(name) > limits.MAX_NAME:
            return None
        found = self.identity.user_of_key(key)
        if found is None or not any(hmac.compare_digest(_bytes(found), _bytes(one)) for one in _readings(name)):
            return None
        return found

    def _context(self, req: webob.Request) -> RequestContext | None:
        user = self.get_user_by_authentication(req)
        if user is None:
            return None
        project = self._project(req, user["id"])
        if not project:
            return None
        rights = self.identity.rights(user["id"], project, is_admin=user["is_admin"])
        if not rights.exists or not rights.member:
            return None
        return RequestContext(
            user_id=user["id"],
            project_id=project,
            is_admin=rights.is_admin,
            roles=rights.roles,
            remote_address=self.remote_address(req.environ),
        )

    def _project(self, req: webob.Request, user: str) -> str | None:
        """The project that a request is about: the path's, else the header's, else the user's first.

        In the 1.0 API that of the login counts in place of the header's.
        """
        found = mounts.project_of(req.environ)
        if found is not None:
            return found
        if mounts.is_v1_0(req.environ):
            row = self.tokens.lookup(req.headers["X-Auth-Token"])
            found = None if row is None else row.project_id
        else:
            found = req.headers.get("X-Auth-Project-Id")
        return found or next(iter(self.identity.projects_of(user)), None)


class NoAuthMiddleware(_Admitting):
    """Return a fake token if one isn't specified; everybody is an administrator."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        req = webob.Request(environ)
        token = req.headers.get("X-Auth-Token")
        if not token:
            if "HTTP_X_AUTH_USER" not in environ and req.method == "GET" and _at_root(environ):
                return self.show_version(environ, start_response)
            answer: WsgiApplication = self._login(req)
            return answer(environ, start_response)
        user, _, project = token.partition(":")
        project = project or user
        if max(len(user), len(project)) > limits.MAX_NAME:
            return _unauthorized()(environ, start_response)
        environ[CONTEXT] = RequestContext(
            user_id=user,
            project_id=project,
            is_admin=True,
            roles=("admin",),
            remote_address=self.remote_address(environ),
        )
        return self.application(environ, start_response)

    @staticmethod
    def _login(req: webob.Request) -> Any:
        user = req.headers.get("X-Auth-User", "admin")
        project = req.headers.get("X-Auth-Project-Id", "admin")
        if not _PRINTABLE.match(user + project) or max(len(user), len(project)) > limits.MAX_NAME:
            return Fault(webob.exc.HTTPBadRequest())
        return _granted(f"{user}:{project}", _management_url(req.environ, req.path_url, project))


class NovaKeystoneContext(_Admitting):
    """Make a request context from keystone headers, which the token middleware before it has set."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        user = environ.get("HTTP_X_USER_ID") or environ.get("HTTP_X_USER")
        project = environ.get("HTTP_X_TENANT_ID") or environ.get("HTTP_X_TENANT") or environ.get("HTTP_X_PROJECT_ID")
        confirmed = environ.get("HTTP_X_IDENTITY_STATUS", "Confirmed") == "Confirmed"
        if not user or not project or not confirmed:
            return _unauthorized()(environ, start_response)
        named = environ.get("HTTP_X_ROLE") or environ.get("HTTP_X_ROLES") or ""
        roles = tuple(part.strip() for part in named.split(",") if part.strip())
        is_admin = any(role.lower() == "admin" for role in roles)
        environ[CONTEXT] = RequestContext(
            user_id=user,
            project_id=project,
            is_admin=is_admin,
            roles=roles if not is_admin or "admin" in roles else (*roles, "admin"),
            remote_address=self.remote_address(environ),
            auth_token=environ.get("HTTP_X_AUTH_TOKEN") or environ.get("HTTP_X_STORAGE_TOKEN"),
        )
        return self.application(environ, start_response)


def _readings(header: str) -> tuple[str, ...]:
    """What a header may mean: clients send UTF-8, and Python's own Latin-1 where that does."""
    return (header,) if header.isascii() else (decoded(header), header)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
