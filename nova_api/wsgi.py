"""The four base types of every door -- Request, Application, Middleware, Router -- and the Paste factories.

On the way of a request a middleware is plain WSGI: it calls ``self.application(environ, start_response)`` and does not
rebuild the answer. Those that look at a request with webob override :meth:`Middleware.process_request`, and those that
filter answers :meth:`Middleware.process_response`.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import routes
import routes.middleware
import webob
import webob.dec
import webob.exc

from nova_api import errors, limits, runtime

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApplication = Callable[[Environ, StartResponse], Iterable[bytes]]

#: In the environ: what a door found to be asked for, out of its own table of names and never the client's text.
ACTION = "nova.action"
#: What was asked for before a door has found out, or when there is no such thing.
UNKNOWN_ACTION = "unknown"
#: In the environ: a layer has written the log line of this request.
LOGGED = "nova.logged"

_SLASHES = re.compile("//+")

#: The old name of an authentication strategy.
_STRATEGY_ALIASES = {"local": ("local", "deprecated"), "deprecated": ("deprecated", "local")}


def decoded(path: str) -> str:
    """A path of the environ, which carries its bytes as Latin-1, as text; what is no UTF-8 names nothing."""
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")


def read_body(environ: Environ) -> bytes:
    """The body of a request, with or without its length said beforehand.

    :raises RequestTooLarge: beyond ``MAX_BODY_BYTES``
    :raises LengthRequired: it is chunked, and the server does not say where it ends
    :raises InvalidParameterValue: ``Content-Length`` is no number
    :raises MalformedQueryString: it ended early, or is not framed as it should be
    """
    length = environ.get("CONTENT_LENGTH") or ""
    chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    if not length and not chunked:
        return b""
    if not length and not environ.get("wsgi.input_terminated"):
        raise errors.LengthRequired("The server takes no chunked body: send Content-Length.")
    if length and not (length.isascii() and length.isdigit() and len(length) < 19):
        raise errors.InvalidParameterValue("Content-Length is no number.")
    if length and int(length) > limits.MAX_BODY_BYTES:
        raise errors.RequestTooLarge(f"A request body has at most {limits.MAX_BODY_BYTES} bytes.")
    wanted = int(length) if length else limits.MAX_BODY_BYTES + 1
    try:
        body = _read_exactly(environ["wsgi.input"], wanted)
    except Exception as error:  # each server has classes of its own for a body that is framed wrongly or ends early
        raise errors.MalformedQueryString("The request body could not be read.") from error
    if len(body) > limits.MAX_BODY_BYTES:
        raise errors.RequestTooLarge(f"A request body has at most {limits.MAX_BODY_BYTES} bytes.")
    if length and len(body) < wanted:
        raise errors.MalformedQueryString("The request body ended early.")
    return body


def _read_exactly(stream: Any, wanted: int) -> bytes:
    parts, left = [], wanted
    while left > 0:
        data = stream.read(left)
        if not data:
            break
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


class Request(webob.Request):  # type: ignore[misc]  # webob carries no types
    """A request, with what the doors ask of it."""

    def best_match_content_type(self, supported: tuple[str, ...] = ("application/json", "application/xml")) -> str:
        """The content type to answer in: by the path's suffix, else by the Accept header.

        :param supported: content types, the default first
        """
        suffix = self.path.rpartition(".")[2]
        by_suffix = f"application/{suffix}"
        if by_suffix in supported:
            return by_suffix
        return str(self.accept.best_match(supported, default_match=supported[0]) or supported[0])


class Application:
    """A WSGI application that a Paste file can name."""

    @classmethod
    def factory(cls, global_config: Mapping[str, str], **local_config: str) -> Self:
        """Paste application factory; options of the section go to the constructor."""
        return cls(**local_config)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        raise NotImplementedError


class Middleware(Application):
    """A WSGI application around another one.

    :param application: the one below
    """

    def __init__(self, application: WsgiApplication) -> None:
        self.application = application

    @classmethod
    def factory(cls, global_config: Mapping[str, str], **local_config: str) -> Any:
        """Paste filter factory: a callable that wraps an application."""

        def wrap(application: WsgiApplication) -> Middleware:
            return cls(application, **local_config)

        return wrap

    def process_request(self, request: Request) -> webob.Response | None:
        """An answer of this layer's own, or None to pass the request on."""
        return None

    def process_response(self, response: webob.Response) -> webob.Response:
        """What is answered in place of the answer from below; that is rebuilt for layers only that override this."""
        return response

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        answer: WsgiApplication = self.process_request(request) or self.application
        if answer is self.application and type(self).process_response is not Middleware.process_response:
            answer = self.process_response(request.get_response(self.application))
        return answer(environ, start_response)


