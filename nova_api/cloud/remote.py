"""Questions to nodes: what their failures mean to the caller of an API.

A failure on the far side arrives as the name of its class and a text. Those that are refusals of this project are
refusals here too, with their status; anything else is a node that does not work (spec openstack-extensions.md 0.3,
fix).
"""

from typing import Any

from nova_api import errors
from nova_api.context import RequestContext
from nova_api.rpc.client import Rpc
from nova_api.rpc.envelope import RemoteError


class Refused(errors.ApiError):
    """What a node has refused, in its own words.

    :param status: that of the refusal's class
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def ask(rpc: Rpc, context: RequestContext, topic: str, method: str, /, **args: Any) -> Any:
    """Call a node, outside of any transaction: it may take its time.

    :raises Refused: the node says no
    :raises ServiceUnavailable: it does not answer, or has failed
    """
    try:
        return rpc.call(context, topic, method, **args)
    except RemoteError as error:
        kind = getattr(errors, error.exc_type, None)
        if isinstance(kind, type) and issubclass(kind, errors.ApiError) and kind.status < 500:
            raise Refused(kind.status, error.value) from error
        raise errors.ServiceUnavailable("The node cannot do it now. Please try your request again.") from error


def ask_host(rpc: Rpc, context: RequestContext, row: Any, action: str, method: str, /, **args: Any) -> Any:
    """Call the compute node of a server.

    :param row: the server, with ``host`` and ``uuid``
    :param action: what the caller wants, for the refusal
    :raises ServerWithoutHost: it is on none
    :raises ApiError: as :func:`ask`
    """
    if not row.host:
        raise errors.ServerWithoutHost(action)
    return ask(rpc, context, f"compute.{row.host}", method, instance_uuid=row.uuid, **args)
