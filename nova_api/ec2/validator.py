"""Arguments by their declarations."""

from nova_api.ec2.apirequest import APIRequest
from nova_api.ec2.ids import is_ec2_id
from nova_api.ec2.layer import Layer
from nova_api.wsgi import Environ


class Validator(Layer):
    """Decodes and checks the arguments of an action by the table (spec ec2.md 2.9).

    2012.1 looked its validators up by names that no request has. What an action itself refuses with a code of 2012.1 --
    malformed instance ids, unknown images, rules of groups -- is left to the action.
    """

    def admit(self, environ: Environ) -> None:
        """Decode the arguments.

        :raises InvalidRequest: there is no such action
        :raises ApiError: an argument is missing or does not fit
        """
        call: APIRequest = environ["ec2.request"]
        call.decode()

    @staticmethod
    def validate_ec2_id(val: object) -> bool:
        """Whether a value has the form of an EC2 id: text whose part after the last ``-`` is hexadecimal."""
        return is_ec2_id(val)
