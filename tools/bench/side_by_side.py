#!/usr/bin/env python3
"""Side by side: this project, moto and ministack get the same requests in turn, round after round.

What is compared is one round trip: write, server work, read of the whole body. Requests are signed before the clock
starts. The servers run one after the other's turn on the same machine, so its noise falls on all alike; ratios are of
medians. Nothing is answered from a cache of answers: this project has none, every request reads the datastore.

    tools/bench/run                       everything, about five minutes
    tools/bench/run --sizes 1,100 --rounds 3 --skip start
    tools/bench/run --only nova_api       without the others
"""

import argparse
import http.client
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench_ec2 import IMAGE, INSTANCE, Signer
from benchlib import BadResponse, Client, build, cpu_seconds, rss_mib, tree

PROJECT = Path(__file__).resolve().parent.parent.parent
VERSION = "2016-11-15"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class ServersDoor:
    """The OpenStack door of a server under measurement; only this project has one.

    :param port: of the Compute API
    """

    def __init__(self, port: int) -> None:
        self.client = Client(f"http://127.0.0.1:{port}/v1.1")
        self.user = self.key = ""
        self.headers: dict[str, str] = {}

    def log_in(self) -> None:
        """Get a token, and learn the ids of an image and of servers."""
        login = {"X-Auth-User": self.user, "X-Auth-Key": self.key}
        connection = http.client.HTTPConnection(self.client.netloc)
        connection.request("GET", "/v1.1/", headers=login)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        self.headers = {"X-Auth-Token": answer.headers["X-Auth-Token"], "Accept": "application/json"}
        self.image = json.loads(self.client.ok(self.raw("GET", "/images")))["images"][-1]["id"]

    def raw(self, method: str, path: str, document: object = None) -> bytes:
        headers = dict(self.headers)
        body = b"" if document is None else json.dumps(document).encode()
        if body:
            headers["Content-Type"] = "application/json"
        return build(method, f"/v1.1/{self.user}{path}", self.client.netloc, headers, body)

    def one(self) -> bytes:
        """A request for a server in the middle of the list."""
        servers = json.loads(self.client.ok(self.raw("GET", "/servers")))["servers"]
        return self.raw("GET", f"/servers/{servers[len(servers) // 2]['id']}")

    def create(self) -> bytes:
        return self.raw("POST", "/servers", {"server": {"name": "bench", "imageRef": self.image, "flavorRef": "1"}})


@dataclass
class Target:
    """A server under measurement."""

    name: str
    process: subprocess.Popen | None = None
    sign: Signer | None = None
    client: Client | None = None
    image: str = ""
    ids: list[str] = field(default_factory=list)
    folder: tempfile.TemporaryDirectory | None = None
    servers: "ServersDoor | None" = None

    def start(self) -> float:
        """Start the server; seconds until its first answer to a signed DescribeRegions."""
        self.folder = tempfile.TemporaryDirectory(prefix="bench-")
        port = free_port()
        command, environment, endpoint, access, secret = getattr(self, "_" + self.name)(port)
        began = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=self.folder.name,
        )
        self.sign = Signer(endpoint, access, secret, 4, "POST", VERSION, "us-east-1")
        self.client = Client(endpoint)
        raw = self.sign("DescribeRegions")
        while True:
            try:
                self.client.close()
                self.client.ok(raw)
                return time.perf_counter() - began
            except BadResponse:
                time.sleep(0.005)
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - began > 60:
                    raise SystemExit(f"{self.name} did not start") from None
                time.sleep(0.005)

    def _nova_api(self, port: int) -> tuple:
        """The server as tools/run starts it, with a project whose quotas are raised."""
        home, openstack = Path(self.folder.name), free_port()
        self.servers = ServersDoor(openstack)
        document = json.loads((PROJECT / "tests/conformance/bootstrap.json").read_text())
        (home / "bootstrap.json").write_text(json.dumps(document))
        user = document["users"]["perf"]
        self.servers.user, self.servers.key = "perf", user["access"]
        command = [
            str(PROJECT / ".venv/bin/nova-api"),
            "--state",
            str(home / "state"),
            "--bootstrap",
            str(home / "bootstrap.json"),
            "--ec2-port",
            str(port),
            "--metadata-port",
            "0",
            "--openstack-port",
            str(openstack),
            "--volume-port",
            "0",
        ]
        return (
            command,
            {},
            f"http://127.0.0.1:{port}/services/Cloud/",
            user["access"] + ":perf",
            user["secret"],
        )

    def _moto(self, port: int) -> tuple:
        command = [str(PROJECT / ".bench/moto/bin/moto_server"), "-H", "127.0.0.1", "-p", str(port)]
        return command, {}, f"http://127.0.0.1:{port}/", "test", "test"

    def _ministack(self, port: int) -> tuple:
        command = [str(PROJECT / ".bench/ministack/bin/ministack")]
        environment = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
        return command, environment, f"http://127.0.0.1:{port}/", "test", "test"

    def stop(self) -> None:
        self.client.close()
        if self.servers is not None:
            self.servers.client.close()
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.folder.cleanup()

    def ask(self, action: str, **params: object) -> bytes:
        return self.client.ok(self.sign(action, **params))

    def fill(self, size: int) -> None:
        """Grow to ``size`` instances and wait until they run."""
        if not self.image:
            self.image = IMAGE.findall(self.ask("DescribeImages"))[0].decode()
        while len(self.ids) < size:
            step = min(100, size - len(self.ids))
            body = self.ask("RunInstances", ImageId=self.image, MinCount=step, MaxCount=step, InstanceType="m1.tiny")
            self.ids += [found.decode() for found in INSTANCE.findall(body)]
        until = time.monotonic() + 120
        while b"<name>pending</name>" in self.ask("DescribeInstances"):
            if time.monotonic() > until:
                raise SystemExit(f"{self.name}: instances stay pending")
            time.sleep(0.2)


