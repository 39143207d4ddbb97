"""The console node: gives instances a port and a password under which their screen is reached."""

import logging
import secrets
import string
import threading
from functools import partial
from typing import ClassVar

from sqlalchemy.exc import IntegrityError

from nova_api.auth.secretbox import SecretBox
from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.db import consoles
from nova_api.db.engine import Database, Transaction
from nova_api.errors import ConfigError, Conflict, ServiceUnavailable

log = logging.getLogger(__name__)

CONSOLE_TYPE = "vnc"
#: VNC's own authentication looks at no more characters than these.
PASSWORD_LENGTH = 8
_LETTERS = string.ascii_letters + string.digits
_LAST_PORT = 65_535
#: How often another port is tried when a process of the same host has just taken the one that was free.
_ATTEMPTS = 8


class ConsoleManager:
    """Answers ``console`` and ``console.HOST``.

    Passwords are encrypted with the key of ``secret_key_file``: a node on another host than the API needs the same
    file.

    :param db: the datastore
    :param config: ``console_port_first``, ``console_port_last``, ``console_public_hostname``, ``secret_key_file``
    :param host: name of this node
    :raises ConfigError: the range of ports is none
    """

    methods: ClassVar[tuple[str, ...]] = ("add_console", "remove_console")
    binary: ClassVar[str] = "nova-console"

    def __init__(self, db: Database, config: Config, host: str) -> None:
        self.db, self.host = db, host
        self.ports = ports_of(config)
        self.public_hostname = config.console_public_hostname or config.my_ip
        self.box = SecretBox(config.secret_key_path)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Give up the ports of instances that have ended meanwhile."""
        self.db.write(lambda tx: consoles.drop_ended(tx, self.host))

    def add_console(self, context: RequestContext, instance_id: int) -> int | None:
        """Give an instance a console; one that has it keeps it.

        :param instance_id: its number
        :returns: the console's number; None when the instance has ended
        :raises Conflict: every port is in use
        :raises ServiceUnavailable: the message comes again
        """
        with self._lock:  # messages of one process do not race for the same port
            for _ in range(_ATTEMPTS):
                try:
                    return self.db.write(partial(self._add, instance_id))
                except IntegrityError:
                    log.info("%s: a console port was taken by another process", self.host)
        raise ServiceUnavailable("The console ports are contended. Please try your request again.")

    def _add(self, instance_id: int, tx: Transaction) -> int | None:
        # Whoever holds the instance is alone with its consoles, on whichever host they are.
        if not consoles.hold_living(tx, instance_id):
            return None
        known = consoles.of_type(tx.conn, instance_id, CONSOLE_TYPE)
        if known is not None:
            return known
        used = consoles.drop_ended(tx, self.host)
        port = next((one for one in self.ports if one not in used), None)
        if port is None:
            raise Conflict(f"Every console port of {self.host} is in use.")
        values = {
            "instance_id": instance_id,
            "console_type": CONSOLE_TYPE,
            "password": self.box.seal(new_password()),
            "host": self.host,
            "public_hostname": self.public_hostname,
            "port": port,
        }
        return consoles.insert(tx, values)

    def remove_console(self, context: RequestContext, console_id: int) -> None:
        """Take a console away; none is fine.

        :param console_id: its number
        """
        self.db.write(lambda tx: consoles.remove(tx, self.host, console_id))


def new_password() -> str:
    """A random password of a console."""
    return "".join(secrets.choice(_LETTERS) for _ in range(PASSWORD_LENGTH))


def ports_of(config: Config) -> range:
    """The ports of consoles.

    :raises ConfigError: they are no range
    """
    if not config.console_port_first <= config.console_port_last <= _LAST_PORT:
        raise ConfigError(
            f"console_port_first={config.console_port_first} and console_port_last={config.console_port_last}"
            " make no range of ports"
        )
    return range(config.console_port_first, config.console_port_last + 1)
