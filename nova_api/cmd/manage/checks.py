"""The checks of ``nova-manage doctor``."""

import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nova_api import redact
from nova_api.auth.keystone_http import KeystoneHttp
from nova_api.auth.secretbox import SecretBox
from nova_api.cmd.manage.doctor import FAIL, OK, WARN, Check, Finding
from nova_api.config import Config
from nova_api.db import schema, services, vitals
from nova_api.db.engine import Database
from nova_api.db.models import now
from nova_api.errors import ApiError, ConfigError, ServiceUnavailable
from nova_api.nodes.service import MANAGERS
from nova_api.rpc.transport import SUSPECTS, TransportError
from nova_api.runtime import load_class, make_probe

#: Free space of the state folder below which to warn, and to fail, bytes.
LITTLE_SPACE, NO_SPACE = 1 << 30, 100 << 20
#: Difference of the clocks from which on to warn, and to fail, seconds.
SKEW, BAD_SKEW = 2.0, 30.0
#: Age of the oldest message of the outbox from which on to warn, and to fail, seconds.
OLD_MESSAGE, LOST_MESSAGE = 60.0, 600.0
#: Messages that wait in one queue of the broker from which on to warn.
LONG_QUEUE = 1000
#: How long memcached and Keystone may take, seconds.
PATIENCE = 5.0
#: Without one of these no instance is built.
VITAL_TOPICS = ("scheduler", "compute", "network", "volume")

_WHERE = "set sql_connection, and see that the server runs and lets this host and user in"


def configuration(config: Config) -> Iterable[Finding]:
    """Options that contradict each other, files and classes that are not there."""
    problems = list(_configuration_problems(config))
    yield from problems
    if not problems:
        yield Finding("configuration", OK, f"datastore {_safe(config.database_url)}, messages {_messages(config)}")


def _configuration_problems(config: Config) -> Iterable[Finding]:
    for option in ("paste_path", "policy_path"):
        try:
            path = getattr(config, option)
        except ConfigError as error:
            yield Finding("configuration", FAIL, str(error), "install the package anew, or name the file by its option")
            continue
        if not Path(path).is_file():
            do = "correct api_paste_config or policy_file"
            yield Finding("configuration", FAIL, f"{path} is not there", do)
    for path in (config.compute_driver, config.volume_driver):
        try:
            load_class(path)
        except ConfigError as error:
            yield Finding("configuration", FAIL, str(error), "correct compute_driver or volume_driver")
    if not config.rpc_transport.startswith(("memory:", "amqp:", "amqps:")):
        yield Finding(
            "configuration", FAIL, "rpc_transport is neither memory:// nor amqp://", "name the broker in rpc_transport"
        )
    elif config.rpc_transport.startswith("memory:") and not config.embedded_nodes:
        says = "memory:// reaches nodes of the same process only, and embedded_nodes is off"
        yield Finding("configuration", FAIL, says, "set rpc_transport=amqp://…, or embedded_nodes=true")
    if config.report_interval * 2 > config.service_down_time:
        says = f"services report every {config.report_interval:g} s and are down after {config.service_down_time} s"
        yield Finding("configuration", WARN, says, "make service_down_time several times report_interval")


def state_folder(config: Config) -> Iterable[Finding]:
    """The state folder and the space it has."""
    folder = Path(config.state_path).absolute()
    if not folder.is_dir():
        yield Finding("state", FAIL, f"{folder} is not there", "start nova-api, which makes it, or correct state_path")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("state", FAIL, f"{folder} cannot be written", "give it to the user that nova-api runs as")
        return
    free = shutil.disk_usage(folder).free
    says = f"{folder}, {free / 2**30:.1f} GB free"
    status = FAIL if free < NO_SPACE else WARN if free < LITTLE_SPACE else OK
    yield Finding("state", status, says, "" if status == OK else "make room: the datastore and the logs are there")


def secret_key(config: Config) -> Iterable[Finding]:
    """The file of the key that opens the secrets: nobody else may read it."""
    path = Path(config.secret_key_path)
    try:
        about = path.stat()
    except FileNotFoundError:
        return  # whether that is bad depends on the datastore, see :func:`secrets`
    except OSError as error:
        yield Finding("secret key", FAIL, f"{path}: {error.strerror}", "let the user that nova-api runs as read it")
        return
    mode = stat.S_IMODE(about.st_mode)
    if mode & 0o077:
        says = f"{path} has mode {mode:04o}: others can read the key of every access key"
        yield Finding("secret key", FAIL, says, f"chmod 600 {path}")
    elif about.st_uid not in (os.geteuid(), 0):
        yield Finding("secret key", WARN, f"{path} belongs to user {about.st_uid}", f"chown it to {os.geteuid()}")
    else:
        yield Finding("secret key", OK, f"{path}, mode {mode:04o}")


