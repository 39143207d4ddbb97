"""What is somebody else's is unknown: every route with an id, for reads and writes, as another project's user.

The matrix is made of the router's own routes, so a route that nobody has thought of here fails a test.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nova_api.openstack.compute import APIRouter
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, NOBODY, Door

#: How a thing of alice's comes to be, and an id of the same kind that nothing has.
Factory = Callable[[Door, str], str]


def _server(door: Door, user: str) -> str:
    return door.boot(user, metadata={"key": "value"})


def _image(door: Door, user: str) -> str:
    answer = door.act(door.boot(user), "createImage", {"name": "snap", "metadata": {"key": "value"}}, user=user)
    door.cloud.settle()
    return str(answer.headers["Location"].rpartition("/")[2])


def _console(door: Door, user: str) -> str:
    """Of the server that the matrix uses: its console is asked for below it."""
    server = door.ask("/servers?limit=1&name=test", user=user).json["servers"][0]["id"]
    assert door.post(f"/servers/{server}/consoles", None, user=user).status_int == 200
    door.cloud.settle()
    ((found,),) = [one.values() for one in door.ask(f"/servers/{server}/consoles", user=user).json["consoles"]]
    return str(found["id"])


def _named(name: str) -> Factory:
    return lambda door, user: name


#: By the last collection of a path: how to make one; by name of a variable: the same for those around it.
FACTORIES: dict[str, tuple[Factory, str]] = {
    "images": (_image, NOBODY),
    "servers": (_server, NOBODY),
    "metadata": (_named("key"), "key"),
    "ips": (_named("private"), "private"),
    "consoles": (_console, "987654"),
}
#: Collections that are everybody's.
PUBLIC = {"flavors", "extensions", "limits"}
VARIABLES = {"server_id": "servers", "image_id": "images"}
#: Bodies that are good enough to come to the question whose the thing is.
BODIES: dict[tuple[str, str], Any] = {
    ("servers", "update"): {"server": {"name": "stolen"}},
    ("metadata", "update"): {"meta": {"key": "stolen"}},
    ("metadata", "update_all"): {"metadata": {"key": "stolen"}},
    ("metadata", "create"): {"metadata": {"key": "stolen"}},
}
ACTIONS: dict[str, Any] = {
    "reboot": {"type": "HARD"},
    "changePassword": {"adminPass": "stolen"},
    "rebuild": {"imageRef": NOBODY},
    "resize": {"flavorRef": "2"},
    "confirmResize": None,
    "revertResize": None,
    "createImage": {"name": "stolen"},
}


class Route:
    """A route of the router with an id in it."""

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
    with running(state, DOCUMENT, **options) as made:
        yield Door(made)


def with_ids(door: Door) -> list[Route]:
    found = [Route(one) for one in APIRouter().map.matchlist if "{project_id}" in one.routepath]
    return [one for one in found if one.names and one.action not in ("new", "edit")]


def test_every_kind_of_id_is_known_here(world: Door) -> None:
    kinds = {kind for one in with_ids(world) for kind in one.kinds().values()}
    assert kinds - PUBLIC <= set(FACTORIES), "give the new kinds a factory"
    assert len(with_ids(world)) > 20


def test_the_matrix(world: Door) -> None:
    """Reads first, so that a write that works would be seen by none of them."""
    door = world
    made = {kind: factory(door, "alice") for kind, (factory, _) in FACTORIES.items()}
    before = (door.server(made["servers"]), door.ask(f"/images/{made['images']}").json)
    cases = 0
    for route in with_ids(door):
        kinds = route.kinds()
        if set(kinds.values()) & PUBLIC:
            continue
        foreign = {name: made[kind] for name, kind in kinds.items()}
        nothing = {name: FACTORIES[kind][1] for name, kind in kinds.items()}
        for method in route.methods:
            for body in bodies(route):
                cases += 1
                compare(
                    door, method, route.path.format(**foreign), route.path.format(**nothing), body, foreign, nothing
                )
    assert cases > 30
    door.cloud.settle()
    assert (door.server(made["servers"]), door.ask(f"/images/{made['images']}").json) == before


def bodies(route: Route) -> list[Any]:
    if route.action == "action":
        return [{name: argument} for name, argument in ACTIONS.items()]
    return [BODIES.get((route.collection, route.action))]


def compare(
    door: Door, method: str, foreign: str, nothing: str, body: Any, made: dict[str, str], missing: dict[str, str]
) -> None:
    """The same answer, apart from the ids in it."""
    for headers in ({}, {"Accept": "application/xml"}):
        one, other = (door.ask(path, method, body, user="bob", headers=headers) for path in (foreign, nothing))
        texts = [one.text, other.text]
        for name, value in made.items():
            if len(value) < 8:
                continue  # a number that may stand in the text for something else
            texts[0] = texts[0].replace(value, "ID")
            texts[1] = texts[1].replace(missing[name], "ID")
        about = f"{method} {foreign} {json.dumps(body)}"
        assert (one.status_int, texts[0]) == (other.status_int, texts[1]), about
        assert one.status_int in (400, 404, 405, 409, 501), about
