"""Links: where a thing is, where it always is, and where a list goes on (spec openstack-core.md 5.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import webob

from nova_api.config import Config
from nova_api.context import RequestContext

_PLAIN = "~:@!$&'()*+,;="


@dataclass(frozen=True, slots=True)
class Links:
    """The beginnings of links.

    :ivar own: ``http://host/v2/PROJECT``; plain: the same without the version
    :ivar images: ``http://glance/PROJECT``
    """

    own: str
    plain: str
    images: str

    @classmethod
    def of(cls, req: webob.Request, context: RequestContext, config: Config) -> "Links":
        """The links of a request."""
        project = segment(context.project_id or "")
        base = prefixed(req.application_url.rstrip("/"), config.osapi_compute_link_prefix)
        glance = f"http://{config.glance_host or config.my_ip}:{config.glance_port}"
        glance = prefixed(glance, config.osapi_glance_link_prefix)
        return cls(f"{base}/{project}", f"{base.rpartition('/')[0]}/{project}", f"{glance}/{project}")

    def of_item(self, collection: str, item: str) -> list[dict[str, Any]]:
        """The links of an item: its own, and the bookmark."""
        return [{"rel": "self", "href": f"{self.own}/{collection}/{item}"}, self.bookmark(collection, item)]

    def bookmark(self, collection: str, item: str) -> dict[str, Any]:
        """The link that no version stands in."""
        return {"rel": "bookmark", "href": f"{self.plain}/{collection}/{item}"}

    def next(self, req: webob.Request, collection: str, marker: str) -> list[dict[str, Any]]:
        """Where the list goes on: the request's own query with ``marker`` last (spec 5.1 [D])."""
        query = [(name, value) for name, value in req.GET.items() if name != "marker"]
        text = urlencode([*query, ("marker", marker)], quote_via=quote)
        return [{"rel": "next", "href": f"{self.own}/{collection}?{text}"}]


def segment(text: str) -> str:
    """A name as a part of a path."""
    return quote(text, safe=_PLAIN)


def prefixed(url: str, prefix: str) -> str:
    """A URL with another scheme and host; the path of ``prefix`` does not count, as in 2012.1."""
    if not prefix:
        return url
    wanted = urlsplit(prefix)
    return urlunsplit(urlsplit(url)._replace(scheme=wanted.scheme, netloc=wanted.netloc))


def detailed(collection: str, detail: bool) -> str:
    """The path of a list, which its next link keeps."""
    return f"{collection}/detail" if detail else collection


def last_of(items: Sequence[Any], name: str = "id") -> str:
    """The marker of the page after this one."""
    return str(items[-1][name])
