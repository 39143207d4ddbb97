"""A layer of the EC2 pipeline that lets a request pass or refuses it."""

from collections.abc import Iterable

from nova_api import errors
from nova_api.context import current_request_id
from nova_api.ec2 import answers
from nova_api.ec2.incoming import KEY, Incoming, dialect_hint
from nova_api.wsgi import Environ, Middleware, StartResponse

#: Set in the environ by an authentication layer that refused a caller: what Lockout counts.
AUTH_FAILED = "nova.auth_failed"
CONTEXT = "nova.context"


def request_id_of(environ: Environ) -> str:
    """The id that answers to this request carry."""
    found = environ.get(KEY)
    return found.request_id if isinstance(found, Incoming) else current_request_id()


class Layer(Middleware):
    """Plain WSGI around :meth:`admit`; a refusal is answered here, in the dialect of the request."""

    def admit(self, environ: Environ) -> None:
        """Look at a request, leave what was found out in its environ.

        :raises ApiError: the request goes no further
        """
        raise NotImplementedError

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            self.admit(environ)
        except errors.ApiError as error:
            return answers.refuse(start_response, error, dialect_hint(environ), request_id_of(environ))
        return self.application(environ, start_response)
