"""Messages that are part of a transaction: committed with it, sent after it, never lost, never without it.

``cast`` writes a row. After the commit the message is sent at once; the row goes when the transport has taken
the message over (a broker: its confirm; in process: the handler has finished). One thread, the relay, deletes
such rows in batches and sends what was left behind: by a broker that was away, a topic that nobody consumed,
a process that died. A row is claimed by a process for the length of a lease, so two relays do not send it.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from nova_api import errors
from nova_api.context import RequestContext
from nova_api.db import models
from nova_api.db.engine import Database, Transaction
from nova_api.rpc import envelope
from nova_api.rpc.delivery import backoff
from nova_api.rpc.transport import NoConsumer, Transport, TransportError

log = logging.getLogger(__name__)

BATCH = 200  # rows claimed, or deleted, in one transaction
MAX_QUEUED = 1000  # committed messages that wait in memory for the relay; the others wait in their rows
LINGER = 0.01  # seconds in which acknowledgements gather before their rows are deleted together
SCAN_SECONDS = 5.0  # between two looks for rows that were left behind

_rows = models.outbox
_INSERT = _rows.insert()
_INSERT_MANY = _rows.insert().returning(_rows.c.id, _rows.c.topic, _rows.c.body)
_DELETE = _rows.delete().where(_rows.c.id.in_(sa.bindparam("ids", expanding=True)))
_RELEASE = (
    _rows.update()
    .where(_rows.c.id == sa.bindparam("row_id"), _rows.c.claimed_by == sa.bindparam("me"))
    .values(claimed_by=None, claimed_until=sa.bindparam("until"))
)
_FREE = sa.or_(_rows.c.claimed_until.is_(None), _rows.c.claimed_until <= sa.bindparam("now"))
#: With messages that die with their process, whoever else has claimed a row is dead: there is one process.
_ABANDONED = sa.or_(_FREE, _rows.c.claimed_by != sa.bindparam("me"))
_NEXT_DUE = sa.select(sa.func.min(_rows.c.claimed_until)).where(_rows.c.claimed_by.is_(None))


@dataclass(frozen=True, slots=True)
class _Row:
    """A message of this process.

    :ivar since: when this process got it, on the monotonic clock
    """

    id: int
    topic: str
    body: str
    attempts: int
    since: float


class Outbox:
    """The messages of committed transactions.

    Without ``start`` there is no relay: messages are sent in the thread that committed, and what cannot be
    sent stays for the relay of another process.

    :param db: holds the rows
    :param transport: takes the messages
    :param process_id: unlike that of any other process, at any time; up to 64 characters
    :param lease_seconds: how long a claimed row is left to its process
    """

    def __init__(self, db: Database, transport: Transport, process_id: str, lease_seconds: float = 30.0) -> None:
        self._db = db
        self._transport = transport
        self._me = process_id[:64]
        self._lease = lease_seconds
        due = _FREE if transport.survives_process else _ABANDONED
        self._select_due = (
            sa.select(_rows.c.id).where(_rows.c.id > sa.bindparam("after"), due).order_by(_rows.c.id).limit(BATCH)
        )
        self._select_claimable = (
            sa.select(_rows.c.id, _rows.c.topic, _rows.c.body, _rows.c.attempts)
            .where(_rows.c.id.in_(sa.bindparam("ids", expanding=True)), due)
            .order_by(_rows.c.id)
            .with_for_update(skip_locked=True)
        )
        self._changed = threading.Condition()
        self._queue: deque[_Row] = deque()
        self._done: list[int] = []
        self._returned: list[tuple[int, float]] = []  # row id, seconds until it is tried again
        self._held: set[int] = set()  # rows that are queued, in flight, or about to be deleted or given back
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._scan_at = 0.0  # next look for rows that were left behind, on the monotonic clock
        self._failures = 0  # outages in a row
        self._resume_at = 0.0  # end of the present outage's pause, on the monotonic clock

    # -- in the transaction

    def cast(self, tx: Transaction, context: RequestContext, topic: str, method: str, /, **args: Any) -> None:
        """Have ``method`` of a consumer of ``topic`` run once ``tx`` is committed.

        :param topic: ``topic``, or ``topic.host``
        :param args: of the method; what they hold must be able to travel (:func:`envelope.encode`)
        """
        self._insert(tx, self._values(context, topic, method, args))

    def cast_many(
        self,
        tx: Transaction,
        context: RequestContext,
        messages: Iterable[tuple[str, str, Mapping[str, Any]]],
    ) -> None:
        """Several casts in one statement.

        :param messages: topic, method and arguments of each
        """
        rows = [self._values(context, topic, method, args) for topic, method, args in messages]
        if len(rows) < 2 or not tx.conn.dialect.insert_executemany_returning:
            for row in rows:
                self._insert(tx, row)
            return
        # Their order is not promised, hence the whole row.
        for found in sorted(tx.execute(_INSERT_MANY, rows)):
            self._send_after(tx, found.id, found.topic, found.body)

    def _insert(self, tx: Transaction, row: Mapping[str, Any]) -> None:
        key: Any = tx.execute(_INSERT, row).inserted_primary_key
        self._send_after(tx, key[0], row["topic"], row["body"])

    def _values(self, context: RequestContext, topic: str, method: str, args: Mapping[str, Any]) -> dict[str, Any]:
        now = models.now()
        return {
            "topic": topic,
            "body": envelope.encode(envelope.pack(context, method, args)),
            "created_at": now,
            "claimed_by": self._me,
            "claimed_until": now + timedelta(seconds=self._lease),
        }

    def _send_after(self, tx: Transaction, row_id: int, topic: str, body: str) -> None:
        tx.after_commit(partial(self._committed, _Row(row_id, topic, body, 0, time.monotonic())))

    # -- after the commit, in the thread of the request

    def _committed(self, row: _Row) -> None:
        with self._changed:
            relay = self._thread is not None and self._transport.survives_process
            if relay and len(self._queue) >= MAX_QUEUED:
                return  # found again when the lease ends
            self._held.add(row.id)
            if relay:
                self._queue.append(row)
                self._changed.notify()
        if not relay:
            self._send(row)

    def _send(self, row: _Row) -> bool:
        """Send one held message. Never raises: its transaction is committed, its request has succeeded.

        :returns: the transport works, whatever became of this message
        """
        try:
            self._transport.send(row.topic, row.body, partial(self._acknowledged, row.id))
        except NoConsumer:
            log.warning("nobody takes messages for %s yet; message %d waits", row.topic, row.id)
            self._give_back(row.id, backoff(row.attempts + 1))
            return True
        except TransportError as error:
            log.warning("message %d for %s waits: %s", row.id, row.topic, error)
        except Exception:
            log.exception("message %d for %s could not be sent", row.id, row.topic)
        else:
            return True
        self._give_back(row.id, 0.0)
        return False

    def _acknowledged(self, row_id: int) -> None:
        self._note(self._done, row_id)

    def _give_back(self, row_id: int, delay: float) -> None:
        self._note(self._returned, (row_id, delay))

    def _note(self, items: list[Any], item: object) -> None:
        with self._changed:
            items.append(item)
            self._changed.notify()
            relay = self._thread is not None
        if not relay:
            try:
                self._settle()
            except Exception as error:
                log.warning("the row of message %s stays for now: %s", item, error)

    def _settle(self) -> None:
        """Delete the rows of messages that were taken over, give back those that were not.

        :raises ServiceUnavailable: the database does not answer; nothing is forgotten
        """
        with self._changed:
            done, returned = self._done[:BATCH], self._returned[:BATCH]
            del self._done[:BATCH], self._returned[:BATCH]
        if not done and not returned:
            return
        try:
            self._db.write(partial(self._settle_rows, done, returned))
        except BaseException:
            with self._changed:
                self._done += done
                self._returned += returned
            raise
        now = time.monotonic()
        with self._changed:
            self._held.difference_update(done, (row_id for row_id, _ in returned))
            self._scan_at = min([self._scan_at, *(now + delay for _, delay in returned)])

    def _settle_rows(self, done: list[int], returned: list[tuple[int, float]], tx: Transaction) -> None:
        if done:
            tx.execute(_DELETE, {"ids": sorted(done)})
        if returned:
            now = models.now()
            tx.execute(
                _RELEASE,
                [
                    {"row_id": row_id, "me": self._me, "until": now + timedelta(seconds=delay)}
                    for row_id, delay in sorted(returned)
                ],
            )

    # -- the relay

    def start(self) -> None:
        """Start the relay. What earlier processes left behind is sent first."""
        with self._changed:
            if self._thread is None:
                self._stopping.clear()
                self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Stop the relay; rows of sent messages are deleted first.

        :param timeout: seconds
        """
        with self._changed:
            thread = self._thread
            self._stopping.set()
            self._changed.notify_all()
        if thread is not None:
            thread.join(timeout)

    def depth(self) -> int:
        """Messages that are not known to be taken over."""
        with self._db.read() as conn:
            return int(conn.execute(sa.select(sa.func.count()).select_from(_rows)).scalar_one())

    def oldest_age(self) -> float:
        """Seconds since the oldest of them was committed; 0 without any."""
        with self._db.read() as conn:
            created = conn.execute(sa.select(sa.func.min(_rows.c.created_at))).scalar_one()
        return 0.0 if created is None else max(0.0, (models.now() - created).total_seconds())

    def _run(self) -> None:
        self._scan_at = 0.0
        try:
            while not self._stopping.is_set():
                try:
                    self._step()
                except errors.ServiceUnavailable:
                    self._stopping.wait(1.0)  # the database has logged why
                except Exception:
                    log.exception("the relay goes on after an error")
                    self._stopping.wait(1.0)
                self._wait()
        finally:
            self._finish()

    def _step(self) -> None:
        self._send_queue()
        while self._done or self._returned:
            self._settle()
        if time.monotonic() >= max(self._scan_at, self._resume_at):
            self._scan()
            self._scan_at = time.monotonic() + self._until_due()

    def _wait(self) -> None:
        """Until there is something to do; a little longer when that is only to delete rows."""
        with self._changed:
            until = max(self._scan_at, self._resume_at)
            while not (self._queue or self._done or self._returned or self._stopping.is_set()):
                left = until - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)
            if self._queue:
                return
        self._stopping.wait(LINGER)

    def _finish(self) -> None:
        with self._changed:
            self._thread = None  # from here on, whoever commits sends
        try:
            self._send_queue()
            while self._done or self._returned:
                self._settle()
        except Exception as error:
            log.warning("the relay stops; messages that are left wait for the next start: %s", error)

    def _send_queue(self) -> None:
        while True:
            with self._changed:
                if not self._queue:
                    return
                row = self._queue.popleft()
            too_late = time.monotonic() - row.since > self._lease / 2
            if too_late or time.monotonic() < self._resume_at:
                self._give_back(row.id, 0.0)
            else:
                self._note_outage(self._send(row))

    def _scan(self) -> None:
        """Send what was left behind, in the order of its ids."""
        after = 0
        while not self._stopping.is_set():
            with self._db.read() as conn:
                found = conn.execute(self._select_due, {"after": after, "now": models.now(), "me": self._me}).scalars()
                ids = list(found)
            if not ids:
                return
            after = ids[-1]
            with self._changed:
                ids = [row_id for row_id in ids if row_id not in self._held]
            if ids and not self._send_claimed(self._db.write(partial(self._claim, ids))):
                return
            while self._done or self._returned:
                self._settle()

    def _claim(self, ids: Sequence[int], tx: Transaction) -> list[_Row]:
        now = models.now()
        found = tx.execute(self._select_claimable, {"ids": list(ids), "now": now, "me": self._me}).all()
        if found:
            tx.execute(
                _rows.update()
                .where(_rows.c.id.in_([row.id for row in found]))
                .values(
                    claimed_by=self._me,
                    claimed_until=now + timedelta(seconds=self._lease),
                    attempts=_rows.c.attempts + 1,
                )
            )
        return [_Row(row.id, row.topic, row.body, row.attempts + 1, time.monotonic()) for row in found]

    def _send_claimed(self, rows: Sequence[_Row]) -> bool:
        with self._changed:
            self._held.update(row.id for row in rows)
        for number, row in enumerate(rows):
            if self._stopping.is_set() or not self._note_outage(self._send(row)):
                sent = number + (not self._stopping.is_set())
                for unsent in rows[sent:]:
                    self._give_back(unsent.id, 0.0)
                return False
        return True

    def _note_outage(self, works: bool) -> bool:
        """Count failures in a row and set the pause that follows them."""
        if works:
            if self._failures:
                log.info("messages are taken again")
            self._failures = 0
        else:
            self._failures += 1
            pause = backoff(self._failures)
            self._resume_at = time.monotonic() + pause
            log.warning("messages wait in the outbox; next try in %.0f s", pause)
        return works

    def _until_due(self) -> float:
        """Seconds until the next look at the rows."""
        with self._db.read() as conn:
            due = conn.execute(_NEXT_DUE).scalar_one()
        if due is None:
            return SCAN_SECONDS
        seconds: float = (due - models.now()).total_seconds()
        return min(SCAN_SECONDS, max(0.05, seconds))
