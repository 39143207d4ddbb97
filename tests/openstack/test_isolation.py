"""What is somebody else's is unknown: every route with an id, for reads and writes, as another project's user.

The matrix is made of the routers' own routes, so a route that nobody has thought of here fails a test. What only
administrators may is refused alike, whether it is there or not.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from nova_api.openstack.compute import APIRouter
from nova_api.openstack.volume import APIRouter as VolumeRouter
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, NOBODY, Door

#: How a thing of alice's comes to be, given those that are there already.
Factory = Callable[[Door, Mapping[str, str]], str]
NOTHING = "987654"
PRIVATE = DOCUMENT["networks"][0]["uuid"]


def _server(door: Door, made: Mapping[str, str]) -> str:
    return door.boot(metadata={"key": "value"})


def _image(door: Door, made: Mapping[str, str]) -> str:
    answer = door.act(door.boot(), "createImage", {"name": "snap", "metadata": {"key": "value"}})
    door.cloud.settle()
    return str(answer.headers["Location"].rpartition("/")[2])


def _console(door: Door, made: Mapping[str, str]) -> str:
    path = f"/servers/{made['servers']}/consoles"
    assert door.post(path, None).status_int == 200
    door.cloud.settle()
    ((found,),) = [one.values() for one in door.ask(path).json["consoles"]]
    return str(found["id"])


def _posted(path: str, document: Any, user: str = "alice") -> Factory:
    """What a create makes, by the id in its answer."""

    def make(door: Door, made: Mapping[str, str]) -> str:
        filled = json.loads(json.dumps(document).replace("GROUP", made.get("os-security-groups", "")))
        answer = door.post(path, filled, user=user)
        assert answer.status_int == 200, answer.text
        door.cloud.settle()
        (found,) = answer.json.values()
        return str(found.get("id", found["name"]) if "name" in found else found["id"])

    return make


def _attachment(door: Door, made: Mapping[str, str]) -> str:
    path = f"/servers/{made['servers']}/os-volume_attachments"
    volume = _posted("/os-volumes", {"volume": {"size": 1}})(door, made)
    assert door.post(path, {"volumeAttachment": {"volumeId": volume}}).status_int == 200
    door.cloud.settle()
    return volume


def _snapshot(door: Door, made: Mapping[str, str]) -> str:
    return _posted("/os-snapshots", {"snapshot": {"volume_id": made["os-volumes"]}})(door, made)


def _domain(door: Door, made: Mapping[str, str]) -> str:
    body = {"domain_entry": {"scope": "public", "project": "acme"}}
    assert door.put("/os-floating-ip-dns/isolated.org", body, user="admin").status_int == 200
    return "isolated.org"


def _entry(door: Door, made: Mapping[str, str]) -> str:
    body = {"dns_entry": {"ip": "10.1.1.1", "dns_type": "A"}}
    assert door.put("/os-floating-ip-dns/isolated.org/entries/isolated", body).status_int == 200
    return "isolated"


def _card(door: Door, made: Mapping[str, str]) -> str:
    cards = door.ask(f"/servers/{made['servers']}/os-interface").json["interfaceAttachments"]
    return str(cards[0]["port_id"])


def _named(name: str) -> Factory:
    return lambda door, made: name


def _same(kind: str) -> Factory:
    return lambda door, made: made[kind]


_AGGREGATE = {"aggregate": {"name": "isolated", "availability_zone": "nova"}}
#: By the last collection of a path: how to make one, in this order, and an id of the same kind that nothing has.
FACTORIES: dict[str, tuple[Factory, str]] = {
    "images": (_image, NOBODY),
    "servers": (_server, NOBODY),
    "os-create-server-ext": (_same("servers"), NOBODY),
    "os-volumes_boot": (_same("servers"), NOBODY),
    "metadata": (_named("key"), "key"),
    "ips": (_named("private"), "private"),
    "consoles": (_console, NOTHING),
    "os-keypairs": (_posted("/os-keypairs", {"keypair": {"name": "isolated"}}), "nothing0"),
    "os-security-groups": (
        _posted("/os-security-groups", {"security_group": {"name": "g", "description": "d"}}),
        NOTHING,
    ),
    "os-security-group-rules": (
        _posted("/os-security-group-rules", {"security_group_rule": {"parent_group_id": "GROUP", "group_id": "GROUP"}}),
        NOTHING,
    ),
    "os-floating-ips": (_posted("/os-floating-ips", {}), NOTHING),
    "os-floating-ip-dns": (_domain, "nothing0.org"),
    "entries": (_entry, "isolated"),
    "os-volumes": (_posted("/os-volumes", {"volume": {"size": 1}}), NOTHING),
    "os-snapshots": (_snapshot, NOTHING),
    "os-volume_attachments": (_attachment, NOTHING),
    "volumes": (_same("os-volumes"), NOTHING),
    "snapshots": (_same("os-snapshots"), NOTHING),
    # Nothing of these has an id of its own; the server's is what counts.
    "actions": (_named("1"), "1"),
    "diagnostics": (_named("1"), "1"),
    "os-virtual-interfaces": (_named("1"), "1"),
    "os-interface": (_card, NOBODY),
    # For administrators.
    "accounts": (_named("acme"), "nothing0"),
    "users": (_named("alice"), "nothing0"),
    "os-hosts": (_named("node1"), "nothing0"),
    "os-hypervisors": (_named("1"), NOTHING),
    "os-services": (_named("disable"), "nothing0"),
    "os-networks": (_named(PRIVATE), NOBODY),
    "os-aggregates": (_posted("/os-aggregates", _AGGREGATE, "admin"), NOTHING),
    "os-cloudpipe": (_named("1"), "1"),
    # Of a project each.
    "os-quota-sets": (_named("acme"), "nothing0"),
    "os-simple-tenant-usage": (_named("acme"), "nothing0"),
}
#: Collections that are everybody's.
PUBLIC = {
    *("flavors", "extensions", "limits", "os-extra_specs", "os-certificates", "os-floating-ip-pools"),
    *("os-volume-types", "extra_specs", "types", "os-availability-zone"),
}
#: Routes that anybody may ask of any project.
PUBLIC_ROUTES = {("os-quota-sets", "defaults")}
VARIABLES = {
    "server_id": "servers",
    "image_id": "images",
    "flavor_id": "flavors",
    "vol_type_id": "os-volume-types",
    "domain_id": "os-floating-ip-dns",
    "address": "address",
}
#: Bodies that are good enough to come to the question whose the thing is.
BODIES: dict[tuple[str, str], Any] = {
    ("servers", "update"): {"server": {"name": "stolen"}},
    ("os-create-server-ext", "update"): {"server": {"name": "stolen"}},
    ("os-volumes_boot", "update"): {"server": {"name": "stolen"}},
    ("metadata", "update"): {"meta": {"key": "stolen"}},
    ("metadata", "update_all"): {"metadata": {"key": "stolen"}},
    ("metadata", "create"): {"metadata": {"key": "stolen"}},
    ("os-security-groups", "update"): {"security_group": {"name": "stolen", "description": "d"}},
    ("os-floating-ip-dns", "update"): {"domain_entry": {"scope": "public", "project": "globex"}},
    ("entries", "update"): {"dns_entry": {"ip": "10.6.6.6", "dns_type": "A"}},
    ("os-volume_attachments", "create"): {"volumeAttachment": {"volumeId": NOTHING}},
    ("accounts", "update"): {"account": {"manager": "bob"}},
    ("users", "update"): {"user": {"secret": "stolen"}},
    ("os-hosts", "update"): {"status": "disable"},
    ("os-services", "update"): {"host": "node1", "binary": "nova-compute"},
    ("os-quota-sets", "update"): {"quota_set": {"cores": 1000}},
    ("os-networks", "action"): {"disassociate": None},
    ("os-aggregates", "update"): {"aggregate": {"name": "stolen"}},
    ("os-aggregates", "action"): {"add_host": {"host": "node1"}},
}
ACTIONS: dict[str, Any] = {
    "reboot": {"type": "HARD"},
    "changePassword": {"adminPass": "stolen"},
    "rebuild": {"imageRef": NOBODY},
    "resize": {"flavorRef": "2"},
    "createImage": {"name": "stolen"},
    "createBackup": {"name": "stolen", "backup_type": "daily", "rotation": 1},
    "os-getConsoleOutput": {},
    "os-getVNCConsole": {"type": "novnc"},
    "os-migrateLive": {"host": "node1", "block_migration": False, "disk_over_commit": False},
    "os-resetState": {"state": "error"},
    "addFixedIp": {"networkId": PRIVATE},
    "removeFixedIp": {"address": "10.0.0.2"},
    "addFloatingIp": {"address": "172.24.4.99"},
    "removeFloatingIp": {"address": "172.24.4.99"},
    "addSecurityGroup": {"name": "default"},
    "removeSecurityGroup": {"name": "default"},
    **dict.fromkeys(("confirmResize", "revertResize", "rescue", "unrescue", "restore", "forceDelete")),
    **dict.fromkeys(("pause", "unpause", "suspend", "resume", "lock", "unlock", "migrate")),
    **dict.fromkeys(("resetNetwork", "injectNetworkInfo", "os-start", "os-stop")),
}
ROUTERS = {"osapi_compute": APIRouter, "osapi_volume": VolumeRouter}


class Route:
    """A route of a router with an id in it."""

    def __init__(self, route: Any) -> None:
        self.path = re.sub(r":\(?(\w+)\)?", r"{\1}", route.routepath).removeprefix("/{project_id}")
        self.action = route.defaults["action"]
        self.methods = sorted((route.conditions or {}).get("method") or ["GET", "POST", "PUT", "DELETE"])
        self.names = re.findall(r"{(\w+)}", self.path)
        parts = self.path.strip("/").split("/")
        at = parts.index("{id}") if "{id}" in parts else len(parts)
        self.collection = parts[at - 1]

    def kinds(self) -> dict[str, str]:
        """The collection of each variable."""
        return {name: self.collection if name == "id" else VARIABLES[name] for name in self.names}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    state = tmp_path_factory.mktemp("isolation") / "state"
    options = {"quota_instances": -1, "quota_cores": -1, "quota_ram": -1}
    with running(state, copy.deepcopy(DOCUMENT), **options) as made:
        yield Door(made)


@pytest.fixture(scope="module")
def made(world: Door) -> dict[str, str]:
    """One thing of each kind."""
    found: dict[str, str] = {}
    for kind, (factory, _) in FACTORIES.items():
        found[kind] = factory(world, found)
    return found


def with_ids(door: Door, api: str) -> list[Route]:
    door.cloud.app(api)
    found = [Route(one) for one in ROUTERS[api]().map.matchlist if "{project_id}" in one.routepath]
    return [one for one in found if one.names and one.action not in ("new", "edit")]


@pytest.mark.parametrize("api", ROUTERS)
def test_every_kind_of_id_is_known_here(world: Door, api: str) -> None:
    kinds = {kind for one in with_ids(world, api) for kind in one.kinds().values()}
    assert kinds - PUBLIC <= set(FACTORIES), "give the new kinds a factory"
    assert len(with_ids(world, api)) > 10


def test_every_action_is_known_here(world: Door) -> None:
    world.cloud.app("osapi_compute")
    assert set(APIRouter().resources["servers"].wsgi_actions) == set(ACTIONS)


@pytest.mark.parametrize("api", ROUTERS)
def test_the_matrix(world: Door, made: dict[str, str], api: str) -> None:
    """The same refusal, whether a thing is somebody else's or not there; and nothing of it has changed."""
    door = Door(world.cloud, "v1" if api == "osapi_volume" else "v1.1", api, world.tokens)
    before, cases = photograph(world, made), 0
    for route in with_ids(world, api):
        kinds = route.kinds()
        if set(kinds.values()) & PUBLIC or (route.collection, route.action) in PUBLIC_ROUTES:
            continue
        foreign = {name: made[kind] for name, kind in kinds.items()}
        nothing = {name: FACTORIES[kind][1] for name, kind in kinds.items()}
        for method in route.methods:
            for body in bodies(route):
                cases += 1
                compare(door, method, route.path, body, foreign, nothing)
    assert cases > (100 if api == "osapi_compute" else 5)
    world.cloud.settle()
    assert photograph(world, made) == before


