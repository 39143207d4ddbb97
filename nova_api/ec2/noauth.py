"""Everybody is an administrator: for a developer's own machine."""

from nova_api.auth.signatures import SignaturePolicy, parse_claim
from nova_api.context import RequestContext
from nova_api.ec2.authenticate import Identifying
from nova_api.ec2.layer import CONTEXT
from nova_api.wsgi import Environ

#: The signature must be there, as in 2012.1; it is not looked at.
_ANYTHING = SignaturePolicy(allow_v0=True, allow_v1=True)


class NoAuth(Identifying):
    """Add user:project as 'nova.context' to WSGI environ (spec ec2.md 2.5)."""

    def admit(self, environ: Environ) -> None:
        """Believe the access key: ``user:project``, the project being the user's name without one."""
        asked = self.read(environ)
        claim = asked.claim = parse_claim(asked.signed, _ANYTHING)
        asked.arguments = list(claim.arguments)
        environ[CONTEXT] = RequestContext(
            user_id=claim.key_id,
            project_id=claim.project or claim.key_id,
            is_admin=True,
            roles=("admin",),
            remote_address=self.remote_address(environ),
            request_id=asked.request_id,
        )
