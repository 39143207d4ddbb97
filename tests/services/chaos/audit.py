"""What is there afterwards, beside what was promised."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import kombu
import sqlalchemy as sa

from nova_api.db import models
from nova_api.db.models import fixed_ips, floating_ips, instances, key_pairs, outbox, security_groups, volumes
from tests.services.chaos.clients import GONE, Ledger, Promise
from tests.services.chaos.driver import guests
from tests.services.chaos.members import Cloud

QUIET_SECONDS = 150.0
TOPICS = ("scheduler", "compute", "network", "volume", "cert", "console")


class Rows:
    """The datastore as it is at last."""

    def __init__(self, url: str) -> None:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.connect() as conn:

            def all_of(table: sa.Table, *where: Any) -> Sequence[Any]:
                return conn.execute(sa.select(table).where(*where)).all()

            self.instances = all_of(instances, instances.c.deleted == 0)
            self.volumes = all_of(volumes, volumes.c.deleted == 0)
            self.fixed = all_of(fixed_ips, fixed_ips.c.instance_id.is_not(None))
            self.floating = all_of(floating_ips, floating_ips.c.project_id.is_not(None))
            self.keys = all_of(key_pairs)
            self.groups = all_of(security_groups)
            self.devices = all_of(models.block_devices)
            self.messages = all_of(outbox)
        engine.dispose()

    def restless(self) -> list[str]:
        """What is still in the middle of something."""
        found = [f"instance {r.id}: {r.vm_state}, {r.task_state}" for r in self.instances if r.task_state]
        found += [f"instance {r.id}: {r.vm_state}" for r in self.instances if r.vm_state == "building"]
        found += [f"volume {r.id}: {r.status}" for r in self.volumes if r.status.endswith("ing")]
        return found + [f"message {r.id} for {r.topic}: {r.body[:200]}" for r in self.messages]


def waiting_messages(cloud: Cloud) -> list[str]:
    """Messages at the broker, and dead ones."""
    names = [*TOPICS, *(f"{topic}.{member.name}" for topic in TOPICS for member in cloud.members)]
    queues = [*names, *(f"{name}.suspects" for name in names), "nova.dead"]
    found = []
    with kombu.Connection(cloud.broker.url) as connection:
        for name in queues:
            channel = connection.channel()
            try:
                count = channel.queue_declare(name, passive=True).message_count
            except connection.channel_errors:
                continue  # nobody has made it
            if count:
                found.append(f"{count} messages in {name}")
    return found


def settled(cloud: Cloud) -> tuple[Rows, list[str]]:
    """Wait until nothing happens any more.

    :returns: the datastore, and what does not come to rest
    """
    until = time.monotonic() + QUIET_SECONDS
    while True:
        rows = Rows(cloud.database.url)
        left = rows.restless() + waiting_messages(cloud)
        if not left or time.monotonic() > until:
            return rows, left
        time.sleep(0.5)


def differences(cloud: Cloud, ledger: Ledger) -> list[str]:
    """Whatever is not as it was promised; empty when every promise was kept exactly once."""
    rows, left = settled(cloud)
    found = [f"does not come to rest: {one}" for one in left]
    found += _servers(cloud, rows, ledger) + _volumes(rows, ledger) + _addresses(rows, ledger)
    found += _named("key", [row.name for row in rows.keys], ledger)
    found += _named("group", [row.name for row in rows.groups if row.name != "default"], ledger)
    return found + ledger.wrong


def _server_name(row: Any) -> str:
    return str(row.client_token or row.display_name)


def _of(ledger: Ledger, kind: str) -> list[Promise]:
    return [promise for promise in ledger.promises if promise.kind == kind]


def _kept(promises: Iterable[Promise], states: dict[str, list[str]]) -> list[str]:
    """Promises beside the states that were found by name."""
    found = []
    known = set()
    for promise in promises:
        known.add(promise.name)
        seen = states.get(promise.name, [GONE])
        if len(seen) != 1 or seen[0] not in promise.states:
            found.append(f"{promise.kind} {promise.name} ({promise.id}): {seen}, promised {sorted(promise.states)}")
    return found + [f"{name}: nobody has asked for it" for name in sorted(set(states) - known)]


def _named(kind: str, names: Iterable[str], ledger: Ledger) -> list[str]:
    states: dict[str, list[str]] = {}
    for name in names:
        states.setdefault(name, []).append("there")
    return _kept(_of(ledger, kind), states)


def _servers(cloud: Cloud, rows: Rows, ledger: Ledger) -> list[str]:
    states: dict[str, list[str]] = {}
    for row in rows.instances:
        states.setdefault(_server_name(row), []).append(row.vm_state)
    found = _kept(_of(ledger, "server"), states)
    made = guests(cloud.guests)
    for row in rows.instances:
        places = made.pop(row.id, [])
        if places != [row.host]:
            found.append(f"instance {row.id} is on {row.host}, its guests on {places}")
    found += [f"guest {number} on {places} belongs to no instance" for number, places in made.items()]
    held = Counter(row.instance_id for row in rows.fixed)
    alive = {row.id for row in rows.instances}
    found += [f"instance {number} has {held[number]} fixed addresses" for number in alive if held[number] != 1]
    return found + [f"fixed address of the ended instance {number}" for number in held if number not in alive]


def _volumes(rows: Rows, ledger: Ledger) -> list[str]:
    names = {row.id: _server_name(row) for row in rows.instances}
    states: dict[str, list[str]] = {}
    for row in rows.volumes:
        state = f"at {names.get(row.instance_id)}" if row.status == "in-use" else row.status
        states.setdefault(row.display_name, []).append(state)
    found = _kept(_of(ledger, "volume"), states)
    devices = Counter(row.volume_id for row in rows.devices if row.instance_id in names)
    for row in rows.volumes:
        if devices[row.id] != (row.status == "in-use"):
            found.append(f"volume {row.id} is {row.status} and has {devices[row.id]} devices")
    return found


def _addresses(rows: Rows, ledger: Ledger) -> list[str]:
    promises = _of(ledger, "address")
    held = {row.address: row.project_id for row in rows.floating}
    found = []
    for promise in promises:
        if promise.states == {"held"} and held.get(promise.id or "") != promise.project:
            found.append(f"address {promise.id} is lost to {promise.project}")
    unsure = Counter(promise.project for promise in promises if len(promise.states) > 1)
    sure = {promise.id for promise in promises if promise.states == {"held"}}
    beyond = Counter(project for address, project in held.items() if address not in sure)
    for project, count in beyond.items():
        if count > unsure[project]:
            found.append(
                f"{project} holds {count} addresses that it was not promised, {unsure[project]} may be its own"
            )
    alive = {row.instance_id: row.id for row in rows.fixed}
    places = {number for number in alive.values()}
    return found + [
        f"address {row.address} is at a fixed address that nobody has"
        for row in rows.floating
        if row.fixed_ip_id is not None and row.fixed_ip_id not in places
    ]
