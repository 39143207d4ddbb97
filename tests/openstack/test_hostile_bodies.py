"""No body is a defect: what is sent to any route that reads one gets no 5xx but 501 and 503, and a refusal is a fault.

The targets are made of the routers' own routes and of the actions of servers, so a route that nobody has thought of
here is attacked too. Most bodies are good ones with one part exchanged for something odd: they come further than noise.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import webob
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from nova_api.openstack import ResourceRouter, v1_0
from nova_api.openstack.faults import V1_0, V1_1, Dialect
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, PROJECTS, RAW, Door
from tests.openstack.test_isolation import ACTIONS, BODIES, FACTORIES, ROUTERS, Route

SERVER = {
    **{"name": "odd", "imageRef": RAW, "flavorRef": "1", "adminPass": "secret", "accessIPv4": "10.1.1.1"},
    **{"accessIPv6": "::1", "metadata": {"key": "value"}, "personality": [{"path": "/a", "contents": "aGk="}]},
    **{"networks": [{"uuid": DOCUMENT["networks"][0]["uuid"], "fixed_ip": "10.0.0.9"}], "user_data": "aGk="},
    **{"security_groups": [{"name": "default"}], "min_count": 1, "max_count": 1, "config_drive": "true"},
    **{"key_name": "isolated", "availability_zone": "nova", "OS-DCF:diskConfig": "AUTO", "auto_disk_config": True},
}
MAPPING = {"device_name": "vda", "volume_id": "1", "snapshot_id": "", "volume_size": "", "delete_on_termination": "0"}
VOLUME = {
    **{"size": 1, "display_name": "odd", "display_description": "d", "volume_type": "odd", "snapshot_id": 1},
    **{"availability_zone": "nova", "metadata": {"key": "value"}},
}
SNAPSHOT = {"volume_id": 1, "force": True, "display_name": "odd", "display_description": "d"}
RULE = {"parent_group_id": 1, "ip_protocol": "tcp", "from_port": 1, "to_port": 2, "cidr": "10.0.0.0/8", "group_id": 1}
FLAVOR = {
    **{"name": "odd", "id": "odd", "ram": 64, "vcpus": 1, "disk": 0, "swap": 1, "rxtx_factor": 1.5},
    "OS-FLV-EXT-DATA:ephemeral": 1,
}
#: Good bodies, besides those of the isolation matrix.
SAMPLES: dict[tuple[str, str], Any] = {
    **BODIES,
    ("servers", "create"): {
        "server": SERVER,
        "os:scheduler_hints": {"different_host": ["1"], "query": '["=", "a", 1]'},
    },
    ("os-create-server-ext", "create"): {"server": SERVER},
    ("os-volumes_boot", "create"): {"server": {**SERVER, "block_device_mapping": [MAPPING]}},
    ("servers", "update"): {"server": {"name": "odd", "accessIPv4": "10.1.1.1", "accessIPv6": "::1"}},
    ("flavors", "create"): {"flavor": FLAVOR},
    ("accounts", "update"): {"account": {"manager": "bob", "description": "d"}},
    ("users", "create"): {"user": {"name": "odd", "access": "odd-access", "secret": "odd-secret", "admin": "T"}},
    ("users", "update"): {"user": {"access": "odd-access", "secret": "odd-secret", "admin": "T"}},
    ("os-aggregates", "create"): {"aggregate": {"name": "odd", "availability_zone": "nova"}},
    ("os-cloudpipe", "create"): {"cloudpipe": {"project_id": "acme"}},
    ("os-extra_specs", "create"): {"extra_specs": {"key": "value"}},
    ("os-extra_specs", "update"): {"key": "value"},
    ("extra_specs", "create"): {"extra_specs": {"key": "value"}},
    ("extra_specs", "update"): {"key": "value"},
    ("os-floating-ips", "create"): {"pool": "nova"},
    ("os-hosts", "update"): {"status": "enable", "maintenance_mode": "disable"},
    ("os-keypairs", "create"): {"keypair": {"name": "odd", "public_key": "ssh-rsa AAAA"}},
    ("os-quota-sets", "update"): {"quota_set": {"volumes": 100, "metadata_items": 128, "injected_files": 5}},
    ("os-security-groups", "create"): {"security_group": {"name": "odd", "description": "d"}},
    ("os-security-group-rules", "create"): {"security_group_rule": RULE},
    ("os-volumes", "create"): {"volume": VOLUME},
    ("volumes", "create"): {"volume": VOLUME},
    ("os-volume_attachments", "create"): {"volumeAttachment": {"volumeId": 1, "device": "/dev/vdx"}},
    ("os-snapshots", "create"): {"snapshot": SNAPSHOT},
    ("snapshots", "create"): {"snapshot": SNAPSHOT},
    ("os-volume-types", "create"): {"volume_type": {"name": "odd", "extra_specs": {"key": "value"}}},
    ("types", "create"): {"volume_type": {"name": "odder", "extra_specs": {"key": "value"}}},
}
#: More of what an action may be given than the isolation matrix needs.
ARGUMENTS: dict[str, Any] = {
    **ACTIONS,
    "rebuild": {**SERVER, "imageRef": RAW},
    "resize": {"flavorRef": "2", "OS-DCF:diskConfig": "AUTO"},
    "createImage": {"name": "odd", "metadata": {"key": "value"}},
    "createBackup": {"name": "odd", "backup_type": "daily", "rotation": 1, "metadata": {"key": "value"}},
    "os-getConsoleOutput": {"length": 5},
    "rescue": {"adminPass": "secret"},
    "addFloatingIp": {"address": "172.24.4.225", "fixed_address": "10.0.0.2"},
}
#: Actions of resources other than servers.
OTHER_ACTIONS = {
    "os-networks": [{"disassociate": None}],
    "os-aggregates": [{"add_host": {"host": "node1"}}, {"set_metadata": {"metadata": {"key": "value"}}}],
}
#: The same of the 1.0 API.
SERVER_1_0 = {
    **{"name": "odd", "imageId": RAW, "flavorId": 1, "adminPass": "secret", "metadata": {"key": "value"}},
    **{"personality": [{"path": "/a", "contents": "aGk="}], "sharedIpGroupId": "GROUP"},
}
SAMPLES_1_0: dict[tuple[str, str], Any] = {
    ("servers", "create"): {"server": SERVER_1_0},
    ("servers", "update"): {"server": {"name": "odd", "adminPass": "secret"}},
    ("images", "create"): {"image": {"name": "odd", "serverId": "SERVER"}},
    ("shared_ip_groups", "create"): {"sharedIpGroup": {"name": "odd", "server": "SERVER"}},
    ("shared_ip_groups", "update"): {"sharedIpGroup": {"name": "odd"}},
    ("{address}", "share"): {"shareIp": {"sharedIpGroupId": "GROUP", "configureServer": True}},
    ("backup_schedule", "create"): {"backupSchedule": {"enabled": True, "weekly": "SUNDAY", "daily": "H_0400_0600"}},
}
ARGUMENTS_1_0 = {"reboot": {"type": "SOFT"}, "rebuild": {"imageId": RAW}, "resize": {"flavorId": 2}}
#: What is everybody's.
IDS = {"flavors": "1", "extensions": "os-hosts", "limits": "1", "os-extra_specs": "key", "extra_specs": "key"}
#: Makes a key pair for whatever body there is, which takes long.
SLOW = ("os-certificates",)
NOISE = [
    *(b"null", b"[]", b"{}", b'""', b"5", b"true", b"{", b"\xff\xfe", b"\x00", b"NaN", b'{"a": 1e999}', b'{"": {}}'),
    *(b'{"a":' * 20_000, b"[" * 100_000, b"9" * 5000, b'{"server": ' + b"9" * 5000 + b"}"),
]
XML_NOISE = [
    *(b"<", b"<a>", b"<a/><b/>", b"<a:b/>", b"\xff", b"<a xmlns='x' b='c'>d<e/></a>", b"<a>" * 500 + b"</a>" * 500),
    *(b"<!DOCTYPE a><a/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"<?a?><a/>", b"<a><![CDATA[<b>]]></a>"),
]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        [
            *("", " ", "\x00", "\ud800", "x" * 5000, "-1", "0", "1e5", "٣", "²", "a/b", "../x", "%s", "\r\n", "True"),
            *(
                -1,
                0,
                10**30,
                2**31,
                2**63,
                -(2**63),
                10**400,
                "9" * 30,
                [],
                {},
                [[]],
                [None],
                [{}],
                {"": None},
                {"x": []},
            ),
        ]
    ),
)
NAMES_OF_MEMBERS = st.sampled_from(["name", "id", "key", "metadata", "address", "host", "\x00", "\ud800", "x" * 300])
JSON = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES_OF_MEMBERS | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@dataclass(frozen=True)
class Surface:
    """An API that is attacked.

    :ivar version: its mount; api: name of the application; dialect: of its faults; user: who attacks
    :ivar samples: good bodies by collection and action; arguments: of actions of servers, by name
    :ivar least: fewer targets than that are a mistake of this test
    """

    version: str
    api: str
    router: type[ResourceRouter]
    dialect: Dialect
    user: str
    samples: Mapping[tuple[str, str], Any]
    arguments: Mapping[str, Any]
    least: int


#: An administrator comes everywhere; in the 1.0 API there is nothing that only an administrator may.
SURFACES = [
    Surface("v1.1", "osapi_compute", ROUTERS["osapi_compute"], V1_1, "admin", SAMPLES, ARGUMENTS, 100),
    Surface("v1", "osapi_volume", ROUTERS["osapi_volume"], V1_1, "admin", SAMPLES, ARGUMENTS, 5),
    Surface("v1.0", "osapi_compute", v1_0.APIRouter, V1_0, "alice", SAMPLES_1_0, ARGUMENTS_1_0, 14),
]


@dataclass(frozen=True)
class Target:
    """What is attacked.

    :ivar path: below the project; sample: a body that it can use
    """

    surface: Surface
    method: str
    path: str
    sample: Any


@pytest.fixture(scope="module", params=SURFACES, ids=lambda surface: f"{surface.api}-{surface.version}")
def surface(request: pytest.FixtureRequest) -> Surface:
    """What is attacked."""
    found: Surface = request.param
    return found


@pytest.fixture(scope="module")
def world(surface: Surface, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One for each API: an administrator's odd bodies may well end with a node that takes no servers."""
    state = tmp_path_factory.mktemp("hostile") / "state"
    # As many servers as are made here; a body that asks for thousands is to be refused.
    options = {"quota_instances": 100, "quota_cores": 400, "quota_ram": -1, "quota_volumes": 200}
    with running(state, copy.deepcopy(DOCUMENT), **options) as made:
        yield Door(made)


