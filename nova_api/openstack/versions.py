"""Which versions of the API there are: lists, choices and details in JSON, XML and Atom (spec openstack-core.md 4)."""

from collections.abc import Mapping, Sequence
from typing import Any

import webob

from nova_api.openstack import wsgi
from nova_api.openstack.media import VENDOR_JSON, VENDOR_XML
from nova_api.openstack.mounts import MOUNTED
from nova_api.openstack.xml import ATOM_NS, COMMON_NSMAP, LINKS, Element, Template

_UPDATED = "2011-01-21T11:33:21Z"
_DOCUMENTS = "http://docs.openstack.org/api/openstack-compute/1.1"
_TYPES = [
    {"base": "application/xml", "type": f"{VENDOR_XML};version=2"},
    {"base": "application/json", "type": f"{VENDOR_JSON};version=2"},
]
#: What is known of each version; ``mount`` is where its links point to.
VERSIONS: Sequence[Mapping[str, Any]] = (
    {
        "id": "v2.0",
        "mount": "v2",
        "status": "CURRENT",
        "updated": _UPDATED,
        "media-types": _TYPES,
        "documents": [
            {
                "rel": "describedby",
                "type": "application/pdf",
                "href": f"{_DOCUMENTS}/os-compute-devguide-1.1.pdf",
            },
            {
                "rel": "describedby",
                "type": "application/vnd.sun.wadl+xml",
                "href": f"{_DOCUMENTS}/wadl/os-compute-1.1.wadl",
            },
        ],
    },
)

_DOCUMENTS_1_0 = "http://docs.rackspacecloud.com/servers/api/v1.0"
#: The version before: listed where it is mounted (spec 9.1 [D]).
V1_0: Mapping[str, Any] = {
    "id": "v1.0",
    "mount": "v1.0",
    "status": "DEPRECATED",
    "updated": _UPDATED,
    "media-types": [
        {"base": f"application/{kind}", "type": f"application/vnd.openstack.compute-v1.0+{kind}"}
        for kind in ("xml", "json")
    ],
    "documents": [
        {"rel": "describedby", "type": "application/pdf", "href": f"{_DOCUMENTS_1_0}/cs-devguide-20110125.pdf"},
        {"rel": "describedby", "type": "application/vnd.sun.wadl+xml", "href": f"{_DOCUMENTS_1_0}/application.wadl"},
    ],
}

_VOLUME_TYPE = "application/vnd.openstack.volume"
#: The same for the Volume API.
VOLUME_VERSIONS: Sequence[Mapping[str, Any]] = (
    {
        "id": "v1.0",
        "mount": "v1",
        "status": "CURRENT",
        "updated": "2012-01-04T11:33:21Z",
        "media-types": [
            {"base": f"application/{kind}", "type": f"{_VOLUME_TYPE}+{kind};version=1"} for kind in ("xml", "json")
        ],
        "documents": [
            {
                "rel": "describedby",
                "type": "application/pdf",
                "href": "http://jorgew.github.com/block-storage-api/content/os-block-storage-1.0.pdf",
            },
            {
                "rel": "describedby",
                "type": "application/vnd.sun.wadl+xml",
                "href": "http://docs.rackspacecloud.com/servers/api/v1.1/application.wadl",
            },
        ],
    },
)

_MEDIA_TYPES = Element("media-types", Element("media-type", select="media-types", attributes=("base", "type")))
_LIST = Template(
    Element("versions", Element("version", LINKS, select="versions", attributes=("id", "status", "updated"))),
    COMMON_NSMAP,
)
_CHOICES = Template(
    Element("choices", Element("version", _MEDIA_TYPES, LINKS, select="choices", attributes=("id", "status"))),
    COMMON_NSMAP,
)
_DETAIL = Template(
    Element("version", _MEDIA_TYPES, LINKS, select="version", attributes=("id", "status", "updated")), COMMON_NSMAP
)