def photograph(door: Door, made: Mapping[str, str]) -> list[Any]:
    """Everything of alice's, as she sees it."""
    paths = [f"/{kind}/{made[kind]}" for kind in made if kind.startswith("os-") or kind in ("servers", "images")]
    paths += [f"/servers/{made['servers']}/os-volume_attachments", "/os-floating-ip-dns/isolated.org/entries/isolated"]
    seen = [door.ask(path).text for path in paths if "usage" not in path]
    return [*seen, door.ask("/accounts/acme", user="admin").text, door.ask("/users/alice", user="admin").text]


def bodies(route: Route) -> list[Any]:
    if route.action == "action" and route.collection in ("servers", "os-volumes_boot"):
        return [{name: argument} for name, argument in ACTIONS.items()]
    return [BODIES.get((route.collection, route.action))]


def compare(
    door: Door, method: str, path: str, body: Any, foreign: Mapping[str, str], nothing: Mapping[str, str]
) -> None:
    """The same answer, apart from the ids in it."""
    for headers in ({}, {"Accept": "application/xml"}):
        answers = [
            door.ask(path.format(**ids), method, body, user="bob", headers=headers) for ids in (foreign, nothing)
        ]
        texts = [without(answer.text, ids.values()) for answer, ids in zip(answers, (foreign, nothing), strict=True)]
        about = f"{method} {path.format(**foreign)} {json.dumps(body)}"
        assert (answers[0].status_int, texts[0]) == (answers[1].status_int, texts[1]), about
        assert answers[0].status_int in (400, 403, 404, 405, 409, 422, 501), about


def without(text: str, ids: Any) -> str:
    """An answer without the ids that it repeats."""
    for value in ids:
        # A short name may stand in a text for something else.
        if len(value) >= 8 or value.isdigit():
            text = re.sub(rf"(?<![\w.-]){re.escape(value)}(?![\w-]|\.\d)", "ID", text)
    return text
