"""The AMQP broker: how it is reached, what it holds, and one connection that publishes.

Names and kinds of exchanges and queues are those of 2012.1 (spec ec2.md 6.1). Queues are declared without
arguments, as existing nodes declare theirs: messages given up for dead are therefore published to
``EXCHANGE.dead`` rather than dead-lettered by the broker.
"""

import logging
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import kombu
from kombu.exceptions import KombuError
from kombu.transport.pyamqp import Transport as PyAmqp

from nova_api import redact
from nova_api.errors import ConfigError
from nova_api.rpc.transport import SUSPECTS, NoConsumer, TransportError

log = logging.getLogger(__name__)

#: The library's types are declared in part only.
amqp: Any = kombu

CONNECT_SECONDS = 5.0  # for the connection and the login
IO_SECONDS = 10.0  # for one answer of the broker, and for one's turn at the publishing connection
HEARTBEAT_SECONDS = 20.0  # of consumers; a broker silent for twice as long is left

#: What a lost or refusing broker raises. The library stumbles over its closed connections, hence the last.
ERRORS: tuple[type[Exception], ...] = (
    *PyAmqp.connection_errors,
    *PyAmqp.channel_errors,
    *PyAmqp.recoverable_connection_errors,
    KombuError,
    AttributeError,
)
_NOT_FOUND = 404


class Broker:
    """Where the broker is and what is declared there.

    :param url: ``amqp://user:password@host:port/vhost``; several, separated by ``;``, for a cluster
    :param exchange: the control exchange
    :param durable: it and the queues survive a restart of the broker
    :raises ConfigError: it is no URL
    """

    def __init__(self, url: str, exchange: str, durable: bool) -> None:
        self._url = url
        self.place = redact.url(url)
        try:
            for one in url.split(";"):
                _ = urlsplit(one).port
        except ValueError as error:  # which may show a part of the password, when that has a mark of URLs in it
            raise ConfigError(
                "rpc_transport is no amqp://user:password@host:port/vhost"
                " (in user, password and vhost, / is %2F and @ is %40)"
            ) from error
        self.exchange = amqp.Exchange(exchange, "topic", durable=durable, auto_delete=False)
        self.dead = amqp.Queue(f"{exchange}.dead", amqp.Exchange(""), routing_key=f"{exchange}.dead", durable=True)
        self._durable = durable

    def connect(self, heartbeat: float = 0.0) -> Any:
        """A new connection, with the control exchange declared; no wait for an answer on it is unbounded.

        :param heartbeat: seconds; 0 for connections that are not always attended to
        :raises Exception: one of ``ERRORS``
        """
        connection = amqp.Connection(
            self._url,
            connect_timeout=CONNECT_SECONDS,
            heartbeat=heartbeat,
            transport_options={"confirm_publish": True},
        )
        try:
            # One try for every host of a cluster, without a pause.
            connection.ensure_connection(
                max_retries=len(connection.alt) - 1 if connection.alt else 0, reraise_as_library_errors=False
            )
            connection.connection.sock.settimeout(IO_SECONDS)
            self.exchange(connection.default_channel).declare()
        except BaseException:
            discard(connection)
            raise
        return connection

    def topic_queue(self, name: str) -> Any:
        """The queue of a topic, shared by all its consumers, or of one host."""
        return amqp.Queue(name, self.exchange, routing_key=name, durable=self._durable, auto_delete=False)

    def suspect_queue(self, name: str) -> Any:
        """Where messages of a queue wait that several processes have died with: they are handled one at a time."""
        return amqp.Queue(
            f"{name}{SUSPECTS}",
            amqp.Exchange(""),
            routing_key=f"{name}{SUSPECTS}",
            durable=self._durable,
            auto_delete=False,
        )

    def fanout_exchange(self, topic: str) -> Any:
        """Where messages for every consumer of a topic go."""
        return amqp.Exchange(f"{topic}_fanout", "fanout", durable=False, auto_delete=True)

    def fanout_queue(self, topic: str, unique: str) -> Any:
        """The queue of one of these consumers."""
        exchange = self.fanout_exchange(topic)
        return amqp.Queue(f"{topic}_fanout_{unique}", exchange, durable=False, exclusive=True, auto_delete=True)

    def reply_queue(self, msg_id: str) -> Any:
        """Where the caller waits."""
        exchange = amqp.Exchange(msg_id, "direct", durable=False, auto_delete=True)
        return amqp.Queue(msg_id, exchange, routing_key=msg_id, durable=False, exclusive=True, auto_delete=True)


