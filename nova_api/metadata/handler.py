"""The tree of one instance, by the address it asks from."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from nova_api import errors, runtime
from nova_api.auth import callers
from nova_api.metadata import answers
from nova_api.metadata.tree import Leaf, Tree, lookup, render, tree_of
from nova_api.wsgi import ACTION

log = logging.getLogger(__name__)


class MetadataRequestHandler:
    """Serves ``meta-data/`` and ``user-data``; any method, no signature: who asks is known by its address.

    Nothing is cached: an address that went to a new instance must not answer with the old one's secrets, as it did in
    2012.1 for up to 15 seconds (spec ec2.md 9, row 27).

    :param services: by default the current runtime
    """

    def __init__(self, services: runtime.Runtime | None = None) -> None:
        self.runtime = services or runtime.current()
        config = self.runtime.config
        self.forwarded = config.use_forwarded_for
        self.trusted = callers.networks(config.trusted_proxies)

    @classmethod
    def factory(cls, global_config: Mapping[str, str], **local_config: str) -> "MetadataRequestHandler":
        """Paste application factory."""
        return cls()

    def __call__(self, environ: dict[str, Any], start_response: answers.StartResponse) -> Iterable[bytes]:
        address = callers.caller(environ, forwarded=self.forwarded, trusted=self.trusted)
        path = [part for part in environ.get("PATH_INFO", "").split("/") if part]
        try:
            found = self._find(address, path)
        except errors.ServiceUnavailable:
            return answers.unavailable(start_response)
        except Exception:  # the outermost layer of this door: nothing may reach the server
            log.exception("metadata for %s failed", address)
            return answers.failed(start_response)
        if found is None:
            return answers.not_found(start_response)
        environ[ACTION] = path[0] if path else "list"
        if path[:1] == ["user-data"]:
            return answers.text(start_response, render(found), "application/octet-stream")
        return answers.text(start_response, render(found))

    def _find(self, address: str | None, path: list[str]) -> Tree | Leaf | None:
        if address is None:
            raise LookupError("the server gave no peer address")
        instance = self.runtime.metadata.instance_metadata(address)
        return None if instance is None else lookup(tree_of(instance), path)
