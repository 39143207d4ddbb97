"""XML, in and out: one hardened parser, and templates that turn what JSON shows into documents.

A template is made of :class:`Element`; it is built once at import and never changes (spec openstack-core.md 8.1).
Extensions add attributes and children to an answer's document by attaching a second template with the same root tag.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from lxml import etree

from nova_api import limits

COMPUTE_NS = "http://docs.openstack.org/compute/api/v1.1"
#: Of the 1.0 API, whose documents were the hoster's that it comes from.
V1_0_NS = "http://docs.rackspacecloud.com/servers/api/v1.0"
COMMON_NS = "http://docs.openstack.org/common/api/v1.0"
ATOM_NS = "http://www.w3.org/2005/Atom"

#: The name of a member of the datum, or a function of it.
Selector = str | Callable[[Any], Any]
_MISSING = object()


class MalformedXML(ValueError):
    """A document that is not well formed, or that holds more than a request may."""


# -- in ---------------------------------------------------------------------------------------------------


def parse(text: bytes) -> Any:
    """The root element of a document from outside.

    No DTD, no entities, no network; depth and number of nodes are bounded.

    :raises MalformedXML: it cannot be read, or has a document type
    """
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise MalformedXML("a document type is not accepted")
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedXML("not well formed") from error
    if root.getroottree().docinfo.doctype:
        raise MalformedXML("a document type is not accepted")
    _check_size(root)
    return root


def _check_size(root: Any) -> None:
    depth = nodes = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        nodes += event == "start"
        if depth > limits.MAX_XML_DEPTH or nodes > limits.MAX_XML_NODES:
            raise MalformedXML("the document is too deep or too large")


def local_name(element: Any) -> str:
    """The tag without its namespace, which requests are not asked for."""
    return str(etree.QName(element).localname)


def attribute(element: Any, name: str) -> str | None:
    """An attribute of a request; an empty one counts as absent."""
    return element.get(name) or None


def child(element: Any, name: str) -> Any:
    """The first child of a name, or None."""
    return next((one for one in element if local_name(one) == name), None)


def children(element: Any, name: str) -> list[Any]:
    """The children of a name."""
    return [one for one in element if local_name(one) == name]


def text_of(element: Any) -> str:
    """The text of an element, without that of its children."""
    return "".join([element.text or "", *(one.tail or "" for one in element)])


def to_plain(element: Any, plurals: Mapping[str, str] | None = None) -> Any:
    """A document as JSON would have it: what resources without a deserializer of their own are given.

    Attributes and children become members, an element with nothing but text becomes that text, an element that
    ``plurals`` names becomes a list.

    :param plurals: tag of a list -> tag of its items
    """
    name = local_name(element)
    if plurals and name in plurals:
        return [to_plain(one, plurals) for one in element]
    if not len(element) and not element.attrib:
        return element.text or ""
    found: dict[str, Any] = {_plain_name(key): value for key, value in element.attrib.items()}
    for one in element:
        found[local_name(one)] = to_plain(one, plurals)
    return found


def _plain_name(key: str) -> str:
    return str(etree.QName(key).localname)


# -- out --------------------------------------------------------------------------------------------------


class Element:
    """One element of a template.

    :param tag: its name, ``{namespace}name`` for one outside of the document's
    :param select: what of the datum around it this element shows: a list gives one element per item, None or a
        missing member gives none; without it the datum itself
    :param attributes: names; those that JSON calls otherwise as ``xml name -> selector``
    :param text: what stands inside
    """

    __slots__ = ("_names", "attributes", "children", "select", "tag", "text")

    def __init__(
        self,
        tag: str,
        *children: "Element",
        select: Selector | None = None,
        attributes: Iterable[str] | Mapping[str, Selector] = (),
        text: Selector | None = None,
    ) -> None:
        self.tag, self.children, self.select, self.text = tag, children, select, text
        self._names: dict[str | None, str] = {}
        pairs = attributes.items() if isinstance(attributes, Mapping) else ((name, name) for name in attributes)
        self.attributes: tuple[tuple[str, Selector], ...] = tuple(pairs)

    def merged(self, other: "Element") -> "Element":
        """This element with the attributes and children of another one of the same tag."""
        added = [one for one in other.children if one.tag not in {mine.tag for mine in self.children}]
        by_tag = {one.tag: one for one in other.children}
        kept = [mine.merged(by_tag[mine.tag]) if mine.tag in by_tag else mine for mine in self.children]
        attributes = {**dict(self.attributes), **dict(other.attributes)}
        text = other.text if self.text is None else self.text
        return Element(self.tag, *kept, *added, select=self.select, attributes=attributes, text=text)

    def write(self, parent: Any, datum: Any, namespace: str | None) -> None:
        """Append what this element shows of ``datum`` to an lxml element.

        :param namespace: of the document, for names that have none
        """
        shown = datum if self.select is None else _selected(datum, self.select)
        if shown is None or shown is _MISSING:
            return
        name = self._names.get(namespace) or self._name(namespace)
        for one in shown if isinstance(shown, (list, tuple)) else (shown,):
            self.fill(etree.SubElement(parent, name), one, namespace)

    def _name(self, namespace: str | None) -> str:
        qualified = self.tag.startswith("{") or not namespace
        name = self._names[namespace] = self.tag if qualified else f"{{{namespace}}}{self.tag}"
        return name

    def fill(self, made: Any, datum: Any, namespace: str | None) -> None:
        """Give an lxml element its attributes, text and children."""
        for name, selector in self.attributes:
            value = _selected(datum, selector)
            if value is not _MISSING:
                made.set(name, safe_text(value))
        if self.text is not None:
            value = _selected(datum, self.text)
            made.text = safe_text(None if value is _MISSING else value)
        for one in self.children:
            one.write(made, datum, namespace)


class FreeElement(Element):
    """An element whose children are named by the keys of the mapping that it shows; lists hold items."""

    __slots__ = ()

    def fill(self, made: Any, datum: Any, namespace: str | None) -> None:
        """Give an lxml element a child per key."""
        _write_plain(made, self.tag, datum or {}, {})


def _selected(datum: Any, selector: Selector) -> Any:
    if not isinstance(selector, str):
        return selector(datum)
    try:
        return datum[selector]
    except (KeyError, IndexError, TypeError):
        return _MISSING


def safe_text(value: Any) -> str:
    """Text for a document; None prints as the word, characters that XML cannot hold are left out."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(
        one
        for one in text
        if one in "\t\n\r" or (one >= " " and one not in "\ufffe\uffff" and not "\ud800" <= one <= "\udfff")
    )


