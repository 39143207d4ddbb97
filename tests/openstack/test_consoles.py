"""``/servers/{server_id}/consoles``, from a request to the resource to what comes back."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import webob

from nova_api.context import RequestContext
from nova_api.db import models
from nova_api.openstack import wsgi
from nova_api.openstack.consoles import ConsolesController
from tests.consoles import ALICE, MALLORY, ConsoleWorld, console_world

DECLARATION = b"<?xml version='1.0' encoding='UTF-8'?>\n"
STOCK_404 = {"itemNotFound": {"message": "The resource could not be found.", "code": 404}}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ConsoleWorld]:
    with console_world(tmp_path) as made:
        yield made


def ask(
    world: ConsoleWorld,
    action: str,
    server: str,
    *,
    number: str | None = None,
    who: RequestContext = ALICE,
    accept: str = "application/json",
    body: bytes = b"",
) -> webob.Response:
    """The answer of the resource to a request that the router has matched."""
    services: Any = SimpleNamespace(consoles=world.consoles)
    request = webob.Request.blank("/", accept=accept)
    if body:
        request.body, request.content_type = body, "application/json"
    arguments = {"action": action, "project_id": who.project_id, "server_id": server}
    if number is not None:
        arguments["id"] = number
    request.environ["wsgiorg.routing_args"] = ((), arguments)
    request.environ["nova.context"] = who
    return request.get_response(wsgi.Resource(ConsolesController(runtime=services)))


def made(world: ConsoleWorld, **values: Any) -> tuple[str, str]:
    """A server with a console, and the number of the console."""
    row = world.instance(**values)
    answer = ask(world, "create", row.uuid, who=RequestContext(row.user_id, row.project_id))
    assert (answer.status_int, answer.body, answer.content_type) == (200, b"", "application/json")
    world.settle()
    return row.uuid, str(world.rows(models.consoles)[-1].id)


def test_consoles_are_made_listed_shown_and_taken_away(world: ConsoleWorld) -> None:
    server, number = made(world)
    listed = ask(world, "index", server)
    assert listed.json == {"consoles": [{"console": {"id": int(number), "console_type": "vnc"}}]}
    assert listed.headers["x-compute-request-id"] == ALICE.request_id
    shown = ask(world, "show", server, number=number).json["console"]
    password = shown.pop("password")
    (row,) = world.rows(models.instances)
    assert shown == {
        "id": int(number),
        "console_type": "vnc",
        "instance_name": f"instance-{row.id:08x}",
        "port": 5900,
        "host": "consoles.example.com",
    }
    assert len(password) == 8
    gone = ask(world, "delete", server, number=number)
    assert (gone.status_int, gone.body) == (202, b"")
    world.settle()
    assert ask(world, "index", server).json == {"consoles": []}
    assert ask(world, "show", server, number=number).json == STOCK_404


def test_documents_in_xml(world: ConsoleWorld) -> None:
    server, number = made(world)
    password = ask(world, "show", server, number=number).json["console"]["password"]
    listed = ask(world, "index", server, accept="application/xml")
    assert listed.body == (
        DECLARATION + b"<consoles><console><console><id>%b</id><console_type>vnc</console_type></console></console>"
        b"</consoles>" % number.encode()
    )
    shown = ask(world, "show", server, number=number, accept="application/xml")
    assert shown.body == (
        DECLARATION + b"<console><id>%b</id><port>5900</port><host>consoles.example.com</host><password>%b</password>"
        b"<console_type>vnc</console_type></console>" % (number.encode(), password.encode())
    )
    empty = ask(world, "index", world.instance().uuid, accept="application/xml")
    assert empty.body == DECLARATION + b"<consoles/>"


@pytest.mark.parametrize("number", ["999", "abc", "9" * 400])
@pytest.mark.parametrize("action", ["show", "delete"])
def test_an_unknown_console(world: ConsoleWorld, action: str, number: str) -> None:
    answer = ask(world, action, world.instance().uuid, number=number)
    assert (answer.status_int, answer.json) == (404, STOCK_404)


@pytest.mark.parametrize("server", ["00000000-0000-4000-8000-00000000dead", "4711", "x"])
def test_an_unknown_server(world: ConsoleWorld, server: str) -> None:
    for action in ("index", "create"):
        assert ask(world, action, server).json == STOCK_404
    for action in ("show", "delete"):
        assert ask(world, action, server, number="1").json == STOCK_404


def test_what_belongs_to_others_is_not_there(world: ConsoleWorld) -> None:
    server, number = made(world)
    mine = world.instance(user_id="mallory", project_id="evil").uuid
    assert ask(world, "index", server, who=MALLORY).status_int == 404
    assert ask(world, "create", server, who=MALLORY).status_int == 404
    for action in ("show", "delete"):
        assert ask(world, action, server, number=number, who=MALLORY).json == STOCK_404
        assert ask(world, action, mine, number=number, who=MALLORY).json == STOCK_404
    world.settle()
    assert len(world.rows(models.consoles)) == 1


def test_a_create_takes_no_body(world: ConsoleWorld) -> None:
    server = world.instance().uuid
    for body in (b"{}", b'{"console": {}}', b"{"):
        assert ask(world, "create", server, body=body).status_int == 400
    assert world.screens.asked == []


def test_a_server_without_a_host(world: ConsoleWorld) -> None:
    assert ask(world, "create", world.instance(host=None).uuid).status_int == 409


def test_there_is_no_update(world: ConsoleWorld) -> None:
    server = world.instance().uuid
    answer = ask(world, "update", server, number="999")
    assert (answer.status_int, list(answer.json)) == (501, ["notImplemented"])
    assert ask(world, "update", server, number="999", body=b"{}").status_int == 400
