"""What the path of a request says beside the resource: which API it is for, and which project.

The 1.0 API is asked with and without a project in the path (spec openstack-core.md 9.1 [D]); who asks for what must be
the same to every layer of a pipeline, so it is found out here.
"""

from collections.abc import Sequence

from nova_api.wsgi import Environ, decoded

#: Which API a pipeline serves, where it is not 1.1; set by the outermost layer.
API = "nova.api"
V1_0 = "1.0"
#: The prefixes of the URL map that a request went through.
MOUNTED = "nova.mounted"
#: What the 1.0 API has below a project, or without one.
V1_0_COLLECTIONS: Sequence[str] = ("servers", "flavors", "images", "limits", "shared_ip_groups")
#: Segments before the project, in a path that names its version.
_VERSIONS = ("v1.0", "v1.1", "v2", "v1")
_SUFFIXES = (".json", ".xml")


def is_v1_0(environ: Environ) -> bool:
    """Whether a request is for the 1.0 API."""
    return environ.get(API) == V1_0


def project_of(environ: Environ) -> str | None:
    """The project that a path names; None when it names none."""
    path = environ.get("PATH_INFO", "").lstrip("/")
    if environ.get("SCRIPT_NAME", "").rpartition("/")[2] not in _VERSIONS:
        version, _, path = path.partition("/")
        if version not in _VERSIONS:
            return None
    path = decoded(path).lstrip("/")
    if is_v1_0(environ):
        return _project_of_v1_0(path)
    return path.partition("/")[0] or None


def below_project(environ: Environ) -> str:
    """Path after the project, with the query: what limits are matched with (spec 6.6 [D])."""
    path = decoded(environ.get("PATH_INFO", "")).lstrip("/")
    if not is_v1_0(environ) or _project_of_v1_0(path) is not None:
        path = path.partition("/")[2]
    query = environ.get("QUERY_STRING", "")
    return f"/{path}?{query}" if query else f"/{path}"


def _project_of_v1_0(path: str) -> str | None:
    """What stands before a collection is a project; a collection in its place is none, whatever comes after it."""
    first, _, rest = path.partition("/")
    named = _is_collection(rest.lstrip("/").partition("/")[0]) and not _is_collection(first)
    return first if named else None


def _is_collection(segment: str) -> bool:
    if segment.endswith(_SUFFIXES):
        segment = segment[: segment.rindex(".")]
    return segment in V1_0_COLLECTIONS
