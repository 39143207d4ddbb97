"""Resources: from a routed request to a controller's method, and from what it returns to an answer.

The order of events is that of 2012.1 (spec openstack-core.md 1.5): body and types, the method, the body read, the
project of the URL, extensions before, the method, extensions after, the answer written.
"""

import inspect
import json
import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

import webob
import webob.exc

from nova_api import errors
from nova_api import wsgi as base
from nova_api.context import RequestContext
from nova_api.openstack import bodies, xml
from nova_api.openstack.faults import CONTEXT, Fault, OverLimitFault, of_error
from nova_api.openstack.media import BEST, CLASSES, JSON, SUPPORTED, best_match, body_type
from nova_api.wsgi import Environ, StartResponse, WsgiApplication

log = logging.getLogger(__name__)

#: Set on functions by the decorators below.
_ACTION, _EXTENDS, _CODE = "wsgi_action", "wsgi_extends", "wsgi_code"
_SERIALIZERS, _DESERIALIZERS = "wsgi_serializers", "wsgi_deserializers"


class Request(base.Request):
    """A request of this door."""

    def best_match_content_type(self, supported: tuple[str, ...] = SUPPORTED) -> str:
        """The type to answer in, as the URL map has found it."""
        found = self.environ.get(BEST)
        if found is None:
            found = best_match(self.headers.get("Accept", ""), supported)[0] or JSON
            self.environ[BEST] = found
        return str(found)

    def get_content_type(self) -> str | None:
        """The type of the body; None when there is no type that is read."""
        return body_type(self.environ.get("CONTENT_TYPE") or "")

    @property
    def context(self) -> RequestContext:
        """Who asks."""
        found: RequestContext = self.environ[CONTEXT]
        return found


# -- what controllers are decorated with --------------------------------------------------------------------


def action(name: str) -> Callable[[Any], Any]:
    """Mark a method as the handler of an action, by the key of its body."""

    def mark(method: Any) -> Any:
        setattr(method, _ACTION, name)
        return method

    return mark


def extends(*methods: Any, **options: str) -> Any:
    """Mark a method as an extension of the controller's method of the same name, or of an action.

    ``@extends`` or ``@extends(action="resize")``. A generator runs to its first ``yield`` before the method, and
    is sent the answer after it; a plain function runs after it.
    """

    def mark(method: Any) -> Any:
        setattr(method, _EXTENDS, (method.__name__, options.get("action")))
        return method

    return mark(methods[0]) if methods else mark


def response(code: int) -> Callable[[Any], Any]:
    """The status of a method's success."""

    def mark(method: Any) -> Any:
        setattr(method, _CODE, code)
        return method

    return mark


def serializers(**by_class: Any) -> Callable[[Any], Any]:
    """How a method's answer is written, by media class: a template, or anything with ``serialize(data)``."""

    def mark(method: Any) -> Any:
        setattr(method, _SERIALIZERS, {**getattr(method, _SERIALIZERS, {}), **by_class})
        return method

    return mark


def deserializers(**by_class: Callable[[bytes], dict[str, Any]]) -> Callable[[Any], Any]:
    """How a method's body is read, by media class: a function of the bytes that gives arguments of the method."""

    def mark(method: Any) -> Any:
        setattr(method, _DESERIALIZERS, {**getattr(method, _DESERIALIZERS, {}), **by_class})
        return method

    return mark


