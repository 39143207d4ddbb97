"""What is somebody else's is unknown in the 1.0 API: every route with an id, with a project in the path and without."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
import webob

from nova_api.openstack.v1_0 import APIRouter
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, RAW, Door
from tests.openstack.test_isolation import NOTHING, Route, compare
from tests.openstack.v1_0.test_servers import boot, number_of

#: The kind of each variable of a path; ``id`` is of the collection before it.
VARIABLES = {"server_id": "servers", "address": "address"}
#: Kinds that are everybody's, and those that are no more than names.
PUBLIC, NAMES = {"flavors", "limits"}, {"ips": "public"}
BODIES: dict[tuple[str, str], list[Any]] = {
    ("servers", "update"): [{"server": {"name": "stolen"}}, {"server": {"name": "stolen", "adminPass": "stolen"}}],
    ("servers", "action"): [
        {"reboot": {"type": "HARD"}},
        {"rebuild": {"imageId": RAW}},
        {"resize": {"flavorId": 2}},
        {"confirmResize": None},
        {"revertResize": None},
        {"changePassword": {"adminPass": "stolen"}},
        {"createImage": {"name": "stolen"}},
    ],
    ("backup_schedule", "create"): [{"backupSchedule": {"enabled": True, "daily": "H_0400_0600"}}],
    ("public", "share"): [{"shareIp": {"sharedIpGroupId": "GROUP", "configureServer": True}}],
    ("shared_ip_groups", "update"): [{"sharedIpGroup": {"name": "stolen"}}],
}


class Bare(Door):
    """A door whose paths name no project."""

    def call(
        self, path: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> webob.Response:
        return super().call(re.sub(r"^/v1.0/(acme|globex)/", "/v1.0/", path), method, body, headers)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    state = tmp_path_factory.mktemp("isolation10") / "state"
    with running(state, copy.deepcopy(DOCUMENT), quota_instances=-1, quota_cores=-1, quota_ram=-1) as made:
        yield Door(made, "v1.0")


@pytest.fixture(scope="module")
def made(world: Door) -> dict[str, str]:
    """Two servers of alice's that share an address, a schedule, an image."""
    modern = Door(world.cloud, "v1.1")
    owner, second = boot(world), boot(world)
    address = modern.post("/os-floating-ips", {}).json["floating_ip"]["ip"]
    assert modern.act(str(owner), "addFloatingIp", {"address": address}).status_int == 202
    image = world.post("/images", {"image": {"name": "snap", "serverId": owner}}).json["image"]["id"]
    world.cloud.settle()
    group = world.post("/shared_ip_groups", {"sharedIpGroup": {"name": "g", "server": owner}}).json["sharedIpGroup"][
        "id"
    ]
    third = boot(world, sharedIpGroupId=group)
    body = {"shareIp": {"sharedIpGroupId": group, "configureServer": False}}
    assert world.put(f"/servers/{third}/ips/public/{address}", body).status_int == 202
    schedule = {"backupSchedule": {"enabled": True, "weekly": "SUNDAY"}}
    assert world.post(f"/servers/{third}/backup_schedule", schedule).status_int == 204
    return {
        "servers": str(third),
        "images": str(image),
        "shared_ip_groups": str(group),
        "address": address,
        "free": str(second),
    }


def routes(world: Door) -> list[Route]:
    world.cloud.app("osapi_compute")
    found = [Route(one) for one in APIRouter().map.matchlist if one.routepath.startswith("/{project_id}/")]
    return [one for one in found if one.names and one.action not in ("new", "edit")]


def kinds(route: Route) -> dict[str, str]:
    return {name: route.collection if name == "id" else VARIABLES[name] for name in route.names}


def test_every_route_is_there_without_a_project_too(world: Door) -> None:
    world.cloud.app("osapi_compute")
    every = [(one.routepath, one.defaults["action"], one.conditions) for one in APIRouter().map.matchlist]
    with_project = [(path[len("/{project_id}") :], *rest) for path, *rest in every if path.startswith("/{project_id}/")]
    without = [one for one in every if not one[0].startswith("/{project_id}/") and one[0] not in ("", "/")]
    assert sorted(map(str, with_project)) == sorted(map(str, without))
    assert len(without) > 40


def test_every_kind_of_id_is_known_here(world: Door, made: dict[str, str]) -> None:
    every = {kind for route in routes(world) for kind in kinds(route).values()}
    assert every - PUBLIC - set(NAMES) <= set(made)


