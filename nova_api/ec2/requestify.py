"""From a request to the call of an action."""

import importlib
from typing import Any

from nova_api import errors, limits
from nova_api.auth.signatures import SIGNATURE_PARAMETERS
from nova_api.ec2.apirequest import APIRequest
from nova_api.ec2.incoming import incoming
from nova_api.ec2.layer import Layer
from nova_api.ec2.params import tree_of
from nova_api.wsgi import ACTION, Environ, WsgiApplication


class Requestify(Layer):
    """Takes the action and its arguments out of the request (spec ec2.md 2.7).

    :param app: the pipeline below
    :param controller: an object with the actions' methods, or where its class is: ``package.module:Class`` or
        ``package.module.Class``; one object serves the whole process
    """

    def __init__(self, app: WsgiApplication, controller: Any) -> None:
        super().__init__(app)
        self.controller = _load(controller)() if isinstance(controller, str) else controller

    def admit(self, environ: Environ) -> None:
        """Build the call.

        :raises MissingParameter: no Action or Version
        :raises MalformedQueryString: names that make no arguments
        :raises InvalidParameterValue: a value that no database but SQLite can be asked for
        """
        asked = incoming(environ)
        if asked.claim is None:
            asked.arguments = [pair for pair in asked.pairs if pair[0] not in SIGNATURE_PARAMETERS]
        for name in ("Action", "Version"):
            if asked.first(name) is None:
                raise errors.MissingParameter(name)
        if len(asked.version) > limits.MAX_VERSION:
            raise errors.InvalidParameterValue("The parameter Version is too long.")
        for name, value in asked.arguments:
            if "\x00" in value:
                raise errors.InvalidParameterValue(f"The value of {name[: limits.MAX_PARAMETER_NAME]} holds NUL.")
        tree = tree_of(pair for pair in asked.arguments if pair[0] not in ("Action", "Version"))
        call = APIRequest(self.controller, asked.action, asked.version, tree, asked.dialect)
        environ["ec2.request"] = call
        if call.row is not None:
            environ[ACTION] = call.row.name
        environ["ec2.controller"] = self.controller
        environ["ec2.action"] = asked.action
        environ["ec2.action_args"] = tree


def _load(path: str) -> Any:
    module, mark, name = path.partition(":")
    if not mark:
        module, _, name = path.rpartition(".")
    if module.startswith("nova.api."):
        module = "nova_api." + module.removeprefix("nova.api.")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise errors.ConfigError(f"controller {path}: {error}") from error