def memcached(config: Config) -> Iterable[Finding]:
    """Each server of the lockout's counts."""
    for server in config.lockout_memcached_servers:
        try:
            said = _memcached_version(server)
        except (OSError, ValueError) as error:
            says = f"{server} does not answer: {error}"
            yield Finding("memcached", WARN, says, "start it: until then failed logins are not counted there")
        else:
            yield Finding("memcached", OK, f"{server}, {said}")


def _memcached_version(server: str) -> str:
    address = server.removeprefix("inet:").removeprefix("inet6:")
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, "11211"
    with socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE) as wire:
        wire.sendall(b"version\r\n")
        said = wire.recv(256).decode("ascii", "replace").strip()
    if not said.startswith("VERSION "):
        raise ValueError("what answers is no memcached")
    return said.lower()


def keystone(config: Config) -> Iterable[Finding]:
    """Whether Keystone answers where EC2 signatures are checked."""
    if config.auth_strategy != "keystone":
        return
    url = redact.url(config.keystone_ec2_url)
    try:
        client = KeystoneHttp(min(PATIENCE, config.keystone_timeout), config.keystone_ca_file)
        answer = client.post(config.keystone_ec2_url, {}, {})
    except ServiceUnavailable:
        yield Finding("keystone", FAIL, f"{url} does not answer", "see that it runs, and keystone_ec2_url, _ca_file")
        return
    except (ConfigError, ValueError) as error:
        yield Finding("keystone", FAIL, str(error), "correct keystone_ec2_url or keystone_ca_file")
        return
    if answer.status == 404:
        yield Finding(
            "keystone", FAIL, f"{url} is no such page", "keystone_ec2_url ends in /v3/ec2tokens or as in 2012"
        )
    elif answer.status >= 500:
        yield Finding("keystone", FAIL, f"{url} answers {answer.status}", "see Keystone's log")
    else:
        yield Finding("keystone", OK, url)


#: Checks that need no datastore.
CHECKS: Sequence[tuple[str, Check]] = (
    ("configuration", configuration),
    ("state", state_folder),
    ("secret key", secret_key),
    ("memcached", memcached),
    ("keystone", keystone),
)


def with_datastore(
    config: Config, bounded: Callable[[str, Callable[[], Iterable[Finding]]], list[Finding]]
) -> Iterable[Finding]:
    """The datastore, and what can be asked about only when it is well; then the broker.

    :param bounded: runs one check
    """
    topics: list[tuple[str, str]] = []
    found = bounded("database", lambda: database(config))
    yield from found
    if all(one.status != FAIL for one in found):
        db = Database(config.database_url, pool_size=1)
        try:
            found = bounded("migrations", lambda: migrations(db))
            yield from found
            if all(one.status != FAIL for one in found):
                for name, check in (
                    ("clock", lambda: clock(db)),
                    ("secret key", lambda: secrets(db, config)),
                    ("services", lambda: nodes(db, config, topics)),
                    ("outbox", lambda: outbox(db)),
                ):
                    yield from bounded(name, check)
        finally:
            db.close()
    yield from bounded("broker", lambda: broker(config, topics))


def database(config: Config) -> Iterable[Finding]:
    """Whether it is there and answers."""
    url = _safe(config.database_url)
    try:
        db = Database(config.database_url, pool_size=1)
    except ConfigError as error:
        yield Finding("database", FAIL, str(error), "correct sql_connection, and install the driver that it names")
        return
    try:
        file = db.url.database
        if db.is_sqlite and file and not Path(file).is_file():
            yield Finding("database", FAIL, f"{file} is not there", "nova-manage db sync, or start nova-api")
            return
        vitals.ping(db)
    except Exception as error:
        says = f"{url} does not answer: {redact.text(_first_line(getattr(error, 'orig', None) or error))}"
        yield Finding("database", FAIL, says, _WHERE)
    else:
        yield Finding("database", OK, url)
    finally:
        db.close()


def migrations(db: Database) -> Iterable[Finding]:
    """Whether the tables are those of this release."""
    found = schema.version(db)
    if found == schema.HEAD:
        yield Finding("migrations", OK, f"revision {found}")
    elif found is None:
        yield Finding("migrations", FAIL, "there are no tables", "nova-manage db sync")
    elif found < schema.HEAD:
        yield Finding("migrations", FAIL, f"revision {found}, this release wants {schema.HEAD}", "nova-manage db sync")
    else:
        says = f"revision {found} is of a newer release than this one, which knows {schema.HEAD}"
        yield Finding("migrations", FAIL, says, "install that release here too")