def test_every_action_is_known_here(world: Door) -> None:
    world.cloud.app("osapi_compute")
    named = {name for body in BODIES["servers", "action"] for name in body}
    assert set(APIRouter().resources["servers"].wsgi_actions) == named


@pytest.mark.parametrize("kind", [Door, Bare])
def test_the_matrix(world: Door, made: dict[str, str], kind: type[Door]) -> None:
    """The same refusal, whether a thing is somebody else's or not there; and nothing of it has changed."""
    door = kind(world.cloud, "v1.0", tokens=world.tokens)
    before, cases = photograph(world, made), 0
    for route in routes(world):
        named = kinds(route)
        if set(named.values()) & PUBLIC:
            continue
        foreign = {name: NAMES.get(kind) or made[kind] for name, kind in named.items()}
        nothing = {
            name: NAMES.get(kind) or ("10.99.99.99" if name == "address" else NOTHING) for name, kind in named.items()
        }
        place = route.path.strip("/").split("/")
        where = next(part for part in reversed(place) if not part.startswith("{") and part != "action")
        for method in route.methods:
            for body in bodies(where, route.action, made):
                cases += 1
                compare(door, method, route.path, body, foreign, nothing)
    assert cases >= 20
    world.cloud.settle()
    assert photograph(world, made) == before


def bodies(where: str, action: str, made: dict[str, str]) -> list[Any]:
    found = copy.deepcopy(BODIES.get((where, action), [None]))
    for body in found:
        if body and "shareIp" in body:
            body["shareIp"]["sharedIpGroupId"] = made["shared_ip_groups"]
    return found


def photograph(door: Door, made: dict[str, str]) -> list[Any]:
    """Everything of alice's, as she sees it."""
    server = f"/servers/{made['servers']}"
    paths = (server, f"{server}/ips", f"{server}/backup_schedule", "/shared_ip_groups/detail", "/images/detail")
    return [door.ask(path).text for path in (*paths, "/servers/detail")]


def test_ids_in_bodies(world: Door, made: dict[str, str]) -> None:
    """Somebody else's thing in a body is refused like one that is not there."""
    modern = Door(world.cloud, "v1.1")
    before = photograph(world, made)
    own = world.post("/servers", {"server": new(world)}, user="bob").json["server"]["id"]
    world.cloud.settle()
    group = world.post("/shared_ip_groups", {"sharedIpGroup": {"name": "b", "server": own}}, user="bob").json
    mine = group["sharedIpGroup"]["id"]
    cases: list[tuple[str, str, str, Any]] = [
        ("servers", "POST", "/images", {"image": {"name": "x", "serverId": "ID"}}),
        ("servers", "POST", "/shared_ip_groups", {"sharedIpGroup": {"name": "x", "server": "ID"}}),
        ("images", "POST", "/servers", {"server": {**new(world), "imageId": "ID"}}),
        ("images", "POST", f"/servers/{own}/action", {"rebuild": {"imageId": "ID"}}),
        ("shared_ip_groups", "POST", "/servers", {"server": {**new(world), "sharedIpGroupId": "ID"}}),
        (
            "shared_ip_groups",
            "PUT",
            f"/servers/{own}/ips/public/{made['address']}",
            {"shareIp": {"sharedIpGroupId": "ID", "configureServer": False}},
        ),
    ]
    for kind, method, path, body in cases:
        answers = []
        for value in (made[kind], NOTHING):
            filled = filled_with(body, value)
            answer = world.ask(path, method, filled, user="bob")
            answers.append((answer.status_int, answer.text.replace(value, "ID")))
        assert answers[0] == answers[1], path
        assert answers[0][0] in (400, 404), path
    share = {"shareIp": {"sharedIpGroupId": mine, "configureServer": False}}
    texts = [
        world.put(f"/servers/{own}/ips/public/{address}", share, user="bob").text.replace(address, "ADDRESS")
        for address in (made["address"], "172.24.4.250")
    ]
    assert texts[0] == texts[1]
    assert len(world.ask("/servers", user="bob").json["servers"]) == 1
    assert photograph(world, made) == before
    assert modern.ask(f"/servers/{own}", user="bob").status_int == 200


def new(door: Door) -> dict[str, Any]:
    return {"name": "bobs", "imageId": number_of(door, user="bob"), "flavorId": 1}


def filled_with(body: Any, value: str) -> Any:
    if isinstance(body, dict):
        return {key: filled_with(one, value) for key, one in body.items()}
    return value if body == "ID" else body
