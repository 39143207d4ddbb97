"""Certificates of users, which the cert node issues (spec openstack-extensions.md 10.3)."""

from dataclasses import dataclass, field

from nova_api.cloud.remote import ask
from nova_api.context import RequestContext
from nova_api.rpc.client import Rpc


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate.

    :ivar data: PEM, of a user's own after a description
    :ivar private_key: PEM; given out once and kept nowhere
    """

    data: str
    private_key: str | None = field(default=None, repr=False)


class Certificates:
    """Certificates as a service."""

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc

    def root(self, context: RequestContext) -> Certificate:
        """The certificate of the cloud's authority.

        :raises ServiceUnavailable: the cert node does not answer
        """
        return Certificate(str(ask(self.rpc, context, "cert", "fetch_ca", project_id=context.project_id)))

    def create(self, context: RequestContext) -> Certificate:
        """A new certificate for the caller, with its key.

        :raises ServiceUnavailable: the cert node does not answer
        """
        owner = {"user_id": context.user_id, "project_id": context.project_id}
        key, data = ask(self.rpc, context, "cert", "generate_x509_cert", **owner)
        return Certificate(str(data), str(key))