class Debug(Middleware):
    """Prints every request and answer; for a developer's terminal, never in a shipped pipeline."""

    @webob.dec.wsgify(RequestClass=Request)  # type: ignore[untyped-decorator]  # webob carries no types
    def __call__(self, req: Request) -> webob.Response:
        print(("*" * 40) + " REQUEST ENVIRON")
        for key, value in sorted(req.environ.items()):
            print(f"{key} = {value}")
        answer = req.get_response(self.application)
        print(("*" * 40) + " RESPONSE HEADERS")
        for key, value in answer.headers.items():
            print(f"{key} = {value}")
        answer.app_iter = self.print_generator(answer.app_iter)
        return answer

    @staticmethod
    def print_generator(app_iter: Iterable[bytes]) -> Iterable[bytes]:
        """Pass a body on, printing it."""
        print(("*" * 40) + " BODY")
        for part in app_iter:
            sys.stdout.write(part.decode("utf-8", "replace"))
            sys.stdout.flush()
            yield part
        print()


class Router(Application):
    """Dispatches by the URL to the WSGI application in a route's ``controller``.

    :param mapper: a :class:`routes.Mapper`
    """

    def __init__(self, mapper: routes.Mapper) -> None:
        self.map = mapper
        self._router = routes.middleware.RoutesMiddleware(self._dispatch, self.map)

    @classmethod
    def factory(cls, global_config: Mapping[str, str], **local_config: str) -> Self:
        """Paste application factory."""
        return cls(routes.Mapper())

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answer: Iterable[bytes] = self._router(environ, start_response)
        return answer

    @staticmethod
    def _dispatch(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        match = environ["wsgiorg.routing_args"][1]
        application: WsgiApplication = match["controller"] if match else webob.exc.HTTPNotFound()
        return application(environ, start_response)


def pipeline_factory(loader: Any, global_config: Mapping[str, str], **local_config: str) -> WsgiApplication:
    """Paste composite factory: the pipeline of the configured ``auth_strategy``.

    Each option of the section is a pipeline; ``<strategy>_nolimit`` is taken when ``api_rate_limit`` is off and there
    is one.

    :raises LookupError: the section has no pipeline for the strategy
    """
    config = runtime.current().config
    names = _STRATEGY_ALIASES.get(config.auth_strategy, (config.auth_strategy,))
    if not config.api_rate_limit:
        names = (*(f"{name}_nolimit" for name in names), *names)
    text = next((local_config[name] for name in names if name in local_config), None)
    if text is None:
        raise LookupError(f"no pipeline for auth_strategy={config.auth_strategy}")
    *filters, last = text.split()
    application: WsgiApplication = loader.get_app(last)
    for name in reversed(filters):
        application = loader.get_filter(name)(application)
    return application


class UrlMap:
    """Applications by path prefix; the longest prefix wins, whole path segments only.

    Slashes that follow each other count as one, as in Paste's map, which 2012.1 used.

    :param applications: by prefix, ``/services/Cloud`` for example
    """

    def __init__(self, applications: Mapping[str, WsgiApplication]) -> None:
        by_length = sorted(applications.items(), key=lambda item: len(item[0]), reverse=True)
        self.applications = [("" if prefix == "/" else prefix.rstrip("/"), app) for prefix, app in by_length]

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = _SLASHES.sub("/", environ.get("PATH_INFO", ""))
        for prefix, application in self.applications:
            if path == prefix or path.startswith(f"{prefix}/"):
                environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
                environ["PATH_INFO"] = path[len(prefix) :]
                return application(environ, start_response)
        return not_found(start_response)


def not_found(start_response: StartResponse) -> Iterable[bytes]:
    """What 2012.1 sent for a path that nothing is mounted at."""
    body = b"404 Not Found\n\nThe resource could not be found.\n\n   "
    start_response("404 Not Found", [("Content-Type", "text/plain; charset=UTF-8"), ("Content-Length", str(len(body)))])
    return [body]


def urlmap_factory(loader: Any, global_config: Mapping[str, str], **local_config: str) -> UrlMap:
    """Paste composite factory: ``/prefix = application name`` lines."""
    return UrlMap(load_applications(loader, global_config, local_config))


def load_applications(
    loader: Any, global_config: Mapping[str, str], local_config: Mapping[str, str]
) -> dict[str, WsgiApplication]:
    """The applications that a section of a URL map names, by prefix."""
    return {
        prefix: loader.get_app(name, global_conf=global_config)
        for prefix, name in local_config.items()
        if prefix.startswith("/")
    }
