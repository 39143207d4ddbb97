"""The list of metadata versions."""

from collections.abc import Iterable, Mapping
from typing import Any

from nova_api.metadata import answers
from nova_api.wsgi import ACTION

#: All serve the same tree; ``latest`` is understood and not listed (spec ec2.md 5.1).
VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
)


class Versions:
    """Lists the versions at ``/``; 2012.1 did so for every path it did not know, here those are 404."""

    @classmethod
    def factory(cls, global_config: Mapping[str, str], **local_config: str) -> "Versions":
        """Paste application factory."""
        return cls()

    def __call__(self, environ: dict[str, Any], start_response: answers.StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").strip("/"):
            return answers.not_found(start_response)
        environ[ACTION] = "versions"
        return answers.text(start_response, "".join(f"{version}\n" for version in VERSIONS).encode())