@pytest.fixture(scope="module")
def ids(world: Door) -> dict[str, str]:
    """One thing of each kind."""
    found = dict(IDS)
    for kind, (factory, _) in FACTORIES.items():
        found[kind] = factory(world, found)
    kind = world.post("/os-volume-types", {"volume_type": {"name": "odd"}}, user="admin")
    found["os-volume-types"] = found["types"] = str(kind.json["volume_type"]["id"])
    return {**found, **shared(world, found["servers"])}


def shared(world: Door, server: str) -> dict[str, str]:
    """A group of the 1.0 API, and an address that the server may share with the other one of the group."""
    old = Door(world.cloud, "v1.0", tokens=world.tokens)
    made = old.post("/shared_ip_groups", {"sharedIpGroup": {"name": "odd", "server": server}})
    group = made.json["sharedIpGroup"]["id"]
    owner = old.post("/servers", {"server": {"name": "o", "imageId": RAW, "flavorId": 1, "sharedIpGroupId": group}})
    world.cloud.settle()
    address = str(world.post("/os-floating-ips", {}).json["floating_ip"]["ip"])
    assert world.act(str(owner.json["server"]["id"]), "addFloatingIp", {"address": address}).status_int == 202
    return {"shared_ip_groups": str(group), "address": address}


def targets(door: Door, ids: Mapping[str, str], surface: Surface) -> Iterator[Target]:
    """Every route of an API that may read a body, each action of servers with a server of its own."""
    door.cloud.app(surface.api)
    router, samples = surface.router(), surface.samples
    for one in router.map.matchlist:
        if "{project_id}" not in one.routepath:
            continue
        route = Route(one)
        path = route.path.format(**{name: ids.get(kind, "1") for name, kind in route.kinds().items()})
        for method in sorted({"POST", "PUT"} & set(route.methods)):
            if route.action == "action" and route.collection == "servers":
                for name in router.resources["servers"].wsgi_actions:
                    sample = {name: surface.arguments.get(name)}
                    yield Target(surface, method, f"/servers/{door.boot()}/action", sample)
            elif route.action == "action":
                for sample in OTHER_ACTIONS.get(route.collection, [{"reboot": {"type": "SOFT"}}]):
                    yield Target(surface, method, path, sample)
            else:
                sample = samples.get((route.collection, route.action), {"x": {"y": 1}})
                yield Target(surface, method, path, filled(sample, ids))


