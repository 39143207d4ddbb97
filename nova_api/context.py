"""Who asks, for which project, with which roles: the value that travels with every request and message."""

import secrets
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

#: The id of the request or message that this thread, or green thread, is at; empty between them.
CURRENT_REQUEST: ContextVar[str] = ContextVar("nova_request_id", default="")


def current_request_id() -> str:
    """The id of what is being handled here and now, else a new one: all that one request causes carries one id."""
    return CURRENT_REQUEST.get() or new_request_id()


def new_request_id() -> str:
    """``req-`` and a random UUID, as every answer of 2012.1 carries (spec ec2.md 1.7)."""
    # UUID text from os.urandom, without building the UUID object twice: this runs for every request.
    text = secrets.token_hex(16)
    return f"req-{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def new_uuid() -> str:
    """A random UUID as text."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The identity behind a request.

    Immutable on purpose: in 2012.1 elevating a context appended to a role list shared with the caller's
    own context (spec ec2.md 9, row 37).

    :param user_id: name of the user, or None for work that the system starts itself
    :param project_id: project (tenant) the request acts in
    :param is_admin: sees and changes the rows of all projects
    :param roles: active roles for the project
    :param remote_address: address of the caller
    :param auth_token: OpenStack token, never logged
    """

    user_id: str | None
    project_id: str | None
    is_admin: bool = False
    roles: tuple[str, ...] = ()
    remote_address: str | None = None
    request_id: str = field(default_factory=current_request_id)
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    read_deleted: str = "no"
    auth_token: str | None = field(default=None, repr=False)

    def elevated(self) -> Self:
        """The same request with an administrator's eyes; this context stays as it is."""
        if self.is_admin:
            return self
        roles = self.roles if "admin" in self.roles else (*self.roles, "admin")
        return replace(self, is_admin=True, roles=roles)

    def to_wire(self) -> dict[str, Any]:
        """The values that a message carries as ``_context_*`` (spec ec2.md 6.1)."""
        return {
            "user_id": self.user_id,
            "project_id": self.project_id,
            "is_admin": self.is_admin,
            "read_deleted": self.read_deleted,
            "roles": list(self.roles),
            "remote_address": self.remote_address,
            "timestamp": self.timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
            "request_id": self.request_id,
            "auth_token": self.auth_token,
        }

    @classmethod
    def from_wire(cls, values: Mapping[str, Any]) -> Self:
        """The context of a received message; unknown keys are the caller's to report.

        :raises ValueError: when the time stamp is no ISO 8601 text
        """
        stamp = values.get("timestamp")
        when = datetime.fromisoformat(stamp) if stamp else datetime.now(UTC)
        return cls(
            user_id=values.get("user_id"),
            project_id=values.get("project_id"),
            is_admin=bool(values.get("is_admin")),
            roles=tuple(values.get("roles") or ()),
            remote_address=values.get("remote_address"),
            request_id=values.get("request_id") or new_request_id(),
            timestamp=when if when.tzinfo else when.replace(tzinfo=UTC),
            read_deleted=values.get("read_deleted") or "no",
            auth_token=values.get("auth_token"),
        )


def admin_context() -> RequestContext:
    """The system's own context, for work that no request started (recovery, periodic tasks)."""
    return RequestContext(user_id=None, project_id=None, is_admin=True, roles=("admin",))
