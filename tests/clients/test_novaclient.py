"""python-novaclient of the 1.1 era, in the Python that it was written for."""

import glob
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from nova_api.openstack.faults import TEXTS
from tests.clients.conftest import Tenant

VERSION = "2.10.0"
#: What a person of 2012 would have written; the answers are printed as JSON.
WALK = """
import json, sys, time
from novaclient import exceptions
from novaclient.v1_1 import client

user, key, project, url = sys.argv[1:5]
nova = client.Client(user, key, project, url)
told = {}

def wait(server, status):
    for _ in range(300):
        server = nova.servers.get(server.id)
        if server.status == status:
            return server
        if server.status == 'ERROR':
            break
        time.sleep(0.1)
    raise SystemExit('it is %s' % server.status)

def refused(call, *args, **options):
    try:
        call(*args, **options)
    except exceptions.ClientException as error:
        return [type(error).__name__, error.code, error.message]

flavors = dict((one.name, one) for one in nova.flavors.list())
images = dict((one.name, one) for one in nova.images.list())
told['flavor'] = [flavors['m1.tiny'].ram, flavors['m1.tiny'].ephemeral]
server = nova.servers.create('nc', images['oracle-raw'], flavors['m1.tiny'], meta={'k': 'v'},
                             files={'/etc/motd': 'hello'}, userdata='#!/bin/sh')
told['password'] = len(server.adminPass)
server = wait(server, 'ACTIVE')
told['booted'] = [server.name, server.metadata, sorted(server.networks)]
told['listed'] = server.id in [one.id for one in nova.servers.list(search_opts={'name': 'nc'})]
nova.servers.set_meta(server, {'a': 'b'})
nova.servers.delete_meta(server, ['k'])
server.update(name='renamed')
told['changed'] = [nova.servers.get(server.id).name, nova.servers.get(server.id).metadata]
server.reboot()
wait(server, 'ACTIVE')
server.reboot('HARD')
wait(server, 'ACTIVE')
server.rebuild(images['oracle-ami'])
told['rebuilt'] = wait(server, 'ACTIVE').image['id'] == images['oracle-ami'].id
server.resize(flavors['m1.small'])
wait(server, 'VERIFY_RESIZE').confirm_resize()
told['resized'] = wait(server, 'ACTIVE').flavor['id']
server.resize(flavors['m1.tiny'])
wait(server, 'VERIFY_RESIZE').revert_resize()
told['reverted'] = wait(server, 'ACTIVE').flavor['id']
server.change_password('n3w')
wait(server, 'ACTIVE')
server.create_image('from novaclient', {'x': 'y'})
for _ in range(100):
    found = [one for one in nova.images.list() if one.name == 'from novaclient' and one.status == 'ACTIVE']
    if found:
        break
    time.sleep(0.1)
told['image'] = found[0].metadata['x']
nova.images.set_meta(found[0], {'more': '1'})
nova.images.delete(found[0])
told['limits'] = dict((one.name, one.value) for one in nova.limits.get().absolute)['maxServerMeta']
told['refusals'] = [
    refused(nova.servers.get, 'nonsense'),
    refused(nova.servers.create, 'x', '00000000-0000-4000-8000-00000000dead', flavors['m1.tiny']),
    refused(nova.servers.create, 'x', images['oracle-raw'], '99'),
    refused(nova.flavors.get, '99'),
    refused(server.confirm_resize),
    refused(client.Client(user, 'nonsense', project, url).servers.list),
]
server.delete()
print(json.dumps(told))
"""


def _python() -> str | None:
    """A Python 2.7 that starts."""
    found = [shutil.which("python2.7"), *sorted(glob.glob(str(Path.home() / ".pyenv/versions/2.7*/bin/python2.7")))]
    for program in filter(None, found):
        if subprocess.run([program, "-m", "pip", "--version"], capture_output=True).returncode == 0:
            return program
    return None


PYTHON = _python()


@pytest.fixture(scope="session")
def novaclient(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a Python 2.7 with the client installed."""
    if PYTHON is None:
        pytest.skip(f"novaclient {VERSION} is for Python 2.7, and there is none with pip on this machine")
    folder = tmp_path_factory.mktemp("novaclient")
    command = [PYTHON, "-m", "pip", "install", "-q", "--target", str(folder), f"python-novaclient=={VERSION}"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if made.returncode:
        pytest.skip(f"novaclient {VERSION} cannot be installed here: {made.stderr[-200:]}")
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(folder), "LANG": "C.UTF-8"}


@pytest.mark.slow
def test_a_walk(novaclient: dict[str, str], tenant_perf: Tenant, tmp_path: Path) -> None:
    (tmp_path / "walk.py").write_text(WALK)
    who = tenant_perf
    command = [str(PYTHON), str(tmp_path / "walk.py"), who.user, who.key, who.project, who.auth_url]
    done = subprocess.run(command, env=novaclient, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    stock = "The resource could not be found."
    assert told.pop("refusals") == [
        ["NotFound", 404, stock],
        ["BadRequest", 400, "Can not find requested image"],
        ["BadRequest", 400, "Invalid flavorRef provided."],
        ["NotFound", 404, stock],
        ["ClientException", 409, "Instance is in an invalid state for 'confirmResize'"],
        ["Unauthorized", 401, TEXTS[401]],
    ]
    assert told == {
        "flavor": [512, 0],
        "password": 12,
        "booted": ["nc", {"k": "v"}, ["private"]],
        "listed": True,
        "changed": ["renamed", {"a": "b"}],
        "rebuilt": True,
        "resized": "2",
        "reverted": "2",
        "image": "y",
        "limits": 128,
    }


@pytest.mark.slow
def test_the_command(novaclient: dict[str, str], tenant_bob: Tenant) -> None:
    who = tenant_bob
    environment = {
        **novaclient,
        "OS_USERNAME": who.user,
        "OS_PASSWORD": who.key,
        "OS_TENANT_NAME": who.project,
        "OS_AUTH_URL": who.auth_url,
        "NOVA_VERSION": "1.1",
    }

    def nova(*arguments: str) -> str:
        command = [str(PYTHON), "-m", "novaclient.shell", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "m1.tiny" in nova("flavor-list")
    assert "oracle-raw" in nova("image-list")
    assert "adminPass" in nova("boot", "--flavor", "1", "--image", "oracle-raw", "--poll", "from-shell")
    assert "ACTIVE" in nova("show", "from-shell")
    assert "from-shell" in nova("list")
    nova("meta", "from-shell", "set", "a=b")
    nova("delete", "from-shell")
