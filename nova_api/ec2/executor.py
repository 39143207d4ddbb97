"""The innermost layer: call the action, answer."""

import logging
from collections.abc import Iterable

from nova_api import errors
from nova_api.context import RequestContext
from nova_api.ec2 import answers
from nova_api.ec2.apirequest import APIRequest
from nova_api.ec2.layer import CONTEXT
from nova_api.wsgi import Application, Environ, StartResponse

log = logging.getLogger(__name__)


class Executor(Application):
    """Execute an EC2 API request.

    Executes 'ec2.action' upon 'ec2.controller', passing 'nova.context' and 'ec2.action_args' (all variables in WSGI
    environ.) Returns an XML response, or an EC2 error upon failure.
    """

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        call: APIRequest = environ["ec2.request"]
        context: RequestContext = environ[CONTEXT]
        try:
            body = call.invoke(context)
        except errors.ApiError as error:
            return answers.refuse(start_response, error, call.dialect, context.request_id)
        except Exception:
            log.exception("%s of %s failed, %s", call.action, context.project_id, context.request_id)
            return answers.refuse(start_response, errors.InternalError(), call.dialect, context.request_id)
        return answers.send(start_response, 200, body, secret=call.row is not None and call.row.secret)
