"""Which API version a request means, and which type its answer has (spec openstack-core.md 1.6).

Both may be said in the path (``/v1.1/…``, ``….xml``), in the ``Content-Type`` or in the ``Accept`` header; what is
decided here travels in the environ, for everything below.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from nova_api import wsgi
from nova_api.openstack.media import ATOM, BEST, JSON, SUPPORTED, best_match, parse_options
from nova_api.openstack.mounts import MOUNTED
from nova_api.wsgi import Environ, StartResponse, WsgiApplication


class URLMap(wsgi.UrlMap):
    """Applications by path prefix, or by the version that a header asks for.

    :param applications: by prefix, ``/v1.1`` for example; ``/`` is for everything else
    """

    def __init__(self, applications: Mapping[str, WsgiApplication]) -> None:
        super().__init__(applications)
        self.by_prefix = dict(self.applications)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "") or "/"
        wanted = _by_suffix(path)
        prefix = self._by_path(path)
        if prefix is None:
            prefix = self._by_content_type(environ)
        if wanted is None or prefix is None:
            found, options = best_match(environ.get("HTTP_ACCEPT", ""), self._offered(path))
            wanted = wanted or found
            if prefix is None:
                prefix = self._of_version(options)
        environ[BEST] = wanted or JSON
        environ[MOUNTED] = self.by_prefix
        prefix = prefix or ""
        application = self.by_prefix.get(prefix)
        if application is None:
            return wsgi.not_found(start_response)
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            environ["PATH_INFO"] = path[len(prefix) :]
        return application(environ, start_response)

    def _by_path(self, path: str) -> str | None:
        """The longest prefix; the application of ``/`` does not count yet, a header may still choose another."""
        for prefix, _ in self.applications:
            if prefix and (path == prefix or path.startswith(f"{prefix}/")):
                return prefix
        return None

    def _by_content_type(self, environ: Environ) -> str | None:
        text = environ.get("CONTENT_TYPE")
        return self._of_version(parse_options(text)[1]) if text else None

    def _of_version(self, options: Mapping[str, str]) -> str | None:
        prefix = f"/v{options['version']}" if "version" in options else None
        return prefix if prefix in self.by_prefix else None

    def _offered(self, path: str) -> tuple[str, ...]:
        """Atom is spoken at the roots only."""
        trimmed = path.rstrip("/")
        return (*SUPPORTED, ATOM) if path == "/" or trimmed in self.by_prefix else SUPPORTED


def _by_suffix(path: str) -> str | None:
    kind = f"application/{path.rpartition('.')[2]}" if path.endswith((".json", ".xml")) else None
    return kind if kind in SUPPORTED else None


def urlmap_factory(loader: Any, global_config: Mapping[str, str], **local_config: str) -> URLMap:
    """Paste composite factory: ``/prefix = application name`` lines."""
    return URLMap(wsgi.load_applications(loader, global_config, local_config))
