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
from tests.servers import RunningCloud

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


#: Every command of the extensions that owners and operators use, by the managers behind them.
EXTENSIONS = """
import json, sys, time
from datetime import datetime, timedelta
from novaclient import exceptions
from novaclient.v1_1 import client

user, key, project, admin, admin_key, admin_project, url, volume_url = sys.argv[1:9]
nova = client.Client(user, key, project, url)
boss = client.Client(admin, admin_key, admin_project, url)
store = client.Client(user, key, project, volume_url)
told = {}

def until(read, right):
    for _ in range(300):
        found = read()
        if right(found):
            return found
        time.sleep(0.1)
    raise SystemExit('it is %r' % found)

def wait(status):
    return until(lambda: nova.servers.get(server.id), lambda one: one.status == status)

flavors = dict((one.name, one) for one in nova.flavors.list())
image = [one for one in nova.images.list() if one.name == 'oracle-raw'][0]

made = nova.keypairs.create('nc-key')
told['keypair'] = [made.private_key[:10], 'nc-key' in [one.name for one in nova.keypairs.list()]]
group = nova.security_groups.create('nc-group', 'about')
rule = nova.security_group_rules.create(group.id, 'tcp', 22, 22, '10.0.0.0/8')
told['secgroup'] = [nova.security_groups.get(group.id).rules[0]['from_port'],
                    'nc-group' in [one.name for one in nova.security_groups.list()]]
server = nova.servers.create('nc-ext', image, flavors['m1.tiny'], key_name='nc-key',
                             scheduler_hints={'different_host': '00000000-0000-4000-8000-00000000dead'})
server = wait('ACTIVE')
server.add_security_group('nc-group')
server.remove_security_group('nc-group')
told['pools'] = [one.name for one in nova.floating_ip_pools.list()]
address = nova.floating_ips.create()
server.add_floating_ip(address)
told['floating'] = [nova.floating_ips.get(address.id).instance_id == server.id]
server.remove_floating_ip(address)
told['floating'].append(nova.floating_ips.list()[0].instance_id)
nova.floating_ips.delete(address)

volume = store.volumes.create(1, display_name='nc-volume')
until(lambda: store.volumes.get(volume.id), lambda one: one.status == 'available')
attached = nova.volumes.create_server_volume(server.id, volume.id, '/dev/vdc')
until(lambda: store.volumes.get(volume.id), lambda one: one.status == 'in-use')
told['attached'] = [attached.device, len(nova.volumes.get_server_volumes(server.id))]
nova.volumes.delete_server_volume(server.id, volume.id)
until(lambda: store.volumes.get(volume.id), lambda one: one.status == 'available')
snapshot = store.volume_snapshots.create(volume.id, display_name='nc-snapshot')
until(lambda: store.volume_snapshots.get(snapshot.id), lambda one: one.status == 'available')
told['snapshot'] = snapshot.id in [one.id for one in store.volume_snapshots.list()]
store.volume_snapshots.delete(snapshot)
until(store.volume_snapshots.list, lambda found: not [one for one in found if one.id == snapshot.id])
store.volumes.delete(volume)
told['volume types'] = type(store.volume_types.list()).__name__

turns = (('pause', 'PAUSED', 'unpause'), ('suspend', 'SUSPENDED', 'resume'), ('stop', 'STOPPED', 'start'))
for there, status, back in turns:
    getattr(server, there)()
    wait(status)
    getattr(server, back)()
    wait('ACTIVE')
told['rescue'] = len(server.rescue()[1]['adminPass'])
wait('RESCUE')
server.unrescue()
wait('ACTIVE')
boss.servers.lock(server)
try:
    server.pause()
except exceptions.ClientException as error:
    told['locked'] = error.code
boss.servers.unlock(server)
server.backup('nc-backup', 'daily', 1)
until(nova.images.list, lambda found: 'nc-backup' in [one.name for one in found if one.status == 'ACTIVE'])
until(lambda: nova.servers.get(server.id), lambda one: getattr(one, 'OS-EXT-STS:task_state') is None)
boss.servers.migrate(server)
time.sleep(0.5)
settled = until(lambda: nova.servers.get(server.id), lambda one: one.status in ('ACTIVE', 'VERIFY_RESIZE'))
told['after migrate'] = settled.status
try:
    boss.servers.live_migrate(server, 'nowhere', False, False)
except exceptions.ClientException as error:
    told['live'] = error.code
boss.servers.reset_state(server, 'active')
told['console'] = len(server.get_console_output(2).splitlines())
told['vnc'] = server.get_vnc_console('novnc')['console']['type']
told['diagnostics'] = boss.servers.diagnostics(server)[1]['memory'] > 0
told['actions'] = len(boss.servers.actions(server)) if hasattr(boss.servers, 'actions') else 0
told['interfaces'] = len(nova.virtual_interfaces.list(server.id))

now = datetime.utcnow()
window = (now - timedelta(days=1), now + timedelta(days=1))
told['usage'] = [boss.usage.list(window[0], window[1], detailed=True)[0].total_hours > 0,
                 nova.usage.get(project, window[0], window[1]).tenant_id]
boss.quotas.update('nc-tenant', cores=7)
told['quota'] = [nova.quotas.get(project).cores,
                 boss.quotas.get('nc-tenant').cores, boss.quotas.defaults('nc-tenant').cores]
flavor = boss.flavors.create('nc.flavor', 128, 1, 1, 'nc77')
flavor.set_keys({'k': 'v'})
told['flavor'] = [nova.flavors.get('nc77').ram, flavor.get_keys()]
flavor.unset_keys(['k'])
boss.flavors.delete('nc77')
host = boss.hosts.list_all()[0].host_name if hasattr(boss.hosts, 'list_all') else 'node1'
told['host'] = [boss.hosts.get(host)[0].project, boss.hosts.update(host, {'status': 'enable'}).status,
                boss.hosts.host_action(host, 'reboot').power_action]
group_of_hosts = boss.aggregates.create('nc-aggregate', 'nova')
group_of_hosts.add_host(host)
group_of_hosts.set_metadata({'k': 'v'})
told['aggregate'] = [boss.aggregates.get_details(group_of_hosts.id).hosts == [host],
                     group_of_hosts.remove_host(host).hosts]
boss.aggregates.delete(group_of_hosts.id)
boss.dns_domains.create_public('nc.example.org', project)
entries = nova.dns_entries
entries.create('nc.example.org', 'www', '10.1.1.1', 'A')
told['dns'] = [entries.get('nc.example.org', 'www').ip,
               [one.name for one in entries.get_for_ip('nc.example.org', ip='10.1.1.1')],
               'nc.example.org' in [one.domain for one in nova.dns_domains.domains()]]
entries.delete('nc.example.org', 'www')
boss.dns_domains.delete('nc.example.org')
told['networks'] = 'private' in [one.label for one in boss.networks.list()]
told['certificate'] = [nova.certs.get().data[:10], 'PRIVATE' in nova.certs.create().private_key]
told['cloudpipes'] = boss.cloudpipe.list()

nova.servers.delete(server)
until(nova.servers.list, lambda found: server.id not in [one.id for one in found])
nova.security_group_rules.delete(rule.id)
nova.security_groups.delete(group.id)
nova.keypairs.delete('nc-key')
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
def test_the_extensions(
    novaclient: dict[str, str], tenant_perf: Tenant, tenant_admin: Tenant, cloud: RunningCloud, tmp_path: Path
) -> None:
    (tmp_path / "walk.py").write_text(EXTENSIONS)
    who, boss = tenant_perf, tenant_admin
    volume_url = cloud.cloud["endpoints"]["volume_v1"]
    people = (who.user, who.key, who.project, boss.user, boss.key, boss.project)
    command = [str(PYTHON), str(tmp_path / "walk.py"), *people, who.auth_url, volume_url]
    done = subprocess.run(command, env=novaclient, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told.pop("after migrate") in ("ACTIVE", "VERIFY_RESIZE")
    assert told == {
        "keypair": ["-----BEGIN", True],
        "secgroup": [22, True],
        "pools": ["nova"],
        "floating": [True, None],
        "attached": ["/dev/vdc", 1],
        "snapshot": True,
        "volume types": "list",
        "rescue": 12,
        "locked": 409,
        "live": 400,
        "console": 2,
        "vnc": "novnc",
        "diagnostics": True,
        "actions": 0,
        "interfaces": 1,
        "usage": [True, who.project],
        "quota": [1_000_000, 7, 20],
        "flavor": [128, {"k": "v"}],
        "host": ["(total)", "enabled", "reboot"],
        "aggregate": [True, []],
        "dns": ["10.1.1.1", ["www"], True],
        "networks": True,
        "certificate": ["-----BEGIN", True],
        "cloudpipes": [],
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
