"""What a caller may be told: one class per refusal.

The only vocabulary between the cloud and its doors. ``code`` is what the EC2 API of 2012.1 put on the wire (the class
name unless set; spec ec2.md 2.11); ``status`` is what the OpenStack API answers. The codes of today's EC2 stand in one
table of the EC2 door, keyed by the class name. Anything raised that is not an :class:`ApiError` is a defect: it is
logged with its request id and answered without detail.
"""

from collections.abc import Iterable


class ApiError(Exception):
    """A refusal that the caller is meant to read.

    :param message: what the caller is told
    """

    status = 400
    code: str | None = None

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)

    @property
    def ec2_code(self) -> str:
        """The EC2 code of 2012.1."""
        return self.code or type(self).__name__


# -- the form of a request ---------------------------------------------------------------------------


class MissingParameter(ApiError):
    """A parameter that the action cannot do without."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"The request must contain the parameter {name}")


class InvalidParameterValue(ApiError):
    """A value that the parameter does not admit."""


class InvalidParameterCombination(ApiError):
    """Parameters that contradict each other, or one given twice."""


class InvalidRequest(ApiError):
    """An action that does not exist."""

    def __init__(self, action: str = "") -> None:
        self.action = action
        super().__init__("The request is invalid.")


class MalformedQueryString(ApiError):
    """Text that is no UTF-8, a name nested too deep, more parameters than are read."""


class RequestTooLarge(ApiError):
    """A body beyond the limit."""

    status = 413
    code = "RequestEntityTooLarge"


class LengthRequired(ApiError):
    """A body of unknown length, behind a server that does not say where it ends."""

    status = 411
    code = "MissingContentLength"


class RequestExpired(ApiError):
    """A time stamp outside of the window, or a passed ``Expires``."""


class IncompleteSignature(ApiError):
    """A signature of version 4 that lacks a part."""


class InvalidClientToken(ApiError):
    """Credentials of a kind that this cloud does not give out."""

    status = 401
    code = "InvalidClientTokenId"


class DryRunOperation(ApiError):
    """DryRun: the request would have been carried out."""

    status = 412

    def __init__(self) -> None:
        super().__init__("Request would have succeeded, but DryRun flag is set.")


class IdempotentParameterMismatch(ApiError):
    """A ClientToken used again with other parameters."""


class UnsupportedOperation(ApiError):
    """A feature that this cloud does not have."""

    code = "EC2APIError"


# -- who may ------------------------------------------------------------------------------------------


class AuthFailure(ApiError):
    """The credentials do not hold: unknown key, wrong signature, no member of the project."""

    status = 401


class LockedOut(AuthFailure):
    """Too many failures of this access key (spec ec2.md 2.4)."""

    status = 403
    code = "AuthFailure"

    def __init__(self) -> None:
        super().__init__("Too many failed authentications.")


class UnauthorizedOperation(ApiError):
    """The roles of the caller do not reach this action."""

    status = 403


class KeystoneUnauthorized(ApiError):
    """Keystone, or the absence of credentials, refused the request (spec ec2.md 2.5)."""

    status = 401
    code = "Unauthorized"


class NotAuthorized(ApiError):
    """The caller may not do this to that object."""

    status = 403

    def __init__(self, message: str = "Not authorized.") -> None:
        super().__init__(message)


class PolicyNotAuthorized(NotAuthorized):
    """The policy file says no."""

    def __init__(self, action: str) -> None:
        self.action = action
        super().__init__(f"Policy doesn't allow {action} to be performed.")


class ImageNotAuthorized(NotAuthorized):
    """Somebody else's image."""

    code = "EC2APIError"

    def __init__(self, image_id: str) -> None:
        super().__init__(f"Not allowed to modify attributes for image {image_id}")


class NotImageOwner(NotAuthorized):
    """A change of somebody else's image."""

    def __init__(self) -> None:
        super().__init__("Not the image owner")


class OperationNotPermitted(ApiError):
    """Termination of an instance that is protected against it."""

    status = 409


# -- what does not exist ------------------------------------------------------------------------------


class NotFound(ApiError):
    """Something named does not exist, or belongs to somebody else."""

    status = 404


class InstanceNotFound(NotFound):
    """:param ec2_id: ``i-…`` or the UUID as the caller wrote it."""

    def __init__(self, ec2_id: str) -> None:
        super().__init__(f"Instance {ec2_id} could not be found.")


class VolumeNotFound(NotFound):
    """:param ec2_id: ``vol-…`` or the id as the caller wrote it."""

    def __init__(self, ec2_id: str) -> None:
        super().__init__(f"Volume {ec2_id} could not be found.")


