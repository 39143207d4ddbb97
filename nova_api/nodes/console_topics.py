"""What a compute node says about the console nodes."""

from nova_api.context import RequestContext
from nova_api.db import services
from nova_api.db.engine import Database


class ConsoleTopics:
    """A part of the compute manager.

    :ivar db: the datastore
    :ivar host: name of this node
    :ivar down_time: seconds of silence that make a service down
    """

    db: Database
    host: str
    down_time: float

    def get_console_topic(self, context: RequestContext, **_unused: object) -> str:
        """Where consoles of this host's instances are made (a call): here, else at the first console node that lives.

        2012.1 sends ``fake``, which says nothing.
        """
        with self.db.read() as conn:
            living = [
                row.host
                for row in services.every(conn)
                if row.topic == "console" and not row.disabled and services.alive(row, self.down_time)
            ]
        # Without any the message waits for the one of this host.
        return f"console.{self.host if self.host in living or not living else living[0]}"
