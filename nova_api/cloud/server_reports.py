"""What is known of a server beyond its document: its console, its counters, what happened to it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Row

from nova_api import errors, limits
from nova_api.cloud.remote import Refused, ask, ask_host
from nova_api.cloud.servers import Servers
from nova_api.context import RequestContext
from nova_api.db import instances as queries
from nova_api.rpc.client import Rpc


class LiveMigrationFailed(errors.ApiError):
    """A server cannot move while it runs.

    :param server: as the caller wrote it; host likewise
    """

    def __init__(self, server: str, host: str) -> None:
        super().__init__(f"Live migration of instance {server} to host {host} failed")


class ServerReports:
    """Questions about servers that their nodes answer."""

    def __init__(self, servers: Servers, rpc: Rpc) -> None:
        self.servers, self.rpc, self.db = servers, rpc, servers.db

    def _row(self, context: RequestContext, server: str, action: str) -> Row[Any]:
        with self.db.read() as conn:
            return self.servers.row(conn, context, server, action)

    def console_output(self, context: RequestContext, server: str, lines: int | None) -> str:
        """The console text of a server.

        :param lines: only so many of the last ones
        :raises InstanceNotFound: it is not the caller's
        :raises ServerWithoutHost: it runs nowhere yet
        :raises ServiceUnavailable: its node does not answer
        """
        row = self._row(context, server, "compute:get_console_output")
        text = ask_host(self.rpc, context, row, "get console output", "get_console_output", tail_length=lines)
        return str(text)[-limits.MAX_CONSOLE_BYTES :]

    def diagnostics(self, context: RequestContext, server: str) -> Mapping[str, Any]:
        """Counters of a server, under the names of its hypervisor.

        :raises InstanceNotFound: it is not the caller's
        :raises ServerWithoutHost: it runs nowhere yet
        :raises ServiceUnavailable: its node does not answer
        """
        row = self._row(context, server, "compute:get_diagnostics")
        found = ask_host(self.rpc, context, row, "get diagnostics", "get_diagnostics")
        return found if isinstance(found, dict) else {"diagnostics": found}

    def actions(self, context: RequestContext, server: str) -> Sequence[Row[Any]]:
        """What happened to a server on its node, oldest first.

        :raises InstanceNotFound: it is not the caller's
        """
        with self.db.read() as conn:
            row = self.servers.row(conn, context, server, "compute:get_actions")
            return queries.actions(conn, row.id)

    def migrate_live(
        self, context: RequestContext, server: str, host: str, *, block_migration: bool, disk_over_commit: bool
    ) -> None:
        """Move a server to another host while it runs.

        :param block_migration: its disk moves too, the hosts share none
        :param disk_over_commit: do not look at the room of the other host's disk
        :raises LiveMigrationFailed: whatever the reason, as in 2012.1
        """
        try:
            row = self._row(context, server, "compute:live_migrate")
            ask(
                self.rpc,
                context,
                "scheduler",
                "live_migration",
                instance_id=row.id,
                dest=host,
                topic="compute",
                block_migration=block_migration,
                disk_over_commit=disk_over_commit,
            )
        except (Refused, errors.InstanceNotFound, errors.ServiceUnavailable) as error:
            raise LiveMigrationFailed(server, host) from error
