"""What the parts of the compute node share: what drivers are told, and what becomes of their failures."""

import base64
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_api.context import RequestContext
from nova_api.db import disks, guests, moves, networks, shared_ips
from nova_api.db.engine import Database, Transaction
from nova_api.errors import ApiError, ServiceUnavailable
from nova_api.nodes.drivers.hypervisor import (
    BlockDevice,
    Guest,
    Hypervisor,
    HypervisorError,
    InjectedFile,
    Interface,
)
from nova_api.nodes.turns import Turns
from nova_api.rpc.client import Rpc
from nova_api.rpc.envelope import RemoteError
from nova_api.rpc.outbox import Outbox

log = logging.getLogger(__name__)

UNKNOWN_FAULT = "The hypervisor failed."


class GuestNode:
    """The base of the compute manager.

    :param db: the datastore
    :param outbox: takes messages that belong to a transaction
    :param rpc: asks volume nodes
    :param driver: the hypervisor
    :param host: name of this node
    :param down_time: seconds of silence that make a service down
    """

    def __init__(
        self,
        db: Database,
        outbox: Outbox,
        rpc: Rpc,
        driver: Hypervisor,
        host: str,
        *,
        down_time: float = 60.0,
    ) -> None:
        self.db, self.outbox, self.rpc = db, outbox, rpc
        self.driver, self.host, self.down_time = driver, host, down_time
        self.turns = Turns()

    def _find(self, uuid: str) -> Row[Any] | None:
        with self.db.read() as conn:
            return guests.get(conn, uuid)

    def _attempt(
        self,
        row: Row[Any],
        task_states: Iterable[str],
        action: Callable[[], object],
        failed: Callable[[Transaction], object] = lambda _tx: None,
    ) -> bool:
        """Have a driver do something; when it cannot, the instance goes to ``error`` with the reason.

        :param task_states: the tasks that this is part of; an instance that has gone on is left alone
        :param failed: what else is to be written then
        :returns: whether it was done
        :raises ServiceUnavailable: somebody does not answer; the message comes again
        """
        fault = fault_of(action)
        if fault is None:
            return True
        log.error("%s: instance %s: %s", self.host, row.uuid, fault)

        def fail(tx: Transaction) -> None:
            guests.fail(tx, row.id, task_states, fault, self.host)
            failed(tx)

        self.db.write(fail)
        return False

    def _give_way(self, row: Row[Any]) -> None:
        """Take down what was built for an instance that was terminated meanwhile."""
        current = self._find(row.uuid)
        if current is None or current.task_state == "deleting":
            self._attempt(row, (), lambda: self.driver.destroy(guest_of(row)))

    def _is_stray(self, conn: Connection, row: Row[Any]) -> bool:
        """Whether a guest that is here should not be: its instance has ended, or is another host's now, which no move
        explains. Others have given this host up for dead then.

        :param row: of :func:`nova_api.db.guests.get_ever`
        """
        if row.deleted or row.host == self.host:
            return bool(row.deleted)
        move = moves.latest(conn, row.id)
        return move is None or self.host not in (move.source_compute, move.dest_compute)

    def _connect(self, context: RequestContext, row: Row[Any], volume_id: int, volume_host: str) -> Any:
        """Ask the volume's node for the way to it.

        :raises RemoteError: its store could not
        :raises ServiceUnavailable: it does not answer
        """
        return self.rpc.call(
            context, f"volume.{volume_host}", "initialize_connection", volume_id=volume_id, host=self.host
        )


def is_late(context: RequestContext, row: Row[Any]) -> bool:
    """Whether a message is of a request whose task was done, while the instance is at the task of a later one.

    Tasks of one name differ in what their messages say: a password that comes again must not take the place of the
    next. Those that say nothing are done by whichever message comes first.
    """
    return row.task_request is not None and row.task_request != context.request_id


def fault_of(action: Callable[[], object]) -> str | None:
    """Run a driver's action.

    :returns: None when it was done, else what the owner of the instance is told
    :raises ServiceUnavailable: somebody does not answer
    """
    try:
        action()
    except ServiceUnavailable:
        raise
    except (HypervisorError, ApiError) as error:
        return str(error)
    except RemoteError as error:
        return error.value
    except Exception:
        # A driver is foreign code: whatever it raises, its instance must not wait for ever.
        log.exception("a driver failed in an unexpected way")
        return UNKNOWN_FAULT
    return None


def guest_of(row: Row[Any]) -> Guest:
    """What a driver is told about an instance.

    :param row: of :func:`nova_api.db.guests.get`
    """
    return Guest(
        id=row.id,
        uuid=row.uuid,
        hostname=row.hostname,
        project_id=row.project_id or "",
        image=row.image_ref,
        kernel=row.kernel_id,
        ramdisk=row.ramdisk_id,
        vcpus=row.vcpus,
        memory_mb=row.memory_mb,
        root_gb=row.root_gb,
        ephemeral_gb=row.ephemeral_gb,
        key_name=row.key_name,
        key_data=row.key_data,
        user_data=row.user_data,
        root_device_name=row.root_device_name,
    )


def files_of(injected: Iterable[Sequence[str]] | None) -> list[InjectedFile]:
    """The files that a message brings for a guest.

    :param injected: path and content (base64) of each
    """
    return [InjectedFile(path, base64.b64decode(content)) for path, content in injected or ()]


def interfaces_of(conn: Connection, row: Row[Any]) -> list[Interface]:
    """The network cards of an instance; its first one has the addresses that it shares."""
    cards = [
        Interface(mac=card.mac, address=card.address, cidr=card.cidr, gateway=card.gateway, bridge=card.bridge)
        for card in networks.cards(conn, row.id)
    ]
    if cards and row.has_shares:
        cards[0] = replace(cards[0], shared=shared_ips.configured(conn, row.id))
    return cards


def attached_devices(conn: Connection, row: Row[Any]) -> Sequence[BlockDevice]:
    """The attached volumes of an instance."""
    if not row.has_devices:
        return ()
    return [
        BlockDevice(device.device_name, device.volume_id, json.loads(device.connection_info))
        for device in disks.devices(conn, row.id)
        if device.connection_info
    ]