class SnapshotNotFound(NotFound):
    """:param ec2_id: ``snap-…`` or the id as the caller wrote it."""

    def __init__(self, ec2_id: str) -> None:
        super().__init__(f"Snapshot {ec2_id} could not be found.")


class VolumeTypeNotFound(NotFound):
    """:param name: name or number of a volume type that does not exist."""

    def __init__(self, name: object) -> None:
        super().__init__(f"Volume type {name} could not be found.")


class ImageNotFound(NotFound):
    """:param image_id: the id as the caller wrote it."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"Image {image_id} could not be found.")


class KeypairNotFound(NotFound):
    """A key pair named in a request that does not exist for the user."""

    def __init__(self, name: str, user_id: str | None) -> None:
        super().__init__(f"Keypair {name} not found for user {user_id}")


class SecurityGroupNotFound(NotFound):
    """:param group_id: the id as the caller wrote it."""

    def __init__(self, group_id: str) -> None:
        super().__init__(f"Security group {group_id} not found.")


class SecurityGroupNotFoundForProject(NotFound):
    """A group name unknown in the project."""

    def __init__(self, name: str, project_id: str | None) -> None:
        super().__init__(f"Security group {name} not found for project {project_id}.")


class SecurityGroupRuleNotFound(NotFound):
    """Revoke of a rule that the group does not have."""

    code = "EC2APIError"

    def __init__(self) -> None:
        super().__init__("No rule for the specified parameters.")


class FlavorNotFoundByName(NotFound):
    """An instance type that does not exist."""

    code = "InstanceTypeNotFoundByName"

    def __init__(self, name: str) -> None:
        super().__init__(f"Instance type with name {name} could not be found.")


class FlavorNotFound(NotFound):
    """:param flavor_id: as the caller wrote it."""

    def __init__(self, flavor_id: str) -> None:
        super().__init__(f"Flavor {flavor_id} could not be found.")


class FloatingIpNotFound(NotFound):
    """An address outside of the pools, or of another project."""

    code = "FloatingIpNotFoundForAddress"

    def __init__(self, address: str) -> None:
        super().__init__(f"Floating ip not found for address {address}.")


class NoMoreFloatingIps(NotFound):
    """The pool is empty."""

    def __init__(self) -> None:
        super().__init__("Zero floating ips available.")


class NoMoreFixedIps(NotFound):
    """Every network is full, or there is none."""

    def __init__(self) -> None:
        super().__init__("Zero fixed ips available.")


class FixedIpNotFoundForInstance(NotFound):
    """An instance without an address."""

    def __init__(self, instance: str) -> None:
        super().__init__(f"Instance {instance} has zero fixed ips.")


class ZoneNotFound(NotFound):
    """An availability zone that does not exist."""

    code = "InvalidParameterValue"

    def __init__(self, zone: str) -> None:
        super().__init__(f"The availability zone {zone} does not exist")


class NetworkNotFound(NotFound):
    """A network that does not exist."""

    def __init__(self, network: str) -> None:
        super().__init__(f"Network {network} could not be found.")


class FixedIpInvalid(NotFound):
    """An address outside of its network."""

    def __init__(self, address: str) -> None:
        super().__init__(f"Fixed IP address {address} is invalid.")


class SharedIpGroupNotFound(NotFound):
    """A shared IP group."""

    def __init__(self, number: object) -> None:
        super().__init__(f"Shared IP group {number} could not be found.")


class SharedIpNotFound(NotFound):
    """A shared address."""

    def __init__(self, address: str) -> None:
        super().__init__(f"The server shares no address {address}.")


class UserNotFound(NotFound):
    """A user that does not exist."""

    def __init__(self, user_id: str) -> None:
        super().__init__(f"User {user_id} could not be found.")


class ProjectNotFound(NotFound):
    """A project that does not exist."""

    def __init__(self, project_id: str) -> None:
        super().__init__(f"Project {project_id} could not be found.")


# -- what is there already, or in the way --------------------------------------------------------------


class Conflict(ApiError):
    """The state of something does not admit the request."""

    status = 409


class KeyPairExists(Conflict):
    """A key pair of that name exists."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Key pair {name} already exists.")


class SecurityGroupExists(Conflict):
    """A group of that name exists in the project."""

    code = "EC2APIError"

    def __init__(self, name: str) -> None:
        super().__init__(f"group {name} already exists")


class SecurityGroupInUse(Conflict):
    """Instances hold the group, or it is ``default``, which stays (spec ec2.md 4.3, fix)."""

    code = "InvalidGroup.InUse"


class SecurityGroupRuleExists(Conflict):
    """:param rule: the rule as 2012.1 printed it."""

    code = "EC2APIError"

    def __init__(self, rule: str) -> None:
        super().__init__(f"{rule} - This rule already exists in group")


