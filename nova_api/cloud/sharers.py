"""Telling the hosts of servers that the addresses which these share have changed (spec openstack-core.md 9.4)."""

from collections.abc import Iterable

from nova_api.context import RequestContext
from nova_api.db.engine import Transaction
from nova_api.db.shared_ips import Sharer
from nova_api.rpc.outbox import Outbox


def tell_sharers(outbox: Outbox, tx: Transaction, context: RequestContext, sharers: Iterable[Sharer]) -> None:
    """Have the hosts of servers look anew at what these share."""
    told = [(f"compute.{one.host}", "configure_shared_ips", {"instance_uuid": one.uuid}) for one in sharers]
    outbox.cast_many(tx, context, told)