class Template:
    """A document: its root element and its namespaces.

    :param root: the root element; it shows one thing, not a list
    :param nsmap: prefix -> namespace; None for the default one
    """

    def __init__(self, root: Element, nsmap: Mapping[Any, str] | None = None) -> None:
        self.root, self.nsmap = root, dict(nsmap or {})

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def serialize(self, data: Any, slaves: Sequence["Template"] = ()) -> bytes:
        """The document that shows ``data``.

        :param slaves: templates that extensions have attached
        :raises ValueError: the root shows a list, or a slave's root tag is another one
        """
        whole = _merged(self, tuple(slaves)) if slaves else self
        tree = whole.build(data)
        # The declaration of 2012.1: single quotes, a line break after it.
        return bytes(etree.tostring(tree, xml_declaration=True, encoding="UTF-8"))

    def build(self, data: Any) -> Any:
        """The document as an lxml element."""
        shown = data if self.root.select is None else _selected(data, self.root.select)
        if isinstance(shown, (list, tuple)):
            raise ValueError("the root of a document shows one thing")
        default = self.nsmap.get(None)
        made = etree.Element(f"{{{default}}}{self.root.tag}" if default else self.root.tag, nsmap=self.nsmap)
        self.root.fill(made, {} if shown is _MISSING else shown, default)
        return made


@lru_cache(maxsize=512)
def _merged(master: Template, slaves: tuple[Template, ...]) -> Template:
    root, nsmap = master.root, dict(master.nsmap)
    for slave in slaves:
        if slave.root.tag != root.tag:
            raise ValueError(f"a template of {slave.root.tag} cannot extend a document of {root.tag}")
        root = root.merged(slave.root)
        for prefix, namespace in slave.nsmap.items():
            nsmap.setdefault(prefix, namespace)
    return Template(root, nsmap)


def plain_document(
    data: Mapping[str, Any], *, namespace: str | None = None, singulars: Mapping[str, str] | None = None
) -> bytes:
    """A document of data that has no template: a child per member, a list ``xs`` holds ``x`` (spec extensions 0.5).

    :param data: one member, whose name is the root's
    :param singulars: names of items whose list's name does not end in "s"
    """
    name, value = next(iter(data.items()))
    tag, nsmap = (name, None) if namespace is None else (f"{{{namespace}}}{name}", {None: namespace})
    root = etree.Element(tag, nsmap=nsmap)
    _write_plain(root, name, value, singulars or {})
    return bytes(etree.tostring(root))


def _write_plain(element: Any, name: str, value: Any, singulars: Mapping[str, str]) -> None:
    if isinstance(value, Mapping):
        for key, member in value.items():
            _write_plain(_sub(element, key), str(key), member, singulars)
    elif isinstance(value, (list, tuple)):
        singular = singulars.get(name) or (name[:-1] if name.endswith("s") else "item")
        for one in value:
            _write_plain(_sub(element, singular), singular, one, singulars)
    else:
        element.text = safe_text(value)


def _sub(element: Any, name: Any) -> Any:
    namespace = etree.QName(element).namespace
    try:
        # lxml would take braces for a namespace of the client's choice.
        tag = "" if "{" in str(name) else str(name)
        return etree.SubElement(element, f"{{{namespace}}}{tag}" if namespace else tag)
    except ValueError:
        # A free key, of a metadata item for example, that cannot be a tag.
        made = etree.SubElement(element, f"{{{namespace}}}item" if namespace else "item")
        made.set("key", safe_text(name))
        return made


class FreeDocument:
    """A document of one member whose name is free: it is the root's."""

    @staticmethod
    def serialize(data: Mapping[str, Any]) -> bytes:
        """The document; a name that cannot be a tag stands in an attribute."""
        ((key, value),) = data.items()
        root = _sub(etree.Element("holder"), key)
        root.text = safe_text(value)
        return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


#: The links of every resource, as they stand in JSON under ``links``.
LINKS = Element(f"{{{ATOM_NS}}}link", select="links", attributes=("rel", "type", "href"))
COMPUTE_NSMAP: Mapping[str | None, str] = {None: COMPUTE_NS, "atom": ATOM_NS}
COMMON_NSMAP: Mapping[str | None, str] = {None: COMMON_NS, "atom": ATOM_NS}
