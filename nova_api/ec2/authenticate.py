"""Who asks, by the datastore: access keys, signatures, membership."""

from datetime import UTC, datetime

from nova_api import errors, runtime
from nova_api.auth.callers import caller, networks
from nova_api.auth.signatures import SignaturePolicy, check_freshness, parse_claim
from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.ec2.incoming import Incoming, incoming
from nova_api.ec2.layer import AUTH_FAILED, CONTEXT, Layer
from nova_api.wsgi import Environ, WsgiApplication

#: Verified against for unknown access keys, so that those take as long as known ones.
_NOBODYS_SECRET = "0" * 40

REFUSED = "The provided access credentials could not be validated."


def signature_policy(config: Config) -> SignaturePolicy:
    """What the configuration accepts."""
    return SignaturePolicy(
        window=config.ec2_timestamp_window,
        allow_v0=config.ec2_signature_v0,
        allow_v1=config.ec2_signature_v1,
        allow_sha1=config.ec2_signature_sha1,
    )


class Identifying(Layer):
    """What the three authentication layers share.

    :param services: by default the current runtime
    """

    def __init__(self, application: WsgiApplication, services: runtime.Runtime | None = None) -> None:
        super().__init__(application)
        self.runtime = services or runtime.current()
        self.config = self.runtime.config
        self.essex_only = self.config.ec2_dialect == "essex"
        self.trusted = networks(self.config.trusted_proxies)

    def read(self, environ: Environ) -> Incoming:
        """The request, with its arguments told from what is about the signature."""
        return incoming(environ, essex_only=self.essex_only)

    def remote_address(self, environ: Environ) -> str | None:
        """The address of the caller."""
        return caller(environ, forwarded=self.config.use_forwarded_for, trusted=self.trusted)


class Authenticate(Identifying):
    """Authenticate an EC2 request and add 'nova.context' to WSGI environ.

    Order (spec ec2.md 2.5, 2.6): the form of the request, which Lockout does not count; then access key, project,
    membership and signature together, of which the caller learns only that they do not hold; then the time stamp.
    """

    def __init__(self, application: WsgiApplication, services: runtime.Runtime | None = None) -> None:
        super().__init__(application, services)
        self.policy = signature_policy(self.config)

    def admit(self, environ: Environ) -> None:
        """Find out who asks.

        :raises AuthFailure: the credentials do not hold
        :raises RequestExpired: they do, but not now
        """
        asked = self.read(environ)
        claim = asked.claim = parse_claim(asked.signed, self.policy)
        asked.arguments = list(claim.arguments)
        known = self.runtime.identity.credentials(claim.key_id, claim.project)
        signed = claim.verify(known.secret if known else _NOBODYS_SECRET)
        if not signed or known is None or not known.allowed:
            environ[AUTH_FAILED] = True
            raise errors.AuthFailure(REFUSED)
        now = datetime.now(UTC)
        check_freshness(claim, now, self.policy)
        environ[CONTEXT] = RequestContext(
            user_id=known.user_id,
            project_id=known.project_id,
            is_admin=known.is_admin,
            roles=known.roles,
            remote_address=self.remote_address(environ),
            request_id=asked.request_id,
            timestamp=now,
        )
