"""What the caller's roles reach."""

from nova_api import errors
from nova_api.context import RequestContext
from nova_api.ec2.apirequest import APIRequest
from nova_api.ec2.layer import CONTEXT, Layer
from nova_api.wsgi import Environ


class Authorizer(Layer):
    """Authorize an EC2 API request.

    Refuses if the action may not be executed in ``nova.context``: with 401 in 2012.1's dialect, 403 in today's. Decided
    by the exact name of the action, before any argument is looked at; an unknown action is refused to all but
    administrators (spec ec2.md 2.8).
    """

    def admit(self, environ: Environ) -> None:
        """Compare the active roles with those of the action.

        :raises UnauthorizedOperation: none of them is enough
        """
        call: APIRequest = environ["ec2.request"]
        context: RequestContext = environ[CONTEXT]
        allowed = context.is_admin if call.row is None else call.row.allows(context.roles, context.is_admin)
        if not allowed:
            raise errors.UnauthorizedOperation("You are not authorized to perform this operation.")
