"""Who asks, by Keystone."""

from datetime import UTC, datetime

from nova_api import errors, runtime
from nova_api.auth.keystone import KeystoneClient, KeystoneUser, ServiceUser
from nova_api.auth.signatures import check_freshness, parse_claim
from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.ec2.authenticate import Identifying, signature_policy
from nova_api.ec2.layer import AUTH_FAILED, CONTEXT
from nova_api.wsgi import Environ, WsgiApplication


class _AsksKeystone(Identifying):
    """:param client: by default one for ``keystone_ec2_url``"""

    def __init__(
        self,
        application: WsgiApplication,
        services: runtime.Runtime | None = None,
        client: KeystoneClient | None = None,
    ) -> None:
        super().__init__(application, services)
        config = self.config
        self.policy = signature_policy(config)
        self.client = client or KeystoneClient(
            config.keystone_ec2_url, config.keystone_timeout, config.keystone_ca_file, service_user(config)
        )

    def ask(self, environ: Environ) -> KeystoneUser:
        """Whom Keystone recognises; a refusal counts for Lockout, a Keystone that is away does not.

        :raises RequestExpired: the signature holds, but not now
        """
        asked = self.read(environ)
        claim = asked.claim = parse_claim(asked.signed, self.policy)
        asked.arguments = list(claim.arguments)
        try:
            user = self.client.authenticate(claim)
        except errors.KeystoneUnauthorized:
            environ[AUTH_FAILED] = True
            raise
        check_freshness(claim, datetime.now(UTC), self.policy)
        return user


class EC2KeystoneAuth(_AsksKeystone):
    """Authenticate an EC2 request with keystone and convert to context (spec ec2.md 2.5)."""

    def admit(self, environ: Environ) -> None:
        """Find out who asks.

        :raises KeystoneUnauthorized: Keystone says no
        :raises ServiceUnavailable: it says nothing
        """
        asked = self.read(environ)
        if asked.claim is None and not _signed_v4(environ, asked.pairs):
            for name, text in (("Signature", "Signature"), ("AWSAccessKeyId", "Access key")):
                if asked.first(name) is None:
                    raise errors.KeystoneUnauthorized(f"{text} not provided")
        user = self.ask(environ)
        roles = with_aliases(user.roles, self.config.ec2_role_aliases)
        environ[CONTEXT] = RequestContext(
            user_id=user.user_id,
            project_id=user.project_id,
            is_admin=any(role.lower() == "admin" for role in roles),
            roles=roles,
            remote_address=self.remote_address(environ),
            request_id=asked.request_id,
            auth_token=user.token,
        )


class EC2Token(_AsksKeystone):
    """Deprecated, only here to make merging easier: exchanges the signature for a token and goes on."""

    def admit(self, environ: Environ) -> None:
        """Put Keystone's token into ``X-Auth-Token``.

        :raises KeystoneUnauthorized: Keystone says no
        :raises ServiceUnavailable: it says nothing
        """
        environ["HTTP_X_AUTH_TOKEN"] = self.ask(environ).token


def service_user(config: Config) -> ServiceUser:
    """Who nova_api is to Keystone."""
    return ServiceUser(
        auth_url=config.keystone_auth_url,
        user=config.keystone_user,
        password=config.keystone_password,
        project=config.keystone_project,
        user_domain=config.keystone_user_domain,
        project_domain=config.keystone_project_domain,
    )


def _signed_v4(environ: Environ, pairs: list[tuple[str, str]]) -> bool:
    return "HTTP_AUTHORIZATION" in environ or any(name == "X-Amz-Credential" for name, _ in pairs)


def with_aliases(roles: tuple[str, ...], aliases: tuple[str, ...]) -> tuple[str, ...]:
    """Roles, and the names of the action table that stand for them.

    :param aliases: ``Member=sysadmin``
    """
    added = [alias.partition("=")[2] for alias in aliases if alias.partition("=")[0] in roles]
    return tuple(dict.fromkeys((*roles, *added)))