def filled(sample: Any, ids: Mapping[str, str]) -> Any:
    """A sample with the things that there are."""
    for name, kind in (("SERVER", "servers"), ("GROUP", "shared_ip_groups")):
        sample = json.loads(json.dumps(sample).replace(f'"{name}"', f'"{ids[kind]}"'))
    return sample


Place = tuple[str | int, ...]


def places(sample: Any, at: Place = ()) -> list[Place]:
    """The ways to all parts of a document."""
    members = sample.items() if isinstance(sample, dict) else enumerate(sample) if isinstance(sample, list) else ()
    return [at, *(place for name, value in members for place in places(value, (*at, name)))]


@st.composite
def spoiled(draw: st.DrawFn, sample: Any) -> Any:
    """A document with one part exchanged, left out or added."""
    place = draw(st.sampled_from(places(sample)))
    if not place:
        return draw(JSON)
    document = copy.deepcopy(sample)
    holder = document
    for step in place[:-1]:
        holder = holder[step]
    how = draw(st.sampled_from(["exchange", "exchange", "exchange", "drop", "add"]))
    if how == "drop":
        del holder[place[-1]]
    elif how == "add" and isinstance(holder, dict):
        holder[draw(NAMES_OF_MEMBERS)] = draw(JSON)
    else:
        holder[place[-1]] = draw(JSON)
    return document