def publish(
    channel: Any,
    exchange: str,
    key: str,
    body: str,
    *,
    expiration: float | None = None,
    headers: dict[str, Any] | None = None,
    message_id: str | None = None,
    mandatory: bool = True,
) -> None:
    """Publish a persistent message and wait for the broker's confirm.

    :param expiration: seconds after which the broker drops it
    :param message_id: the same for a message that is published again
    :raises NoConsumer: no queue takes it
    :raises Exception: one of ``ERRORS``; the channel is of no use any more
    """
    returned: list[Exception] = []
    # The producer would leave one listener behind for every message.
    channel.events["basic_return"] = {lambda error, *_: returned.append(error)}
    try:
        amqp.Producer(channel, auto_declare=False).publish(
            body,
            exchange=exchange,
            routing_key=key,
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
            mandatory=mandatory,
            expiration=expiration,
            headers=headers,
            message_id=message_id,
            timeout=IO_SECONDS,
            confirm_timeout=IO_SECONDS,
        )
    except PyAmqp.channel_errors as error:
        if getattr(error, "reply_code", None) == _NOT_FOUND:
            raise NoConsumer(key or exchange) from error
        raise
    if returned:
        raise NoConsumer(key or exchange)


def discard(connection: Any) -> None:
    """Let go of a connection of which nothing is expected any more."""
    try:
        connection.collect(socket_timeout=1.0)
    except ERRORS as error:
        log.debug("a connection to the broker closed badly: %s", error)


def hang_up(connection: Any) -> None:
    """Close a connection that works, so that the broker reads what was sent over it last."""
    try:
        connection.release()
    except ERRORS:
        discard(connection)


class Publisher:
    """One connection, used by one thread at a time, made when needed and again when it broke.

    :param broker: where to connect
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._turn = threading.Lock()
        self._connection: Any = None

    def publish(self, exchange: str, key: str, body: str, **options: Any) -> None:
        """Publish a message and wait for the confirm; see :func:`publish`.

        Sent again when a connection turns out to have been lost: the message may arrive twice.

        :raises NoConsumer: no queue takes it
        :raises TransportError: the broker does not answer
        """
        if not self._turn.acquire(timeout=IO_SECONDS):
            raise TransportError()
        try:
            if self._connection is not None:
                try:
                    return self._publish(exchange, key, body, options)
                except ERRORS as error:
                    log.info("broker %s: connection lost: %s", self._broker.place, error)
            try:
                self._connection = self._broker.connect()
                self._publish(exchange, key, body, options)
            except ERRORS as error:
                log.warning("broker %s: %s", self._broker.place, error)
                raise TransportError() from error
        finally:
            self._turn.release()

    def _publish(self, exchange: str, key: str, body: str, options: dict[str, Any]) -> None:
        try:
            publish(self._connection.default_channel, exchange, key, body, **options)
        except NoConsumer as error:
            if error.__cause__ is not None:
                self._drop()  # the exchange is missing: the broker has closed the channel
            raise
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            discard(connection)

    def close(self) -> None:
        """Close the connection, after the message that is on its way."""
        if self._turn.acquire(timeout=IO_SECONDS):
            try:
                connection, self._connection = self._connection, None
                if connection is not None:
                    hang_up(connection)
            finally:
                self._turn.release()


class CallerPool:
    """Connections of callers: each waits for its reply on one of its own.

    :param broker: where to connect
    :param limit: connections at a time
    """

    def __init__(self, broker: Broker, limit: int) -> None:
        self._broker = broker
        self._places = threading.BoundedSemaphore(limit)
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._closed = False

    def take(self, until: float) -> Any:
        """A connection, idle or new; None when there is no place for it until then.

        :param until: on the monotonic clock
        :raises Exception: one of ``ERRORS``
        """
        if not self._places.acquire(timeout=max(0.0, until - time.monotonic())):
            return None
        try:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            return connection or self._broker.connect()
        except BaseException:
            self._places.release()
            raise

    def replace(self, broken: Any) -> Any:
        """A new connection in place of one that was taken.

        :raises Exception: one of ``ERRORS``; the place is still the caller's
        """
        discard(broken)
        return self._broker.connect()

    def give_back(self, connection: Any, usable: bool) -> None:
        """Leave the place, and the connection to the next caller if it is still good."""
        with self._lock:
            keep = usable and not self._closed
            if keep:
                self._idle.append(connection)
        if not usable:
            discard(connection)
        elif not keep:
            hang_up(connection)
        self._places.release()

    def close(self) -> None:
        """Close idle connections now and the others when their callers have done."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            hang_up(connection)