def clock(db: Database) -> Iterable[Finding]:
    """Whether the database's clock and ours agree: heartbeats and leases are compared across hosts."""
    before = datetime.now(UTC)
    theirs = vitals.clock(db)
    after = datetime.now(UTC)
    skew = max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0.0)
    status = FAIL if skew >= BAD_SKEW else WARN if skew >= SKEW else OK
    do = "" if status == OK else "run chrony or ntpd on every host: services look down and leases end early"
    yield Finding("clock", status, f"{skew:.1f} s between the database's clock and this host's", do)


def secrets(db: Database, config: Config) -> Iterable[Finding]:
    """Whether the key opens what it should."""
    with db.read() as conn:
        sealed = vitals.sealed_secret(conn)
    path = config.secret_key_path
    if not Path(path).exists():
        if sealed is not None:
            yield Finding("secret key", FAIL, f"{path} is gone: no access key works", "bring it back from the backup")
        return
    if sealed is None:
        return
    try:
        SecretBox(path).open(sealed)
    except ConfigError as error:
        yield Finding("secret key", FAIL, str(error), "bring back the key that belongs to this datastore")


def nodes(db: Database, config: Config, topics: list[tuple[str, str]]) -> Iterable[Finding]:
    """Which services report, and which topics nobody serves.

    :param topics: takes topic and host of each service, for the broker's check
    """
    with db.read() as conn:
        rows = services.every(conn)
    at = now()
    topics += [(row.topic, row.host) for row in rows]
    live = [row for row in rows if services.alive(row, config.service_down_time, at)]
    serving = {row.topic for row in live if not row.disabled}
    for row in rows:
        if row.updated_at is not None and row not in live:
            silent = (at - row.updated_at).total_seconds()
            says = f"{row.topic} on {row.host} has been silent for {_duration(silent)}"
            yield Finding("services", WARN, says, f"see the log of nova-node on {row.host}, and start it again")
    start = "start nova-api" if config.embedded_nodes else "start nova-node"
    if not live:
        yield Finding("services", FAIL, "no service reports", start)
        return
    for topic in MANAGERS:
        if topic not in serving:
            status = FAIL if topic in VITAL_TOPICS else WARN
            disabled = any(row.topic == topic for row in live)
            yield Finding(
                "services",
                status,
                f"every {topic} service is disabled" if disabled else f"no service of the topic {topic} reports",
                f"nova-manage service enable HOST {topic}" if disabled else start,
            )
    hosts = len({row.host for row in live})
    yield Finding("services", OK, f"{len(live)} of {len(rows)} report, on {hosts} host{'s' * (hosts > 1)}")


def outbox(db: Database) -> Iterable[Finding]:
    """Messages that nobody has taken over."""
    with db.read() as conn:
        count, age = vitals.backlog(conn)
    status = FAIL if age >= LOST_MESSAGE else WARN if age >= OLD_MESSAGE else OK
    says = f"{count} messages wait" + (f", the oldest for {_duration(age)}" if count else "")
    do = "" if status == OK else "see that the broker answers, that nova-api runs, and that every topic has a service"
    yield Finding("outbox", status, says, do)


def broker(config: Config, topics: Sequence[tuple[str, str]]) -> Iterable[Finding]:
    """Whether it answers, what waits in its queues, and what was given up."""
    try:
        probe = make_probe(config)
    except ConfigError as error:
        yield Finding("broker", FAIL, str(error), "correct rpc_transport")
        return
    if probe is None:
        return
    names = list(probe.queues(topics))
    try:
        depths = probe.depths(names)
    except (TransportError, ApiError) as error:
        yield Finding("broker", FAIL, redact.text(error.message), "see that it runs, and correct rpc_transport")
        return
    finally:
        probe.close()
    yield Finding("broker", OK, probe.place)
    dead = depths.pop(probe.dead_letters, 0)
    if dead:
        says = f"{dead} messages in the queue {probe.dead_letters} were given up"
        yield Finding("dead letters", WARN, says, "look at them and at the log of that time, then purge the queue")
    else:
        yield Finding("dead letters", OK, "none")
    for name, depth in depths.items():
        if depth and name.endswith(SUSPECTS):
            says = f"{depth} messages in the queue {name} have outlived several processes"
            yield Finding("queues", WARN, says, f"see why nodes of {name.partition('.')[0]} end, in their logs")
        elif depth >= LONG_QUEUE:
            says = f"{depth} messages wait in the queue {name}"
            yield Finding(
                "queues", WARN, says, f"start more nodes for {name.partition('.')[0]}, or see why they are slow"
            )


def _safe(url: str) -> str:
    return redact.url(url).partition("?")[0]


def _messages(config: Config) -> str:
    return "inside the process" if config.rpc_transport.startswith("memory:") else _safe(config.rpc_transport)


def _first_line(error: Any) -> str:
    return next(iter(str(error).splitlines()), "")


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
