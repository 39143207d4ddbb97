"""Consoles of servers: ports that console nodes give out, and tokens for a browser (spec openstack-core.md 6.5).

A token admits once and not for long; the datastore knows its digest only.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_api import errors
from nova_api.auth.secretbox import SecretBox
from nova_api.cloud.policy import Policy
from nova_api.cloud.remote import ask, ask_host
from nova_api.cloud.servers import target_of
from nova_api.config import Config
from nova_api.context import RequestContext, new_uuid
from nova_api.db import consoles as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.models import now
from nova_api.db.server_lists import as_number
from nova_api.rpc.client import Rpc
from nova_api.rpc.outbox import Outbox


class ConsoleNotFound(errors.NotFound):
    """:param number: as the caller wrote it."""

    def __init__(self, number: str) -> None:
        super().__init__(f"Console {number} could not be found.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """A console with everything that its owner needs to reach it.

    :ivar host: the name that clients connect to
    """

    id: int
    console_type: str
    password: str = field(repr=False)
    instance_name: str
    port: int
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a token leads: what a proxy connects to.

    :ivar internal_access_path: what it asks the host for; None for a plain connection
    """

    instance_uuid: str
    console_type: str
    host: str
    port: int
    internal_access_path: str | None


#: A server, as a row with its id, host and owner, or as the UUID or number that the caller wrote.
Server = Row[Any] | str


class Consoles:
    """Consoles as a service.

    :param config: ``secret_key_file``, ``novncproxy_base_url``, ``xvpvncproxy_base_url``, ``console_token_ttl``
    """

    def __init__(self, db: Database, rpc: Rpc, outbox: Outbox, policy: Policy, config: Config) -> None:
        self.db, self.rpc, self.outbox, self.policy, self.config = db, rpc, outbox, policy, config
        self.box = SecretBox(config.secret_key_path)

    # -- ports -----------------------------------------------------------------------------------------

    def list(self, context: RequestContext, server: Server) -> Sequence[Row[Any]]:
        """The consoles of a server, the oldest first.

        :raises InstanceNotFound: it is not the caller's
        """
        with self.db.read() as conn:
            row = self._server(conn, context, server, "compute:get")
            return queries.of_instance(conn, row.id)

    def get(self, context: RequestContext, server: Server, number: str) -> Console:
        """One console of a server.

        :param number: as the caller wrote it
        :raises InstanceNotFound: the server is not the caller's
        :raises ConsoleNotFound: the server has no such console
        :raises ConfigError: its node encrypts with another key than the API
        """
        with self.db.read() as conn:
            row = self._server(conn, context, server, "compute:get")
            found = _console(conn, row, number)
        return Console(
            id=found.id,
            console_type=found.console_type,
            password=self.box.open(found.password),
            instance_name=f"instance-{row.id:08x}",
            port=found.port,
            host=found.public_hostname,
        )

    def create(self, context: RequestContext, server: Server) -> None:
        """Have a console node give a server a console, unless it has one.

        :raises InstanceNotFound: it is not the caller's
        :raises ServerWithoutHost: it is on no node
        :raises ServiceUnavailable: its node does not answer
        """
        with self.db.read() as conn:
            row = self._server(conn, context, server, "compute:create_console")
        if not row.host:
            raise errors.ServerWithoutHost("create console")
        topic = str(ask(self.rpc, context, f"compute.{row.host}", "get_console_topic", fake=1))
        self.db.write(lambda tx: self.outbox.cast(tx, context, topic, "add_console", instance_id=row.id))

    def delete(self, context: RequestContext, server: Server, number: str) -> None:
        """Have its node take a console away.

        :param number: as the caller wrote it
        :raises InstanceNotFound: the server is not the caller's
        :raises ConsoleNotFound: the server has no such console
        """

        def work(tx: Transaction) -> None:
            row = self._server(tx.conn, context, server, "compute:delete_console")
            found = _console(tx.conn, row, number)
            self.outbox.cast(tx, context, f"console.{found.host}", "remove_console", console_id=found.id)

        self.db.write(work)

    # -- tokens ----------------------------------------------------------------------------------------

    def vnc(self, context: RequestContext, server: Server, console_type: str) -> str:
        """A URL that opens the screen of a server in a browser, once, within ``console_token_ttl``.

        The node answers ``get_vnc_console`` with ``host``, ``port`` and, for proxies that ask for a path,
        ``internal_access_path``.

        :param console_type: ``novnc`` or ``xvpvnc``
        :raises InstanceNotFound: it is not the caller's
        :raises InvalidParameterValue: no such type
        :raises ServerWithoutHost: it is on no node
        :raises ServiceUnavailable: its node does not answer
        """
        with self.db.read() as conn:
            row = self._server(conn, context, server, "compute:get_vnc_console")
        base = self._proxy(console_type)
        told = {"console_type": console_type}
        screen = ask_host(self.rpc, context, row, "get VNC console", "get_vnc_console", **told)
        token, at = new_uuid(), now()
        values = {
            "token_hash": _digest(token),
            "instance_id": row.id,
            "console_type": console_type,
            "host": screen["host"],
            "port": int(screen["port"]),
            "internal_access_path": screen.get("internal_access_path"),
            "expires_at": at + timedelta(seconds=self.config.console_token_ttl),
        }
        self.db.write(lambda tx: queries.put_token(tx, values, at))
        return f"{base}?token={token}"

    def redeem(self, token: str) -> Destination | None:
        """Use a token up: for the proxy that a browser has come to.

        :returns: None when it admits no more
        """
        row = self.db.write(lambda tx: queries.take_token(tx, _digest(token), now()))
        if row is None:
            return None
        return Destination(
            instance_uuid=row.uuid,
            console_type=row.console_type,
            host=row.host,
            port=row.port,
            internal_access_path=row.internal_access_path,
        )

    def _proxy(self, console_type: str) -> str:
        match console_type:
            case "novnc":
                return self.config.novncproxy_base_url
            case "xvpvnc":
                return self.config.xvpvncproxy_base_url
            case _:
                raise errors.InvalidParameterValue("Invalid type specification")

    # -- both ------------------------------------------------------------------------------------------

    def _server(self, conn: Connection, context: RequestContext, server: Server, action: str) -> Row[Any]:
        if isinstance(server, str):
            row = queries.server(conn, context, server)
            if row is None:
                raise errors.InstanceNotFound(server)
        else:
            row = server
        self.policy.check(context, action, target_of(row))
        return row


def _console(conn: Connection, row: Row[Any], text: str) -> Row[Any]:
    number = as_number(text)
    found = None if number is None else queries.one(conn, row.id, number)
    if found is None:
        raise ConsoleNotFound(text)
    return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