class InvalidPermission(ApiError):
    """Parameters that make no rule."""

    code = "EC2APIError"


class InvalidPortRange(ApiError):
    """Ports of a rule that are out of range."""

    def __init__(self, from_port: object, to_port: object, reason: str) -> None:
        super().__init__(f"Invalid port range {from_port}:{to_port}. {reason}")


class InvalidKeyFormat(ApiError):
    """Public key material that is no public key."""

    code = "InvalidKey.Format"


class InvalidKeyName(ApiError):
    """A key pair name outside of the allowed characters or length."""

    code = "EC2APIError"


class IncorrectInstanceState(Conflict):
    """The instance is in a state that does not admit the action."""


class IncorrectState(Conflict):
    """The volume, snapshot or address is in a state that does not admit the action.

    :param reason: in the words of the OpenStack door
    """

    def __init__(self, message: str, reason: str = "") -> None:
        self.reason = reason
        super().__init__(message)


class VolumeInUse(Conflict):
    """Attach of a volume that is not free."""

    code = "EC2APIError"

    reason = "status must be available"

    def __init__(self) -> None:
        super().__init__("Attach Failed.")


class VolumeNotDeletable(Conflict):
    """Delete of a volume that is in use or has snapshots.

    :param reason: in the words of the OpenStack door
    """

    code = "EC2APIError"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("Delete Failed")


class VolumeNotAttached(Conflict):
    """Detach of a volume that is attached to nothing; 2012.1 gave the generic error (fix, spec ec2.md 4.5)."""

    code = "IncorrectState"

    reason = "already detached"

    def __init__(self) -> None:
        super().__init__("The volume is not attached.")


class AddressInUse(Conflict):
    """Release of an address that an instance holds."""

    code = "InvalidIPAddress.InUse"

    def __init__(self, address: str) -> None:
        super().__init__(f"Address {address} is in use.")


class AddressAssociated(Conflict):
    """Association of an address that an instance holds already."""

    code = "Resource.AlreadyAssociated"

    def __init__(self, address: str) -> None:
        super().__init__(f"Floating ip {address} is associated.")


class FixedIpInUse(Conflict):
    """An address that another server has, or that is kept for the network itself."""

    def __init__(self, address: str) -> None:
        super().__init__(f"Fixed IP address {address} is already in use.")


class InSharedIpGroup(Conflict):
    """A server that is in a shared IP group already."""

    def __init__(self, server: str) -> None:
        super().__init__(f"Server {server} is in a shared IP group already.")


