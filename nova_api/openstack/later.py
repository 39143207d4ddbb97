"""Extensions of releases after 2012.1 that its clients of today look for (spec openstack-extensions.md 15)."""

from nova_api import errors
from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController


class AdministratorsController(ExtensionController):
    """A controller for administrators, whose rule a policy file of 2012 does not know and would leave to everybody."""

    def authorize(self, req: wsgi.Request, action: str | None = None) -> None:
        """Refuse who is no administrator, and who may not.

        :raises PolicyNotAuthorized: one of the two
        """
        if not req.context.is_admin:
            raise errors.PolicyNotAuthorized(f"compute_extension:{self.rule}{f':{action}' if action else ''}")
        super().authorize(req, action)