class _Feed:
    """Atom: a feed with an entry per version.

    :param title: of the feed
    """

    def __init__(self, title: str) -> None:
        entry = Element(
            "entry",
            Element("id", text="id"),
            Element("title", select="title", text=lambda text: text, attributes={"type": lambda _: "text"}),
            Element("updated", text="updated"),
            Element("link", select="links", attributes=("rel", "type", "href")),
            Element("content", select="content", text=lambda text: text, attributes={"type": lambda _: "text"}),
            select="entries",
        )
        self.template = Template(
            Element(
                "feed",
                Element("title", text=lambda _: title, attributes={"type": lambda _: "text"}),
                Element("updated", text="updated"),
                Element("id", text="id"),
                Element("link", attributes={"rel": lambda _: "self", "href": "id"}),
                Element(
                    "author",
                    Element("name", text=lambda _: "Rackspace"),
                    Element("uri", text=lambda _: "http://www.rackspace.com/"),
                ),
                entry,
            ),
            {None: ATOM_NS},
        )

    def serialize(self, data: Mapping[str, Any]) -> bytes:
        """The feed of a list of versions, or of one."""
        shown = data["versions"] if "versions" in data else [data["version"]]
        entries = []
        for one in shown:
            href = one["links"][0]["href"]
            about = f"Version {one['id']}"
            content = f"{about} {one['status']} ({one['updated']})"
            entries.append({**one, "id": href, "title": about, "content": content})
        first = entries[0]["id"]
        # The list lives one level above the versions that it lists.
        own = first.rstrip("/").rpartition("/")[0] + "/" if "versions" in data else first
        feed = {"id": own, "updated": max(str(one["updated"]) for one in shown), "entries": entries}
        return self.template.serialize(feed)


def _shown(version: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: version[name] for name in ("id", "status", *names)}


def _link(href: str) -> dict[str, str]:
    return {"rel": "self", "href": href}


class VersionList(wsgi.Controller):
    """The root of the server: the list of versions, and choices for every path that is none.

    :param versions: see :data:`VERSIONS`
    """

    def __init__(self, versions: Sequence[Mapping[str, Any]] = VERSIONS) -> None:
        self.versions = versions

    @wsgi.serializers(xml=_LIST, atom=_Feed("Available API Versions"))
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """The versions."""
        base = req.application_url.rstrip("/")
        found = [{**_shown(one, "updated"), "links": [_link(f"{base}/{one['mount']}/")]} for one in self._mounted(req)]
        return {"versions": found}

    @wsgi.response(300)
    @wsgi.serializers(xml=_CHOICES)
    def multi(self, req: wsgi.Request) -> dict[str, Any]:
        """Where else the path could be looked for."""
        base, path = req.application_url.rstrip("/"), req.path_info.strip("/")
        found = [
            {**_shown(one, "media-types"), "links": [_link(f"{base}/{one['mount']}/{path}")]}
            for one in self._mounted(req)
        ]
        return {"choices": found}

    def _mounted(self, req: wsgi.Request) -> Sequence[Mapping[str, Any]]:
        """The versions that there are: the one before is among them where it is mounted (spec 9.1 [D])."""
        older = [V1_0] if f"/{V1_0['mount']}" in req.environ.get(MOUNTED, ()) else []
        return [*self.versions, *older]


class Versions(wsgi.Resource):
    """The application at ``/``."""

    def __init__(self, versions: Sequence[Mapping[str, Any]] = VERSIONS) -> None:
        super().__init__(VersionList(versions))

    def get_action_args(self, environ: dict[str, Any]) -> dict[str, Any]:
        """Every path but the root is a choice."""
        return {"action": "index" if environ.get("PATH_INFO", "/") in ("", "/") else "multi"}


class VersionDetail(wsgi.Controller):
    """One version, below its mount.

    :param version: out of :data:`VERSIONS`
    """

    def __init__(self, version: Mapping[str, Any] = VERSIONS[0]) -> None:
        self.version = version

    @wsgi.serializers(xml=_DETAIL, atom=_Feed("About This Version"))
    def show(self, req: wsgi.Request) -> dict[str, Any]:
        """The version; its own link keeps the mount that was used."""
        one = self.version
        links = [_link(f"{req.application_url}/"), *one["documents"]]
        return {"version": {**_shown(one, "updated", "media-types"), "links": links}}

    def redirect(self, req: wsgi.Request) -> webob.Response:
        """``/v2`` -> ``/v2/``."""
        return webob.Response(status=302, location=f"{req.application_url}/", content_type="text/plain")


def create_resource(version: Mapping[str, Any] = VERSIONS[0]) -> wsgi.Resource:
    """The version document of a router; that of v1.1 and v2 by default."""
    return wsgi.Resource(VersionDetail(version))
