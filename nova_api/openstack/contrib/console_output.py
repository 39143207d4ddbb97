"""os-console-output: the text console of a server (spec openstack-extensions.md 3)."""

import re
from collections.abc import Iterable
from typing import Any

import webob.exc

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, number_in
from nova_api.openstack.extensions import ControllerExtension, ExtensionDescriptor
from nova_api.openstack.server_input import refuse

#: What neither XML nor a terminal takes.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class ConsoleOutputController(ExtensionController):
    """``os-getConsoleOutput``."""

    rule = "console_output"

    @wsgi.action("os-getConsoleOutput")
    def _get(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        self.authorize(req)
        lines = _lines(body["os-getConsoleOutput"])
        output = self.services.server_reports.console_output(req.context, id, lines)
        return {"output": _CONTROL.sub("", output)}


def _lines(given: Any) -> int | None:
    if given == "":  # an element of XML that says nothing
        return None
    if not isinstance(given, dict):
        raise webob.exc.HTTPBadRequest
    length = given.get("length")
    if length is None:
        return None
    lines = number_in(length)
    if lines is None:
        raise refuse("Length in request body must be an integer value")
    return lines


class Console_output(ExtensionDescriptor):
    """The text console of a server."""

    name = "Console_output"
    alias = "os-console-output"
    namespace = "http://docs.openstack.org/compute/ext/os-console-output/api/v2"
    updated = "2011-12-08T00:00:00+00:00"

    def get_controller_extensions(self) -> Iterable[ControllerExtension]:
        yield ControllerExtension(self, "servers", ConsoleOutputController())
