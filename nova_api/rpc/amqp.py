"""The transport over RabbitMQ (spec ec2.md 6.1): confirmed publishing, bounded calls."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from nova_api.rpc import broker, envelope
from nova_api.rpc.amqp_consumer import AmqpSubscription
from nova_api.rpc.broker import Broker, CallerPool, Publisher
from nova_api.rpc.envelope import MalformedMessage, Replies, RpcTimeout
from nova_api.rpc.transport import Handler, NoConsumer, Subscription, Transport, TransportError

log = logging.getLogger(__name__)

MAX_CALLS = 32  # calls that wait for their reply at a time; further ones wait for their turn first


class AmqpTransport(Transport):
    """Messages through a broker. Nothing connects before the first message or consumer.

    :param url: ``amqp://user:password@host:port/vhost``
    :param exchange: name of the control exchange
    :param durable: exchange and queues survive a restart of the broker
    """

    survives_process = True

    def __init__(self, url: str, *, exchange: str = "nova", durable: bool = True) -> None:
        super().__init__()
        self._broker = Broker(url, exchange, durable)
        self._exchange = exchange
        self._publisher = Publisher(self._broker)
        self._callers = CallerPool(self._broker, MAX_CALLS)
        self._lock = threading.Lock()
        self._subscriptions: list[AmqpSubscription] = []

    def send(self, topic: str, body: str, on_done: Callable[[], None] | None = None) -> None:
        self._publisher.publish(self._exchange, topic, body, message_id=envelope.new_msg_id())
        if on_done is not None:
            on_done()

    def fanout(self, topic: str, body: str) -> None:
        try:
            name = self._broker.fanout_exchange(topic).name
            self._publisher.publish(name, "", body, message_id=envelope.new_msg_id())
        except NoConsumer:
            log.debug("nobody hears what is fanned out to %s", topic)

    def call(self, topic: str, msg_id: str, body: str, timeout: float) -> Any:
        until = time.monotonic() + timeout
        try:
            connection = self._callers.take(until)
        except broker.ERRORS as error:
            log.warning("broker %s: %s", self._broker.place, error)
            raise TransportError() from error
        if connection is None:
            raise RpcTimeout()
        caller = _Caller(self._broker, self._callers, connection, msg_id)
        try:
            return caller.call(self._exchange, topic, body, until)
        except broker.ERRORS as error:
            log.warning("broker %s: %s", self._broker.place, error)
            raise TransportError() from error
        finally:
            caller.leave()

    def consume(self, topics: Sequence[str], host: str, handle: Handler, workers: int) -> Subscription:
        subscription = AmqpSubscription(self._broker, self._publisher, self.counters, topics, host, handle, workers)
        with self._lock:
            self._subscriptions.append(subscription)
        subscription.start()
        return subscription

    def close(self) -> None:
        with self._lock:
            subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            subscription.stop(0)
        self._callers.close()
        self._publisher.close()


class _Caller:
    """One call: its reply queue, its message, its reply."""

    def __init__(self, place: Broker, pool: CallerPool, connection: Any, msg_id: str) -> None:
        self._broker = place
        self._pool = pool
        self._connection = connection
        self._msg_id = msg_id
        self._replies = Replies()
        self._usable = False

    def call(self, exchange: str, topic: str, body: str, until: float) -> Any:
        """Send the message and wait for the value."""
        try:
            channel, consumer = self._listen()
        except broker.ERRORS:
            # It may have been idle while the broker was started anew. Nothing was sent yet.
            self._connection = self._pool.replace(self._connection)
            channel, consumer = self._listen()
        left = max(0.001, until - time.monotonic())
        try:
            broker.publish(channel, exchange, topic, body, expiration=left)
            while not self._replies.done:
                self._connection.drain_events(timeout=max(0.001, until - time.monotonic()))
        except NoConsumer as error:
            self._usable = error.__cause__ is None
            raise
        except TimeoutError:
            raise RpcTimeout() from None
        else:
            self._usable = True
        finally:
            if self._usable:
                consumer.cancel()
                channel.close()
        return self._replies.value()

    def leave(self) -> None:
        """Give the connection back."""
        self._pool.give_back(self._connection, self._usable)

    def _listen(self) -> tuple[Any, Any]:
        channel = self._connection.channel()
        queue = self._broker.reply_queue(self._msg_id)
        consumer = broker.amqp.Consumer(channel, [queue], on_message=self._take, no_ack=True)
        consumer.consume()
        return channel, consumer

    def _take(self, message: Any) -> None:
        try:
            self._replies.add(envelope.decode(message.body))
        except MalformedMessage as error:
            log.warning("a reply cannot be read: %s", error)
