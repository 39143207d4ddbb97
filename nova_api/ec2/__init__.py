"""Door 1: the EC2 API, as a pipeline of one concern each (spec ec2.md 2). The names are in pipeline order."""

from nova_api.ec2.authenticate import Authenticate
from nova_api.ec2.authorizer import Authorizer
from nova_api.ec2.executor import Executor
from nova_api.ec2.faults import FaultWrapper, ec2_error
from nova_api.ec2.keystone import EC2KeystoneAuth, EC2Token
from nova_api.ec2.lockout import Lockout
from nova_api.ec2.noauth import NoAuth
from nova_api.ec2.requestify import Requestify
from nova_api.ec2.requestlogging import RequestLogging
from nova_api.ec2.validator import Validator

__all__ = [
    "FaultWrapper",
    "RequestLogging",
    "Lockout",
    "EC2Token",
    "EC2KeystoneAuth",
    "NoAuth",
    "Authenticate",
    "Requestify",
    "Authorizer",
    "Validator",
    "Executor",
    "ec2_error",
]
