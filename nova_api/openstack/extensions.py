"""Extensions: what they are, what they bring, and how they are found (spec openstack-core.md 7).

An extension is a class that describes itself and says what it adds: resources of its own, actions and hooks of the
resources that exist, and attributes of their documents. The project's own are in :mod:`nova_api.openstack.contrib`;
others come from the folder ``osapi_extensions_path``, from the entry points of the group ``nova_api.extensions``, or
are named in the option ``osapi_compute_extension``.
"""

import importlib.metadata
import importlib.util
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import webob.exc

from nova_api import errors, runtime
from nova_api.context import RequestContext
from nova_api.openstack import wsgi
from nova_api.openstack.xml import ATOM_NS, COMMON_NS, COMMON_NSMAP, LINKS, Element, Template

log = logging.getLogger(__name__)

ENTRY_POINTS = "nova_api.extensions"
_FIELDS = ("name", "alias", "namespace", "updated")


@dataclass(frozen=True, slots=True)
class ResourceExtension:
    """A resource that an extension brings.

    :ivar collection: its path
    :ivar controller: its methods
    :ivar parent: ``member_name`` and ``collection_name`` of the resource it is below
    :ivar collection_actions: further actions of the collection -> HTTP method; member_actions of its members
    :ivar custom_routes_fn: called with the mapper and the resource, for routes of another form
    """

    collection: str
    controller: Any
    parent: Mapping[str, str] | None = None
    collection_actions: Mapping[str, str] | None = None
    member_actions: Mapping[str, str] | None = None
    custom_routes_fn: Callable[[Any, Any], None] | None = None


@dataclass(frozen=True, slots=True)
class ControllerExtension:
    """What an extension adds to a resource that exists: actions and ``@extends`` methods.

    :ivar extension: the descriptor
    :ivar collection: name of the resource
    """

    extension: Any
    collection: str
    controller: Any


@dataclass(frozen=True, slots=True)
class AttributeExtension:
    """Attributes that an extension adds to documents: written with the rest of it, row by row.

    :ivar collection: ``servers``, ``flavors`` or ``images``
    :ivar write: the attributes of a row, as JSON members after a comma: ``,"OS-EXT-STS:power_state":1``
    :ivar template: the same for XML
    :ivar allowed: whether the caller sees them; everybody without it
    :ivar own: whether they are of this one server: they tell its number, name or times
    :ivar on: documents that have them, out of ``show``, ``detail``, ``create``, ``update``
    """

    collection: str
    write: Callable[[Any], str]
    template: Template
    allowed: Callable[[RequestContext], bool] | None = None
    on: tuple[str, ...] = ("show", "detail")
    own: bool = False


class ExtensionDescriptor:
    """The base of an extension; its docstring is its description.

    :param ext_mgr: where it registers itself
    """

    name: str | None = None
    alias: str | None = None
    namespace: str | None = None
    updated: str | None = None

    def __init__(self, ext_mgr: "ExtensionManager") -> None:
        ext_mgr.register(self)

    def get_resources(self) -> Iterable[ResourceExtension]:
        """Resources of its own."""
        return ()

    def get_controller_extensions(self) -> Iterable[ControllerExtension]:
        """What it adds to resources that exist."""
        return ()

    def get_attributes(self) -> Iterable[AttributeExtension]:
        """What it adds to documents."""
        return ()

    @classmethod
    def nsmap(cls) -> dict[str | None, str]:
        """Prefixes of a document of this extension."""
        return {None: COMMON_NS, "atom": ATOM_NS, str(cls.alias): str(cls.namespace)}

    @classmethod
    def xmlname(cls, name: str) -> str:
        """A name in the extension's namespace."""
        return f"{{{cls.namespace}}}{name}"


class ExtensionManager:
    """The extensions that are there.

    :param factories: ``module:callable`` texts; by default those of ``osapi_compute_extension``, the folder
        ``osapi_extensions_path`` and the entry points
    """

    def __init__(self, factories: Sequence[str] | None = None) -> None:
        self.extensions: dict[str, Any] = {}
        if factories is not None:
            self._load(factories)
            return
        config = runtime.current().config
        self._load(config.osapi_compute_extension)
        self._load_folder(config.osapi_extensions_path)
        self._load_entry_points()

    def register(self, extension: Any) -> None:
        """Take an extension in; one without all four fields is left out.

        :raises Duplicate: there is one with the same alias
        """
        missing = [name for name in _FIELDS if not getattr(extension, name, None)]
        if missing:
            log.warning("extension %s has no %s and is not loaded", type(extension).__name__, ", ".join(missing))
            return
        if extension.alias in self.extensions:
            raise errors.Duplicate(f"Found duplicate extension: {extension.alias}")
        self.extensions[extension.alias] = extension

    def is_loaded(self, alias: str) -> bool:
        """Whether there is such an extension."""
        return alias in self.extensions

    def get_resources(self) -> list[ResourceExtension]:
        """Every resource; that of the extensions themselves comes first."""
        found = [ResourceExtension("extensions", ExtensionsController(self))]
        for extension in self._all():
            found.extend(extension.get_resources())
        return found

    def get_controller_extensions(self) -> list[ControllerExtension]:
        """Everything that is added to resources."""
        return [one for extension in self._all() for one in extension.get_controller_extensions()]

    def get_attributes(self, collection: str) -> list[AttributeExtension]:
        """Everything that is added to the documents of a resource."""
        found = [one for extension in self._all() for one in extension.get_attributes()]
        return [one for one in found if one.collection == collection]

    def _all(self) -> Iterable[Any]:
        return self.extensions.values()

    # -- finding them; what cannot be loaded is logged, and the rest goes on

    def load_extension(self, factory: str | Callable[["ExtensionManager"], Any]) -> None:
        """Call a factory with this manager.

        :param factory: a callable, or ``module:callable`` (``module.callable`` as in 2012)
        """
        try:
            made = runtime.load_class(_with_colon(factory)) if isinstance(factory, str) else factory
            made(self)
        except Exception:
            log.exception("extension %s cannot be loaded", factory)

    def _load(self, factories: Iterable[str]) -> None:
        for factory in factories:
            self.load_extension(factory)

    def _load_folder(self, path: str) -> None:
        for file in sorted(Path(path).glob("*.py")) if path else ():
            if file.name.startswith("_"):
                continue
            try:
                module = _module_of(file)
                made = getattr(module, _class_name(file.stem))
            except Exception:
                log.exception("extension %s cannot be loaded", file)
                continue
            self.load_extension(made)

    def _load_entry_points(self) -> None:
        for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
            try:
                made = point.load()
            except Exception:
                log.exception("extension %s cannot be loaded", point.name)
                continue
            self.load_extension(made)


