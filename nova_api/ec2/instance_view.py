"""Instances as XML: rows to text in one flat pass (spec ec2.md 4.7).

An answer of a thousand instances is the hottest thing this door does. What is the same for every row is a template;
what a client has chosen -- names of keys, groups, hosts -- goes through :func:`~nova_api.ec2.xml.escape`; numbers, ids,
addresses and states are ours and do not.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any

from nova_api.db.instance_lists import OWN_COLUMNS, InstanceList
from nova_api.ec2.dialect import Dialect
from nova_api.ec2.xml import escape

DEFAULT_ROOT = "/dev/sda1"
UNKNOWN_ZONE = "unknown zone"
_SHAPE = OWN_COLUMNS

_escaped = lru_cache(maxsize=4096)(escape)


class InstanceView:
    """Renders instances for one caller.

    :param administrator: the caller reads project and host in ``keyName``, in 2012.1's dialect
    :param show_address: ``privateDnsName`` is the fixed address rather than the host name
    """

    def __init__(self, found: InstanceList, dialect: Dialect, *, administrator: bool, show_address: bool) -> None:
        self.found, self.dialect = found, dialect
        self.administrator = administrator and dialect.administrator_texts
        self.show_address = show_address
        self.modern = dialect.modern_elements
        self._shapes: dict[tuple[Any, ...], str] = {}

    def reservations(self) -> str:
        """``<item>`` per reservation, in the order of their first instances."""
        by_reservation: dict[str, list[Any]] = {}
        for row in self.found.rows:
            by_reservation.setdefault(row.reservation_id, []).append(row)
        parts = []
        for rows in by_reservation.values():
            head, items = self.reservation(rows)
            parts.append(f"<item>{head}<instancesSet>{items}</instancesSet></item>")
        return "".join(parts)

    def reservation(self, rows: list[Any]) -> tuple[str, str]:
        """The elements of a reservation before its instances, and the instances."""
        first = rows[0]
        head = (
            f"<reservationId>{first.reservation_id}</reservationId>"
            f"<ownerId>{_escaped(first.project_id or '')}</ownerId>"
            f"{self.group_set(first.id)}"
        )
        instance = self.instance
        return head, "".join([instance(row) for row in rows])

    def group_set(self, number: int) -> str:
        """``groupSet`` of an instance."""
        groups = self.found.groups.get(number)
        return _group_set(groups, self.dialect.group_id_is_name) if groups else "<groupSet/>"

    def instance(self, row: Any) -> str:
        """One ``<item>``: what is the instance's own, and the shape that it shares with others."""
        number, created, index, hostname = row.id, row.created_at, row.launch_index, row.hostname
        found = self.found
        fixed = found.fixed.get(number, "")
        public = found.floating.get(number, "")
        name = fixed if self.show_address and fixed else _escaped(hostname)
        devices = found.devices.get(number)
        mapping = f"<blockDeviceMapping>{self.devices(devices)}</blockDeviceMapping>" if devices else ""
        key = (row[_SHAPE:], found.groups.get(number))
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = self._shape(row)
        return (
            f"<item><instanceId>i-{number:08x}</instanceId><privateDnsName>{name}</privateDnsName>"
            f"<publicDnsName>{public}</publicDnsName><dnsName>{public or name}</dnsName>"
            f"<privateIpAddress>{fixed}</privateIpAddress><ipAddress>{public or fixed}</ipAddress>"
            f"<launchTime>{milliseconds(created)}</launchTime><amiLaunchIndex>{index}</amiLaunchIndex>"
            f"{mapping}{shape}</item>"
        )

    def _shape(self, row: Any) -> str:
        """The elements that depend on image, flavor, state, key, host and groups only."""
        code, state = self.dialect.instance_state(row.vm_state, row.task_state, row.shutdown_terminate)
        zone = self.found.zones.get(row.host, UNKNOWN_ZONE) if row.host else UNKNOWN_ZONE
        kernel = f"<kernelId>aki-{row.kernel_number:08x}</kernelId>" if row.kernel_number else ""
        ramdisk = f"<ramdiskId>ari-{row.ramdisk_number:08x}</ramdiskId>" if row.ramdisk_number else ""
        key = escape(row.key_name) if row.key_name else ""
        if self.administrator:
            key = escape(f"{row.key_name or None} ({row.project_id}, {row.host})")
        return (
            f"<imageId>ami-{row.image_number or 0:08x}</imageId>{kernel}{ramdisk}"
            f"<instanceState><code>{code}</code><name>{escape(state)}</name></instanceState>"
            f"<keyName>{key}</keyName><productCodesSet/><instanceType>{escape(row.flavor)}</instanceType>"
            f"<rootDeviceName>{escape(row.root_device_name or DEFAULT_ROOT)}</rootDeviceName>"
            f"<rootDeviceType>{'ebs' if row.volume_backed else 'instance-store'}</rootDeviceType>"
            f"<placement><availabilityZone>{escape(zone)}</availabilityZone>{_PLACEMENT if self.modern else ''}"
            f"</placement>{self._modern(row) if self.modern else ''}"
        )

    def _modern(self, row: Any) -> str:
        """What today's SDKs print besides (spec ec2.md 12)."""
        reason = ""
        if row.fault_message and row.vm_state == "error":
            message = escape(row.fault_message)
            reason = f"<stateReason><code>Server.InternalError</code><message>{message}</message></stateReason>"
        token = f"<clientToken>{escape(row.client_token)}</clientToken>" if row.client_token else ""
        return (
            f"<reason/>{reason}{token}<architecture>{escape(row.architecture or 'x86_64')}</architecture>"
            f"{_MONITORING}{self.group_set(row.id)}"
        )

    def devices(self, rows: list[Any]) -> str:
        """The entries of ``blockDeviceMapping`` of an instance."""
        return "".join(self.device(row) for row in rows)

    def device(self, row: Any) -> str:
        """One entry of ``blockDeviceMapping``."""
        if self.dialect.device_status_is_volumes:
            status = row.status
        else:
            status = row.status if row.status in ("attaching", "detaching") else "attached"
        time = ""
        if row.attach_time is not None:
            time = f"<attachTime>{milliseconds(row.attach_time)}</attachTime>"
        elif self.dialect.empty_times:
            time = "<attachTime/>"
        return (
            f"<item><deviceName>{escape(row.device_name)}</deviceName><ebs><volumeId>vol-{row.volume_id:08x}</volumeId>"
            f"<status>{status}</status>{time}"
            f"<deleteOnTermination>{'true' if row.delete_on_termination else 'false'}</deleteOnTermination>"
            "</ebs></item>"
        )


_PLACEMENT = "<groupName/><tenancy>default</tenancy>"
_MONITORING = (
    "<monitoring><state>disabled</state></monitoring><virtualizationType>hvm</virtualizationType>"
    "<hypervisor>xen</hypervisor>"
)


@lru_cache(maxsize=1024)
def _group_set(groups: tuple[tuple[int, str], ...], by_name: bool) -> str:
    items = []
    for number, name in groups:
        text = escape(name)
        shown = text if by_name else f"sg-{number:08x}"
        items.append(f"<item><groupId>{shown}</groupId><groupName>{text}</groupName></item>")
    return f"<groupSet>{''.join(items)}</groupSet>"


@lru_cache(maxsize=4096)
def milliseconds(value: datetime | str) -> str:
    """``2011-02-21T20:14:10.634Z``; the rows' times are UTC.

    :param value: a time, or its text ``2011-02-21 20:14:10.634000`` as SQLite keeps it
    """
    text = value if isinstance(value, str) else value.isoformat(" ", "milliseconds")
    return f"{text[:10]}T{text[11:23]}Z"
