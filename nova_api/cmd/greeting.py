"""What nova-api tells whoever started it: where the doors are, and how to knock; ``cloud.json`` for programs."""

import json
import os
from pathlib import Path

from nova_api.cloud import bootstrap
from nova_api.config import Config
from nova_api.runtime import Runtime


def endpoints_of(config: Config, ports: dict[str, int]) -> dict[str, str]:
    """Addresses as clients use them, by the names of cloud.json."""
    host = f"[{config.my_ip}]" if ":" in config.my_ip else config.my_ip
    paths = {
        "ec2": {"ec2": config.ec2_path},
        "osapi_compute": {"compute_v1.0": "/v1.0", "compute_v1.1": "/v1.1", "compute_v2": "/v2"},
        "osapi_volume": {"volume_v1": "/v1"},
        "metadata": {"metadata": ""},
    }
    made = {name: f"http://{host}:{port}{path}" for door, port in ports.items() for name, path in paths[door].items()}
    # Images carry an 'alternate' link to the image service of 2012.1; nothing listens there.
    made["glance"] = f"http://{host}:9292"
    return made


def write_cloud(runtime: Runtime, endpoints: dict[str, str]) -> None:
    """Write ``cloud.json``; it holds secrets, so nobody else may read it."""
    target = Path(runtime.config.in_state("cloud.json"))
    draft = target.with_suffix(".tmp")
    text = json.dumps(bootstrap.describe(runtime.db, runtime.config, endpoints), indent=1, sort_keys=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(text + "\n")
    os.replace(draft, target)


def greet(runtime: Runtime, endpoints: dict[str, str], log_place: str) -> None:
    """Print it.

    :param log_place: where the log is
    """
    lines = ["nova-api is up.", ""]
    lines += [f"  {name:<10} {url}" for name, url in sorted(endpoints.items()) if name != "glance"]
    user = bootstrap.default_user(runtime.db, runtime.config)
    if user is not None:
        access = f"{user.access}:{user.project}"
        lines += ["", f"  user {user.name}, project {user.project}", f"  access key  {access}"]
        lines += [f"  secret key  {user.secret}", ""]
        if "ec2" in endpoints:
            lines += _examples(endpoints["ec2"], access, user.secret, runtime.config.region_name)
        if "compute_v1.1" in endpoints:
            lines += _openstack_examples(endpoints["compute_v1.1"], user.name, user.access, user.project)
    lines += ["", f"  state  {Path(runtime.config.state_path).absolute()}", f"  log    {log_place}"]
    lines += ["", "Ctrl-C stops it; started again on the same state it goes on where it was."]
    print("\n".join(lines), flush=True)


def _examples(url: str, access: str, secret: str, region: str) -> list[str]:
    return [
        "  aws-cli:",
        f"    AWS_ACCESS_KEY_ID='{access}' AWS_SECRET_ACCESS_KEY='{secret}' AWS_DEFAULT_REGION={region} \\",
        f"      aws --endpoint-url {url} ec2 describe-images",
        "  boto3:",
        "    python3 -c \"import boto3; ec2 = boto3.client('ec2', endpoint_url='" + url + "', "
        f"region_name='{region}', aws_access_key_id='{access}', aws_secret_access_key='{secret}'); "
        "print([i['ImageId'] for i in ec2.describe_images()['Images']])\"",
        "  euca2ools:",
        f"    EC2_URL={url} EC2_ACCESS_KEY='{access}' EC2_SECRET_KEY='{secret}' euca-describe-images",
    ]


def _openstack_examples(url: str, user: str, key: str, project: str) -> list[str]:
    """The OpenStack door: the key of a user is the user's access key, without a project."""
    return [
        "  OpenStack, with curl:",
        f"    TOKEN=$(curl -si -H 'X-Auth-User: {user}' -H 'X-Auth-Key: {key}' {url}/ | tr -d '\\r' "
        "| sed -n 's/^X-Auth-Token: //p')",
        f'    curl -s -H "X-Auth-Token: $TOKEN" {url}/{project}/servers/detail',
    ]