def as_xml(name: str, value: Any) -> str:
    """A document in XML, well formed only as far as names and texts allow."""
    if isinstance(value, dict):
        plain = {key: item for key, item in value.items() if isinstance(item, (str, int, float))}
        attributes = "".join(f' {key}="{escaped(item)}"' for key, item in plain.items())
        inside = "".join(as_xml(key, item) for key, item in value.items() if key not in plain)
        return f"<{name}{attributes}>{inside}</{name}>"
    if isinstance(value, list):
        return f"<{name}>{''.join(as_xml(name.removesuffix('s'), item) for item in value)}</{name}>"
    return f"<{name}>{escaped(value)}</{name}>"


def escaped(value: Any) -> str:
    text = "" if value is None else str(value)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def check(answer: webob.Response, xml: bool, dialect: Dialect, about: object) -> None:
    """No defect; and a fault document, if it is a refusal."""
    status = answer.status_int
    assert status < 500 or status in (501, 503), f"{status} {about}"
    if status < 400:
        return
    name = dialect.names.get(status, dialect.other)
    if xml:
        root = etree.fromstring(answer.body)
        assert (root.tag, root.get("code")) == (f"{{{dialect.namespace}}}{name}", str(status)), about
        assert root.findtext(f"{{{dialect.namespace}}}message") is not None, about
        assert answer.headers["Content-Type"] == "application/xml; charset=UTF-8", about
    else:
        fault = answer.json[name]
        assert fault["code"] == status and isinstance(fault["message"], str), about
        assert answer.headers["Content-Type"] == "application/json; charset=UTF-8", about


def attack(world: Door, target: Target) -> None:
    surface = target.surface
    door = Door(world.cloud, surface.version, surface.api, world.tokens)
    base, token = f"/{surface.version}/{PROJECTS[surface.user]}{target.path}", world.login(surface.user)

    def send(body: bytes, kind: str) -> None:
        headers = {"X-Auth-Token": token, "Content-Type": kind, "Accept": kind}
        answer = door.call(base, target.method, body, headers)
        check(answer, kind == "application/xml", surface.dialect, (target.method, target.path, body[:500]))

    slow = any(name in target.path for name in SLOW)
    if not slow:
        for body in NOISE:
            send(body, "application/json")
        for body in XML_NOISE:
            send(body, "application/xml")

    @settings(max_examples=1 if slow else 8, database=None)
    @given(spoiled(target.sample))
    def attempt(document: Any) -> None:
        send(json.dumps(document).encode(), "application/json")
        name, value = next(iter(document.items())) if isinstance(document, dict) and document else ("x", document)
        send(as_xml(name, value).encode(errors="replace"), "application/xml")

    attempt()


def test_no_body_is_a_defect(world: Door, ids: dict[str, str], surface: Surface) -> None:
    attacked = 0
    for target in targets(world, ids, surface):
        attack(world, target)
        attacked += 1
    assert attacked > surface.least
