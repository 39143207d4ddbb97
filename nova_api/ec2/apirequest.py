"""One call of an action: decoding, invocation, rendering."""

from collections.abc import Mapping
from typing import Any

from nova_api import errors
from nova_api.context import RequestContext
from nova_api.ec2 import xml
from nova_api.ec2.dialect import Dialect, dialect_of
from nova_api.ec2.params import Node, decode, tree_of
from nova_api.ec2.table import DRY_RUN, DRY_RUN_PARAM, Action


class APIRequest:
    """A parsed request.

    :param controller: has the actions' methods and, as ``actions``, their table
    :param action: wire name
    :param version: the request's Version, any text
    :param args: arguments by wire name: a tree of dotted names, or flat ``{"InstanceId.1": "i-00000001"}``
    :param dialect: by default the version's
    """

    __slots__ = ("_arguments", "_tree", "action", "controller", "dialect", "row", "version")

    def __init__(
        self,
        controller: Any,
        action: str,
        version: str,
        args: Mapping[str, Node],
        dialect: Dialect | None = None,
    ) -> None:
        self.controller = controller
        self.action = action
        self.version = version
        self.dialect = dialect or dialect_of(version)
        self.row: Action | None = controller.actions.get(action)
        self._tree = args
        self._arguments: dict[str, Any] | None = None

    @property
    def args(self) -> dict[str, Any]:
        """The decoded arguments, by the names that the method takes."""
        return self.decode()

    def decode(self) -> dict[str, Any]:
        """Decode the arguments, once.

        :raises InvalidRequest: there is no such action
        :raises ApiError: an argument is missing or does not fit
        """
        if self.row is None:
            raise errors.InvalidRequest(self.action)
        if self._arguments is None:
            tree = self._tree
            if any("." in name for name in tree):
                tree = tree_of((name, value) for name, value in tree.items() if isinstance(value, str))
            self._arguments = decode(self.row.params, tree)
            if DRY_RUN in tree and DRY_RUN_PARAM.decode(DRY_RUN, tree[DRY_RUN]):
                raise errors.DryRunOperation
        return self._arguments

    def invoke(self, context: RequestContext) -> bytes:
        """Call the action.

        :returns: the answer, XML
        :raises ApiError: the action refuses
        """
        arguments = self.decode()
        assert self.row is not None  # noqa: S101 -- decode() has refused unknown actions
        result = getattr(self.controller, self.row.method)(context, dialect=self.dialect, **arguments)
        return xml.render(self.action, self.version, context.request_id, result)