class Table:
    """Rows as they come, then all of them as JSON."""

    def __init__(self, baseline: str) -> None:
        self.baseline, self.rows = baseline, []

    def add(self, case: str, unit: str, values: dict[str, float], higher_is_better: bool = False) -> None:
        base = values.get(self.baseline)
        print(f"\n{case} [{unit}]")
        for name, value in values.items():
            ratio = None
            if base and value:
                ratio = value / base if higher_is_better else base / value
            self.rows.append({"case": case, "unit": unit, "target": name, "value": round(value, 4), "ratio": ratio})
            print(f"  {name:<10} {value:>12.3f}" + (f"   {ratio:8.2f} x {self.baseline}" if ratio else ""))
        sys.stdout.flush()


def rounds(targets: list[Target], count: int, burst: int, make, door=lambda t: t.client) -> tuple[dict, dict]:
    """Median wall and CPU milliseconds per request; one warm-up round is not counted."""
    wall = {t.name: [] for t in targets}
    cpu = {t.name: [] for t in targets}
    for turn in range(count + 1):
        for target in targets:
            prepared = [make(target) for _ in range(burst)]
            pids = tree(target.process.pid)
            used, began = cpu_seconds(pids), time.perf_counter()
            for raw in prepared:
                door(target).ok(raw)
            took = time.perf_counter() - began
            if turn:
                wall[target.name].append(took / burst * 1e3)
                cpu[target.name].append((cpu_seconds(pids) - used) / burst * 1e3)
    return (
        {name: statistics.median(values) for name, values in wall.items()},
        {name: statistics.mean(values) for name, values in cpu.items()},
    )


def closed_loop(target: Target, raw: bytes, clients: int, seconds: float) -> float:
    """Requests per second of ``clients`` processes, each with one request in flight."""
    gate = multiprocessing.Barrier(clients + 1)
    queue = multiprocessing.SimpleQueue()

    def work() -> None:
        client, done = Client(target.sign_endpoint), 0
        client.ok(raw)
        gate.wait()
        stop = time.perf_counter() + seconds
        while time.perf_counter() < stop:
            client.ok(raw)
            done += 1
        queue.put(done)

    workers = [multiprocessing.Process(target=work, daemon=True) for _ in range(clients)]
    for worker in workers:
        worker.start()
    gate.wait()
    total = sum(queue.get() for _ in workers)
    for worker in workers:
        worker.join()
    return total / seconds


def measure_start(names: list[str], count: int, table: Table) -> None:
    samples: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(count + 1):
        for name in names:
            target = Target(name)
            samples[name].append(target.start())
            target.stop()
    table.add("time to first answer", "s", {n: statistics.median(v[1:]) for n, v in samples.items()})