def _class_name(stem: str) -> str:
    return stem[:1].upper() + stem[1:]


def _with_colon(text: str) -> str:
    if ":" in text:
        return text
    module, _, name = text.rpartition(".")
    return f"{module}:{name}"


def _module_of(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"nova_api_extension_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_package(ext_mgr: ExtensionManager, package: ModuleType, only: Iterable[str] | None = None) -> None:
    """Load the extension of every module of a package: of ``disk_config`` the class ``Disk_config``.

    :param only: names of classes; all without it
    """
    wanted = None if only is None else set(only)
    for file in sorted(Path(str(package.__file__)).parent.glob("*.py")):
        name = _class_name(file.stem)
        if not file.name.startswith("_") and (wanted is None or name in wanted):
            ext_mgr.load_extension(f"{package.__name__}.{file.stem}:{name}")


def members(attributes: Iterable[AttributeExtension], row: Any) -> dict[str, Any]:
    """The attributes of a row as members of a document; lists of servers write the text itself."""
    text = "".join(one.write(row) for one in attributes)
    return dict(json.loads(f"{{{text[1:]}}}"))


def on_servers(
    extension: ExtensionDescriptor,
    names: Sequence[str],
    write: Callable[[Any], str],
    allowed: Callable[[RequestContext], bool] | None = None,
    documents: Sequence[str] = ("show", "detail"),
    *,
    own: bool = False,
) -> Iterable[AttributeExtension]:
    """Attributes of servers: ``ALIAS:name`` in JSON, ``{namespace}name`` in XML.

    :param names: those that XML has
    :param write: all of them of a row as JSON, see :class:`AttributeExtension`; own likewise
    """
    shown = {extension.xmlname(name): f"{extension.alias}:{name}" for name in names}
    nsmap = {extension.alias: str(extension.namespace)}
    one = Template(Element("server", attributes=shown), nsmap)
    listed = Template(Element("servers", Element("server", attributes=shown)), nsmap)
    single = tuple(name for name in documents if name != "detail")
    yield AttributeExtension("servers", write, one, allowed, single, own)
    if "detail" in documents:
        yield AttributeExtension("servers", write, listed, allowed, ("detail",), own)


def visible(
    attributes: Iterable[AttributeExtension], context: RequestContext, document: str
) -> list[AttributeExtension]:
    """The attributes that a caller sees in a document.

    :param document: ``show``, ``detail``, ``create`` or ``update``
    """
    return [one for one in attributes if document in one.on and (one.allowed is None or one.allowed(context))]


# -- who may ------------------------------------------------------------------------------------------------


def authorize(context: RequestContext, name: str, target: Mapping[str, Any] | None = None) -> None:
    """Check the rule of an extension.

    :param name: after ``compute_extension:``
    :raises PolicyNotAuthorized: the rule says no
    """
    runtime.current().policy.check(context, f"compute_extension:{name}", target)


def allowed(name: str) -> Callable[[RequestContext], bool]:
    """The rule of an extension as a question: who fails it is not refused, only shown less."""

    def ask(context: RequestContext) -> bool:
        try:
            authorize(context, name)
        except errors.PolicyNotAuthorized:
            return False
        return True

    return ask


# -- the resource -------------------------------------------------------------------------------------------

_EXTENSION = ("name", "namespace", "alias", "updated")
_CHILDREN = (Element("description", text="description"), LINKS)
_ONE = Template(Element("extension", *_CHILDREN, select="extension", attributes=_EXTENSION), COMMON_NSMAP)
_ALL = Template(
    Element("extensions", Element("extension", *_CHILDREN, select="extensions", attributes=_EXTENSION)), COMMON_NSMAP
)


class ExtensionsController(wsgi.Controller):
    """``/extensions``: what there is."""

    def __init__(self, ext_mgr: ExtensionManager) -> None:
        self.extension_manager = ext_mgr

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """All extensions."""
        return {"extensions": [_shown(one) for one in self.extension_manager.extensions.values()]}

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One, by its alias."""
        found = self.extension_manager.extensions.get(id)
        if found is None:
            raise webob.exc.HTTPNotFound
        return {"extension": _shown(found)}


def _shown(extension: Any) -> dict[str, Any]:
    description = " ".join((extension.__doc__ or "").split())
    fields = {name: getattr(extension, name) for name in _FIELDS}
    return {**fields, "description": description, "links": []}
