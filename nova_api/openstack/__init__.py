"""Door 2: the OpenStack Compute API (spec openstack-core.md 1)."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import routes
import webob.exc

from nova_api import wsgi as base
from nova_api.openstack import wsgi
from nova_api.openstack.faults import Fault, FaultWrapper
from nova_api.wsgi import Environ, StartResponse, decoded

__all__ = ["APIMapper", "APIRouter", "FaultWrapper", "ProjectMapper"]

_SUFFIXES = (".json", ".xml")


class APIMapper(routes.Mapper):  # type: ignore[misc]  # Routes carries no types
    """A mapper that routes the empty path, and knows resources whose ids may hold dots."""

    def routematch(self, url: str | None = None, environ: Environ | None = None) -> Any:
        """The arguments and the route of a URL, or None; the empty one, of ``/v2`` without a slash, is a URL too."""
        if url == "":
            result = self._match("", environ)
            return result[0], result[1]
        return super().routematch(url, environ)

    def resource(self, member_name: str, collection_name: str, **options: Any) -> None:
        """Routes of a REST resource.

        :param member_name: singular, ``server``
        :param collection_name: plural, the path
        :param options: ``controller``; ``collection`` and ``member``: names of further actions -> method;
            ``path_prefix``; ``parent_resource``: ``member_name`` and ``collection_name`` of the one around it
        """
        parent = options.get("parent_resource")
        prefix = options.get("path_prefix")
        if prefix is None and parent is not None:
            prefix = f"{parent['collection_name']}/:{parent['member_name']}_id"
        base_path = "/" + "/".join(part.strip("/") for part in (prefix, collection_name) if part)
        common = {"controller": options.get("controller", collection_name)}
        for name, method in (options.get("collection") or {}).items():
            self._connect(f"{base_path}/{name}", method, name, common)
        self._connect(base_path, "POST", "create", common)
        self._connect(base_path, "GET", "index", common)
        self._connect(f"{base_path}/new", "GET", "new", common)
        member = f"{base_path}/:(id)"
        for name, method in {**(options.get("member") or {}), "edit": "GET"}.items():
            self._connect(f"{member}/{name}", method, name, common)
        for method, name in (("PUT", "update"), ("DELETE", "delete"), ("GET", "show")):
            self._connect(member, method, name, common)

    def _connect(self, path: str, method: str, action: str, options: Mapping[str, Any]) -> None:
        conditions = None if method.upper() == "ANY" else {"method": [method.upper()]}
        self.connect(None, path, action=action, conditions=conditions, **options)


class ProjectMapper(APIMapper):
    """Resources below a project: ``/{project_id}/servers``."""

    def resource(self, member_name: str, collection_name: str, **options: Any) -> None:
        """Routes of a REST resource of a project; a ``path_prefix`` of the caller's is not heeded."""
        parent = options.get("parent_resource")
        if parent is None:
            options["path_prefix"] = "{project_id}/"
        else:
            options["path_prefix"] = f"{{project_id}}/{parent['collection_name']}/:{parent['member_name']}_id"
        super().resource(member_name, collection_name, **options)


class ResourceRouter(base.Router):
    """Routes requests to resources by the path, without what Routes' own middleware would add to it."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # Routes' own middleware would let ``?_method=DELETE`` make a GET delete, and takes any ending of an id for a
        # format (spec 11.1, 1; 1.4): the mapper is asked here instead.
        path = decoded(environ.get("PATH_INFO", ""))
        while "//" in path:
            path = path.replace("//", "/")
        match = self.map.routematch(self.without_format(path), environ)
        if not match or not match[0]:
            return Fault(webob.exc.HTTPNotFound())(environ, start_response)
        arguments = match[0]
        environ["wsgiorg.routing_args"] = ((), arguments)
        controller = arguments["controller"]
        answer: Iterable[bytes] = controller(environ, start_response)
        return answer

    def without_format(self, path: str) -> str:
        """A path without the ending that chooses the type of the answer."""
        return path[: path.rindex(".")] if path.endswith(_SUFFIXES) else path


class APIRouter(ResourceRouter):
    """Routes requests to resources: the core ones, those of extensions, and what extensions add to either.

    :param ext_mgr: the extensions; by default what the class attribute ``ExtensionManager`` makes
    :raises Exception: there is neither
    """

    ExtensionManager: ClassVar[Any] = None

    def __init__(self, ext_mgr: Any = None) -> None:
        if ext_mgr is None:
            if self.ExtensionManager is None:
                raise Exception("Must specify an ExtensionManager class")  # noqa: TRY002 -- 2012.1's
            ext_mgr = self.ExtensionManager()
        mapper = ProjectMapper()
        self.resources: dict[str, wsgi.Resource] = {}
        self._setup_routes(mapper, ext_mgr)
        self._setup_ext_routes(mapper, ext_mgr)
        self._setup_extensions(ext_mgr)
        for name, resource in self.resources.items():
            resource.name = name
        super().__init__(mapper)

    @classmethod
    def factory(cls, global_config: Mapping[str, str], **local_config: str) -> Self:
        """Paste application factory; options are not looked at."""
        return cls()

    def _setup_routes(self, mapper: ProjectMapper, ext_mgr: Any) -> None:
        """Routes of the core resources: each API has its own."""
        raise NotImplementedError

    def _setup_ext_routes(self, mapper: ProjectMapper, ext_mgr: Any) -> None:
        for extension in ext_mgr.get_resources():
            resource = wsgi.Resource(extension.controller)
            self.resources[extension.collection] = resource
            options = {
                "controller": resource,
                "collection": extension.collection_actions,
                "member": extension.member_actions,
            }
            if extension.parent:
                options["parent_resource"] = extension.parent
            if extension.custom_routes_fn:
                extension.custom_routes_fn(mapper, resource)
            mapper.resource(extension.collection, extension.collection, **options)

    def _setup_extensions(self, ext_mgr: Any) -> None:
        for extension in ext_mgr.get_controller_extensions():
            resource = self.resources.get(extension.collection)
            if resource is None:
                wsgi.log.warning("extension %s: there is no resource %s", extension.extension, extension.collection)
                continue
            resource.register_actions(extension.controller)
            resource.register_extensions(extension.controller)