def measure_lists(targets: list[Target], sizes: list[int], count: int, table: Table) -> None:
    for size in sizes:
        for target in targets:
            target.fill(size)
        wall, cpu = rounds(targets, count, 1 if size > 200 else 5, lambda t: t.sign("DescribeInstances"))
        table.add(f"DescribeInstances({size})", "ms", wall)
        table.add(f"DescribeInstances({size}) server CPU", "ms", cpu)
        wall, cpu = rounds(
            targets, count, 20, lambda t: t.sign("DescribeInstances", InstanceId=[t.ids[len(t.ids) // 2]])
        )
        table.add(f"DescribeInstances(one of {size})", "ms", wall)
        measure_servers([t for t in targets if t.servers], size, count, table)
        table.add(f"RSS with {size} instances", "MiB", {t.name: rss_mib(tree(t.process.pid)) for t in targets})


def measure_servers(targets: list[Target], size: int, count: int, table: Table) -> None:
    """The same instances through the OpenStack door."""
    if not targets:
        return
    for target in targets:
        target.servers.log_in()

    def measured(case: str, burst: int, make) -> None:
        wall, cpu = rounds(targets, count, burst, make, lambda t: t.servers.client)
        table.add(case, "ms", wall)
        table.add(f"{case} server CPU", "ms", cpu)

    for target in targets:
        shown = json.loads(target.servers.client.ok(target.servers.raw("GET", "/servers/detail")))["servers"]
        if len(shown) != min(size, 1000):
            raise SystemExit(f"{target.name} shows {len(shown)} servers of {size}")
    measured(f"servers/detail({size})", 1 if size > 200 else 5, lambda t: t.servers.raw("GET", "/servers/detail"))
    raw = {t.name: t.servers.one() for t in targets}
    measured(f"servers/ID(one of {size})", 20, lambda t: raw[t.name])


def measure_small(targets: list[Target], clients: int, seconds: float, count: int, table: Table) -> None:
    for target in targets:
        target.ask("CreateKeyPair", KeyName="bench")
    for action, params in (
        ("DescribeKeyPairs", {}),
        ("DescribeRegions", {}),
        ("DescribeSecurityGroups", {"GroupName": ["default"]}),
    ):
        rates = {target.name: [] for target in targets}
        for _ in range(count):
            for target in targets:
                target.sign_endpoint = (
                    target.client.base
                    and f"http://{target.client.netloc}{target.client.base}/"
                    or (f"http://{target.client.netloc}/")
                )
                rates[target.name].append(closed_loop(target, target.sign(action, **params), clients, seconds))
        medians = {name: statistics.median(values) for name, values in rates.items()}
        table.add(f"{action}, {clients} clients", "requests/s", medians, higher_is_better=True)


def measure_run(targets: list[Target], count: int, table: Table) -> None:
    for many, burst in ((1, 5), (100, 1)):
        wall, _ = rounds(
            targets,
            count,
            burst,
            lambda t, many=many: t.sign(
                "RunInstances", ImageId=t.image, MinCount=many, MaxCount=many, InstanceType="m1.tiny"
            ),
        )
        table.add(f"RunInstances x{many}", "ms", wall)
    with_servers = [t for t in targets if t.servers]
    if with_servers:
        for target in with_servers:
            target.servers.log_in()
        wall, cpu = rounds(with_servers, count, 5, lambda t: t.servers.create(), lambda t: t.servers.client)
        table.add("POST servers", "ms", wall)
        table.add("POST servers server CPU", "ms", cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1,100,1000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--only", default="moto,ministack,nova_api")
    parser.add_argument("--skip", default="", help="comma list: start, lists, small, run")
    parser.add_argument("--json", metavar="FILE", help="write the rows there as well")
    args = parser.parse_args()
    names, skip = args.only.split(","), set(args.skip.split(","))
    table = Table(names[0])
    if "start" not in skip:
        measure_start(names, args.starts, table)
    targets = [Target(name) for name in names]
    try:
        for target in targets:
            target.start()
        table.add("RSS idle", "MiB", {t.name: rss_mib(tree(t.process.pid)) for t in targets})
        if "lists" not in skip:
            measure_lists(targets, [int(size) for size in args.sizes.split(",")], args.rounds, table)
        for target in targets:
            target.fill(1)
        if "small" not in skip:
            measure_small(targets, args.clients, args.seconds, min(args.rounds, 3), table)
        if "run" not in skip:
            measure_run(targets, args.rounds, table)
    finally:
        for target in targets:
            if target.process is not None:
                target.stop()
    if args.json:
        Path(args.json).write_text(json.dumps(table.rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