class SharedIpGroupInUse(Conflict):
    """A group through which addresses are shared."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Addresses are shared through the shared IP group {number}.")


class ServerState(Conflict):
    """A server is in a state that does not admit an action.

    :param action: as clients call it
    :param attribute: ``vm_state`` or ``task_state``, whichever is in the way
    :param uuid: of the server, which the caller may have named by its number
    """

    def __init__(self, action: str, attribute: str, value: str | None, uuid: str) -> None:
        self.action, self.attribute, self.value, self.uuid = action, attribute, value, uuid
        if value is None:
            super().__init__(f"Instance is in an invalid state for '{action}'")
        else:
            super().__init__(f"Cannot '{action}' while instance is in {attribute} {value}")


class ServerWithoutHost(Conflict):
    """An action that a node carries out, for a server that is on none."""

    def __init__(self, action: str) -> None:
        super().__init__(f"Cannot '{action}' while instance is on no host")


class ServerLocked(Conflict):
    """A server that an administrator has locked; to EC2 it is in a state that does not admit the action.

    :param action: as clients call it
    """

    code = "IncorrectInstanceState"

    def __init__(self, action: str) -> None:
        super().__init__(f"Cannot '{action}' while instance is locked")


class NotResized(ApiError):
    """A confirmation of something that has not happened."""

    def __init__(self) -> None:
        super().__init__("Instance has not been resized.")


class SameSize(ApiError):
    """A resize to the size that the server has."""

    def __init__(self) -> None:
        super().__init__("Resize requires a change in size.")


class ImageNotAvailable(Conflict):
    """An image that is not ready to boot from."""

    code = "EC2APIError"

    def __init__(self) -> None:
        super().__init__("Image must be available")


class ImageTooLarge(ApiError):
    """The flavor is smaller than the image asks for."""

    code = "InvalidParameterCombination"


class SnapshotInUse(Conflict):
    """An image refers to the snapshot."""

    code = "InvalidSnapshot.InUse"


class Duplicate(Conflict):
    """A user, project, flavor or the like that exists already."""


class DeviceInUse(Conflict):
    """A device name that the instance uses already."""

    code = "InvalidParameterValue"


# -- how much -----------------------------------------------------------------------------------------


class QuotaError(ApiError):
    """A limit of the project is reached.

    :param limit: ``InstanceLimitExceeded``, ``VolumeSizeTooLarge``, … as 2012.1 named it
    """

    status = 413
    code = "QuotaError"

    def __init__(self, limit: str) -> None:
        self.limit = limit
        super().__init__(f"Quota exceeded: code={limit}")


class InstanceLimitExceeded(QuotaError):
    """Instances, cores or memory."""

    def __init__(self) -> None:
        super().__init__("InstanceLimitExceeded")


class MetadataLimitExceeded(QuotaError):
    """Metadata of a server: too many items, or too long."""

    def __init__(self) -> None:
        super().__init__("MetadataLimitExceeded")


class ImageMetadataLimitExceeded(QuotaError):
    """Metadata of an image: too many items, or too long."""

    def __init__(self) -> None:
        super().__init__("MetadataLimitExceeded")
        self.message = "Image metadata limit exceeded"


class OnsetFileLimitExceeded(QuotaError):
    """Files for a new server: too many, a path or a content too long.

    :param message: which of them
    """

    def __init__(self, message: str) -> None:
        super().__init__("OnsetFileLimitExceeded")
        self.message = message


class VolumeLimitExceeded(QuotaError):
    """Number of volumes; 2012.1 had one text for number and size."""

    def __init__(self) -> None:
        super().__init__("VolumeSizeTooLarge")


class VolumeSizeTooLarge(QuotaError):
    """Gigabytes of volumes."""

    def __init__(self) -> None:
        super().__init__("VolumeSizeTooLarge")


class AddressLimitExceeded(QuotaError):
    """Floating addresses; 2012.1 gave the generic error (fix, spec ec2.md 4.4)."""

    code = "AddressLimitExceeded"

    def __init__(self) -> None:
        super().__init__("AddressLimitExceeded")


class SecurityGroupLimitExceeded(QuotaError):
    """Groups of a project."""

    code = "SecurityGroupLimitExceeded"

    def __init__(self) -> None:
        super().__init__("SecurityGroupLimitExceeded")


class RulesPerSecurityGroupLimitExceeded(QuotaError):
    """Rules of one group."""

    code = "RulesPerSecurityGroupLimitExceeded"

    def __init__(self) -> None:
        super().__init__("RulesPerSecurityGroupLimitExceeded")


class KeyPairLimitExceeded(QuotaError):
    """Key pairs of a user."""

    code = "KeyPairLimitExceeded"

    def __init__(self) -> None:
        super().__init__("KeyPairLimitExceeded")


class SnapshotLimitExceeded(QuotaError):
    """Snapshots of a project."""

    code = "SnapshotLimitExceeded"

    def __init__(self) -> None:
        super().__init__("SnapshotLimitExceeded")


class SharedIpGroupLimitExceeded(QuotaError):
    """Shared IP groups of a project."""

    def __init__(self) -> None:
        super().__init__("SharedIpGroupLimitExceeded")


class SharedIpGroupMemberLimitExceeded(QuotaError):
    """Servers of a shared IP group."""

    def __init__(self) -> None:
        super().__init__("SharedIpGroupMemberLimitExceeded")


# -- ids and the machinery ------------------------------------------------------------------------------


class InvalidInstanceIDMalformed(ApiError):
    """An id that names nothing; the message is the id as sent (spec ec2.md 2.11)."""

    def __init__(self, value: str) -> None:
        super().__init__(value or 'Invalid id: %(val)s (expecting "i-...").')


class MalformedId(ApiError):
    """An id that names nothing, where 2012.1 gave the generic error.

    :param code: the code that fits the kind, ``InvalidVolumeID.Malformed`` for example
    """

    def __init__(self, code: str, value: str) -> None:
        self.malformed_code = code
        super().__init__(f"Invalid id: {value!r}")

    @property
    def ec2_code(self) -> str:
        return self.malformed_code


class ServiceUnavailable(ApiError):
    """The datastore, the broker or a node does not answer; asking again may help."""

    status = 503
    code = "Unavailable"


class KeystoneFailure(ServiceUnavailable):
    """Keystone answered, and not as it should (spec ec2.md 2.5)."""

    def __init__(self) -> None:
        super().__init__("Failure communicating with keystone")


class InternalError(ApiError):
    """A defect: the detail is in the log, under the request id."""

    status = 500

    def __init__(self) -> None:
        super().__init__("An unknown error has occurred. Please try your request again.")


class ConfigError(Exception):
    """A setting that cannot be used; told to the operator in one line, exit status 2."""


def names(items: Iterable[str]) -> str:
    """``a, b, c`` in a stable order, for messages that list what would be right."""
    return ", ".join(sorted(items))