class Controller:
    """What a resource dispatches to: methods by the action of the route, and the actions of bodies.

    :cvar wsgi_actions: name of an action -> name of the method, of this class alone
    :cvar wsgi_extensions: pairs of method and action (or None) that this class extends
    """

    wsgi_actions: Mapping[str, str] = {}
    wsgi_extensions: Sequence[tuple[str, str | None]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = {name: value for name, value in vars(cls).items() if callable(value)}
        cls.wsgi_actions = {getattr(one, _ACTION): name for name, one in own.items() if hasattr(one, _ACTION)}
        cls.wsgi_extensions = [(name, getattr(one, _EXTENDS)[1]) for name, one in own.items() if hasattr(one, _EXTENDS)]


class ResponseObject:
    """An answer before it is written; extensions may change it.

    :param obj: what is shown; None for an answer without a body
    :param code: the status; the method's own without it
    :param text: the same as JSON, for those who have written it already; ``obj`` is read from it when asked for
    :param slaves: XML templates that are merged into the method's
    :param by_class: serializers that go before the method's
    """

    def __init__(
        self,
        obj: Any = None,
        code: int | None = None,
        *,
        text: str | None = None,
        slaves: Sequence[xml.Template] = (),
        **by_class: Any,
    ) -> None:
        self._obj, self._text = obj, text
        self._code, self._default_code = code, 200
        self.serializers: dict[str, Any] = by_class
        self.headers: dict[str, str] = {}
        self.media_class = "json"
        self._serializer: Any = None
        self._slaves: list[Any] = list(slaves)

    @property
    def obj(self) -> Any:
        """What is shown."""
        if self._text is not None:
            # From here on it may be changed: the text no longer counts.
            self._obj, self._text = json.loads(self._text), None
        return self._obj

    @obj.setter
    def obj(self, value: Any) -> None:
        self._obj, self._text = value, None

    def __getitem__(self, name: str) -> str:
        return self.headers[name.lower()]

    def __setitem__(self, name: str, value: str) -> None:
        self.headers[name.lower()] = value

    def __delitem__(self, name: str) -> None:
        del self.headers[name.lower()]

    @property
    def code(self) -> int:
        """The status."""
        return self._code or self._default_code

    def bind(self, method: Any, media_class: str) -> None:
        """Take from a method what this answer does not say itself."""
        self._default_code = getattr(method, _CODE, 200)
        self.media_class = media_class
        found = {**getattr(method, _SERIALIZERS, {}), **self.serializers}
        self._serializer = found.get(media_class)

    def attach(self, **templates: Any) -> None:
        """Add an extension's template to the document, when its media class is the one in use."""
        if self.media_class in templates:
            self._slaves.append(templates[self.media_class])

    def body(self) -> bytes:
        """The answer as text."""
        if self._text is not None and self._serializer is None and self.media_class == "json":
            return self._text.encode()
        shown = self.obj
        if shown is None:
            return b""
        if self._serializer is not None:
            made: Any = self._serializer() if inspect.isclass(self._serializer) else self._serializer
            merging = self._slaves and self.media_class == "xml"
            return bytes(made.serialize(shown, self._slaves) if merging else made.serialize(shown))
        if self.media_class == "xml":
            return xml.plain_document(shown) if shown else b""
        return json.dumps(shown, default=str).encode()


# -- dispatch -----------------------------------------------------------------------------------------------


class Resource(base.Application):
    """A controller as a WSGI application.

    :param controller: its methods are the actions of the routes; None for a resource that extensions make up
    """

    def __init__(self, controller: Any = None) -> None:
        self.controller = controller
        self.name = type(controller).__name__  # a router tells it the name of its collection
        self.wsgi_actions: dict[str, Callable[..., Any]] = {}
        self.wsgi_extensions: dict[str, list[Callable[..., Any]]] = {}
        self.wsgi_action_extensions: dict[str, list[Callable[..., Any]]] = {}
        if controller is not None:
            for kind in reversed(type(controller).__mro__):
                self._add_actions(controller, vars(kind).get("wsgi_actions", {}))

    def register_actions(self, controller: Any) -> None:
        """Add the actions of an extension's controller."""
        self._add_actions(controller, controller.wsgi_actions)

    def _add_actions(self, controller: Any, named: Mapping[str, str]) -> None:
        for key, name in named.items():
            self.wsgi_actions[key] = getattr(controller, name)

    def register_extensions(self, controller: Any) -> None:
        """Add what an extension's controller does before and after methods of this one."""
        for name, of_action in controller.wsgi_extensions:
            place = self.wsgi_extensions if of_action is None else self.wsgi_action_extensions
            place.setdefault(of_action or name, []).append(getattr(controller, name))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        try:
            answer = self._run(request)
        except errors.ApiError as error:
            return of_error(error)(environ, start_response)
        except (Fault, OverLimitFault) as fault:
            return fault(environ, start_response)
        except webob.exc.HTTPException as error:
            return Fault(error)(environ, start_response)
        if isinstance(answer, ResponseObject):
            return _send(answer, request, start_response)
        return answer(environ, start_response)

    def _run(self, request: Request) -> "ResponseObject | WsgiApplication":
        arguments = self.get_action_args(request.environ)
        name = arguments.pop("action", None)
        content_type, body = bodies.body_of(request)
        accept = request.best_match_content_type()
        method, extensions = self.get_method(name, content_type, body)
        request.environ[base.ACTION] = f"{self.name}.{getattr(method, '__name__', 'call').strip('_')}"
        if content_type is not None:
            own = getattr(method, _DESERIALIZERS, {}).get(CLASSES[content_type])
            arguments.update(bodies.arguments_of(own, content_type, body))
        _check_project(request, arguments)
        return self._process(request, method, extensions, arguments, accept)

    def _process(
        self,
        request: Request,
        method: Callable[..., Any],
        extensions: Sequence[Callable[..., Any]],
        arguments: dict[str, Any],
        accept: str,
    ) -> "ResponseObject | WsgiApplication":
        answer, after = _before(request, extensions, arguments)
        if answer is None:
            answer = _call(method, request, arguments)
        if answer is None or isinstance(answer, dict):
            answer = ResponseObject(answer)
        if isinstance(answer, ResponseObject):
            context = request.environ.get(CONTEXT)
            if isinstance(context, RequestContext):
                answer["x-compute-request-id"] = context.request_id
            answer.bind(method, CLASSES[accept])
            answer = _after(request, after, answer, arguments)
        result: ResponseObject | WsgiApplication = answer
        return result

    def get_action_args(self, environ: Environ) -> dict[str, Any]:
        """What the route says about the request."""
        own = getattr(self.controller, "get_action_args", None)
        if own is not None:
            return dict(own(environ))
        found = dict(environ["wsgiorg.routing_args"][1])
        found.pop("controller", None)
        found.pop("format", None)
        return found

    def get_method(
        self, name: str | None, content_type: str | None, body: bytes
    ) -> tuple[Callable[..., Any], Sequence[Callable[..., Any]]]:
        """The method of an action of the route, and what extends it.

        :raises HTTPNotFound: the controller has none of that name
        :raises HTTPBadRequest: an action that is not known
        """
        method = None if not name or name.startswith("_") else getattr(self.controller or self, name, None)
        if method is not None and name is not None:
            return method, self.wsgi_extensions.get(name, ())
        if not self.wsgi_actions or name not in ("action", "create", "delete"):
            raise webob.exc.HTTPNotFound
        key = bodies.action_of(content_type, body) if name == "action" else name
        found = self.wsgi_actions.get(key)
        if found is None:
            if name != "action":
                raise webob.exc.HTTPNotFound
            raise webob.exc.HTTPBadRequest(explanation=f"There is no such action: {key}")
        return found, self.wsgi_action_extensions.get(key, ())


def _check_project(request: Request, arguments: dict[str, Any]) -> None:
    """The project of the URL must be the context's; checked after the body is read, as in 2012.1."""
    project = arguments.pop("project_id", None)
    context = request.environ.get(CONTEXT)
    if isinstance(context, RequestContext) and project and project != context.project_id:
        raise webob.exc.HTTPBadRequest(explanation="Malformed request url")


def _call(method: Callable[..., Any], request: Request, arguments: dict[str, Any]) -> Any:
    """Call a method; one that is given a body it has no use for, or lacks the one it needs, is a bad request."""
    signature = _signature(method)
    if signature is not None:
        try:
            signature.bind(req=request, **arguments)
        except TypeError:
            raise webob.exc.HTTPBadRequest from None
    return method(req=request, **arguments)


_signatures: dict[Any, inspect.Signature | None] = {}


def _signature(method: Callable[..., Any]) -> inspect.Signature | None:
    """The signature of a method, found out once."""
    key = getattr(method, "__func__", method)
    if key not in _signatures:
        parameters = inspect.signature(key)
        bound = hasattr(method, "__func__")
        _signatures[key] = (
            parameters.replace(parameters=list(parameters.parameters.values())[1:]) if bound else parameters
        )
    return _signatures[key]


Running = Generator[Any, Any, Any]


def _before(
    request: Request, extensions: Sequence[Callable[..., Any]], arguments: dict[str, Any]
) -> tuple[Any, list[Any]]:
    """Run what extensions do before a method.

    :returns: an answer that ends the request, or None; and what is left to do after the method, the last one first
    """
    after: list[Any] = []
    for extension in extensions:
        if not inspect.isgeneratorfunction(extension):
            after.append(extension)
            continue
        running = extension(req=request, **arguments)
        try:
            answer = next(running)
        except StopIteration:
            continue
        if answer is not None:
            return answer, []
        after.append(running)
    after.reverse()
    return None, after


def _after(request: Request, after: Sequence[Any], answer: ResponseObject, arguments: dict[str, Any]) -> Any:
    current: Any = answer
    for extension in after:
        replaced = None
        if inspect.isgenerator(extension):
            try:
                replaced = extension.send(current)
            except StopIteration:
                continue
        else:
            replaced = extension(req=request, resp_obj=current, **arguments)
        if replaced is not None and replaced is not False:
            current = replaced
    return current


def _send(answer: ResponseObject, request: Request, start_response: StartResponse) -> Iterable[bytes]:
    body = answer.body()
    code = answer.code
    reason = webob.exc.status_map[code].title if code in webob.exc.status_map else "OK"
    headers = [("Content-Type", request.best_match_content_type()), ("Content-Length", str(len(body)))]
    if code == 204:
        headers.pop()
    start_response(f"{code} {reason}", headers + list(answer.headers.items()))
    return [body]


def accepted() -> webob.Response:
    """``202 Accepted`` without a document, as actions answer."""
    return webob.Response(status=202, content_type="text/html", charset="UTF-8")
