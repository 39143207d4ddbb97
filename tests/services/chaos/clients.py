"""Who works with the cloud while it is tormented, and what was promised to them.

Each worker owns what it makes and does one thing at a time. A promise is the set of states that its thing may be found
in afterwards: one state after an answer that was read, several after one that was lost on the way.
"""

import base64
import hashlib
import hmac
import http.client
import json
import random
import re
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from nova_api.db.engine import OutcomeUnknown
from tests.services.chaos.members import Cloud

IMAGE = "ami-00000003"
_UNKNOWN = str(OutcomeUnknown())
REQUEST_SECONDS = 90.0
READY_SECONDS = 2.0
GONE = "gone"


class Fate(Enum):
    """What became of a request."""

    DONE = "2xx"
    REFUSED = "4xx"
    UNAVAILABLE = "503"
    UNKNOWN = "no answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """:ivar text: body of the answer, empty when there was none."""

    fate: Fate
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Promise:
    """What may be found of a thing.

    :ivar name: unlike that of any other thing
    :ivar touched: when it was last asked to change, on the monotonic clock
    :ivar states: those allowed, :data:`GONE` among them when it need not be there
    """

    kind: str
    name: str
    project: str
    states: set[str]
    id: str | None = None
    touched: float = field(default_factory=time.monotonic)

    def note(self, answer: Answer, state: str) -> None:
        """Enter the outcome of something that brings the thing into a state."""
        self.touched = time.monotonic()
        if answer.fate is Fate.UNKNOWN:
            self.states.add(state)
        elif answer.fate is Fate.DONE:
            self.states = {state}

    @property
    def is_there(self) -> bool:
        return self.id is not None and GONE not in self.states


@dataclass
class Ledger:
    """All promises, and all that should never be seen."""

    promises: list[Promise] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, answer: Answer) -> None:
        with self.lock:
            self.counts[answer.fate.value] += 1
            self.counts[f"{what}: {answer.fate.value}"] += 1


class Worker(threading.Thread):
    """One client of both doors.

    :param user: of cloud.json; ``project`` is where it works
    :param steps: how many things it does
    """

    def __init__(
        self, cloud: Cloud, ledger: Ledger, number: int, user: str, project: str, steps: int, seed: int
    ) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self.cloud, self.ledger, self.number = cloud, ledger, number
        self.user, self.project, self.steps = user, project, steps
        self.chance = random.Random(f"{seed}-{number}")
        self.made = 0
        self.token = ""
        self.mine: list[Promise] = []

    def run(self) -> None:
        try:
            self.login()
            for _ in range(self.steps):
                self.step()
                time.sleep(self.chance.uniform(0.0, 0.4))
        except Exception as error:
            self.ledger.wrong.append(f"{self.name} died: {error!r}")
            raise

    # -- requests

    def login(self) -> None:
        key = self.cloud.who[self.user]["access"]
        until = time.monotonic() + 120
        while not self.token:
            given = {"X-Auth-User": self.user, "X-Auth-Key": key, "X-Auth-Project-Id": self.project}
            self.token = self.send("openstack", "GET", "/v1.1/", given).headers.get("x-auth-token", "")
            assert self.token or time.monotonic() < until, "no login"

    def send(self, door: str, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """One request to any of the API processes; one that refuses the connection has not got it."""
        for ports in self.chance.sample(list(self.cloud.ports), len(self.cloud.ports)):
            connection = http.client.HTTPConnection("127.0.0.1", ports[door], timeout=REQUEST_SECONDS)
            try:
                connection.connect()
            except OSError:
                continue
            try:
                connection.request(method, path, body, dict(headers))
                return self._judged(method, path, connection.getresponse())
            except TimeoutError:
                self.ledger.wrong.append(f"{method} {path.partition('?')[0]}: no answer in {REQUEST_SECONDS} s")
                return Answer(Fate.UNKNOWN)
            except (OSError, http.client.HTTPException):
                return Answer(Fate.UNKNOWN)
            finally:
                connection.close()
        time.sleep(0.2)
        return Answer(Fate.UNAVAILABLE)

    def _judged(self, method: str, path: str, response: http.client.HTTPResponse) -> Answer:
        text = response.read().decode(errors="replace")
        headers = {name.lower(): value for name, value in response.getheaders()}
        if response.status < 300:
            return Answer(Fate.DONE, text, headers)
        if response.status == 503:
            # An answer may say that it does not know: the database was lost while it committed.
            return Answer(Fate.UNKNOWN if _UNKNOWN in text else Fate.UNAVAILABLE, text, headers)
        if response.status >= 500:
            self.ledger.wrong.append(f"{method} {path.partition('?')[0]}: {response.status} {text[:300]}")
            return Answer(Fate.UNKNOWN, text, headers)
        return Answer(Fate.REFUSED, text, headers)

    def openstack(self, method: str, path: str, document: Any = None) -> Answer:
        headers = {"X-Auth-Token": self.token, "Content-Type": "application/json"}
        body = None if document is None else json.dumps(document).encode()
        return self.send("openstack", method, f"/v1.1/{self.project}{path}", headers, body)

    def ec2(self, action: str, **params: str) -> Answer:
        who = self.cloud.who[self.user]
        every = {
            **{name.replace("_", "."): value for name, value in params.items()},
            "Action": action,
            "AWSAccessKeyId": f"{who['access']}:{self.project}",
            "SignatureMethod": "HmacSHA256",
            "SignatureVersion": "2",
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Version": "2016-11-15",
        }
        query = "&".join(f"{_quote(name)}={_quote(value)}" for name, value in sorted(every.items()))
        text = f"GET\n127.0.0.1\n/services/Cloud/\n{query}"
        digest = hmac.new(who["secret"].encode(), text.encode(), hashlib.sha256).digest()
        path = f"/services/Cloud/?{query}&Signature={_quote(base64.b64encode(digest).decode())}"
        return self.send("ec2", "GET", path, {"Host": "127.0.0.1"})

    # -- what it does

    def step(self) -> None:
        deeds: list[tuple[float, Callable[[], None]]] = [
            (3, self.boot),
            (4, self.change_power),
            (1.5, self.end_server),
            (2, self.make_volume),
            (4, self.attach),
            (2, self.detach),
            (0.7, self.end_volume),
            (1, self.take_address),
            (0.7, self.give_address_back),
            (0.5, self.make_key),
            (0.5, self.make_group),
            (1, self.look),
        ]
        weights = [weight for weight, _ in deeds]
        self.chance.choices([deed for _, deed in deeds], weights)[0]()

    def promise(self, kind: str, answer: Answer, state: str, id_pattern: str) -> Promise:
        """Enter a thing that was asked for."""
        name = self.name_of(kind)
        states = {Fate.DONE: {state}, Fate.UNKNOWN: {state, GONE}}.get(answer.fate, {GONE})
        found = re.search(id_pattern, answer.text) if answer.fate is Fate.DONE else None
        promise = Promise(kind, name, self.project, states, found[found.lastindex or 1] if found else None)
        self.mine.append(promise)
        with self.ledger.lock:
            self.ledger.promises.append(promise)
        self.ledger.count(f"make {kind}", answer)
        return promise

    def name_of(self, kind: str) -> str:
        """The name of the thing that is being made."""
        return f"{kind}-{self.number}-{self.made}"

    def choose(self, kind: str, *states: str) -> Promise | None:
        """One of its things that is known to be there; mostly one that has had time to become what it is to be."""
        found = [one for one in self.mine if one.kind == kind and one.is_there]
        found = [one for one in found if not states or one.states & set(states)]
        ready = [one for one in found if one.touched < time.monotonic() - READY_SECONDS]
        if ready and self.chance.random() < 0.8:
            found = ready
        return self.chance.choice(found) if found else None

    def boot(self) -> None:
        self.made += 1
        name = self.name_of("server")
        if self.chance.random() < 0.5:
            image = self.cloud.images["oracle-raw"]
            answer = self.openstack("POST", "/servers", {"server": {"name": name, "imageRef": image, "flavorRef": "1"}})
        else:
            given = {"ImageId": IMAGE, "InstanceType": "m1.tiny", "MinCount": "1", "MaxCount": "1"}
            answer = self.ec2("RunInstances", ClientToken=name, **given)
        self.promise("server", answer, "active", r'"id": "([0-9a-f-]{36})"|<instanceId>(i-[0-9a-f]+)<')

    def change_power(self) -> None:
        server = self.choose("server")
        if server is None:
            return
        deed, state = self.chance.choice((("stop", "stopped"), ("start", "active"), ("reboot", "active")))
        if deed == "reboot" and server.states != {"active"}:
            return
        if self.by_ec2(server):
            answer = self.ec2(f"{deed.title()}Instances", InstanceId_1=server.id or "")
        else:
            body: dict[str, Any] = {"reboot": {"type": "HARD"}} if deed == "reboot" else {f"os-{deed}": None}
            answer = self.openstack("POST", f"/servers/{_path_id(server)}/action", body)
        server.note(answer, state)
        self.ledger.count(deed, answer)

    def by_ec2(self, server: Promise) -> bool:
        """Whether a server is spoken of through EC2's door this time; those made there have an id in both."""
        return str(server.id).startswith("i-") and self.chance.random() < 0.5

    def end_server(self) -> None:
        server = self.choose("server")
        if server is None:
            return
        if self.by_ec2(server):
            answer = self.ec2("TerminateInstances", InstanceId_1=server.id or "")
        else:
            answer = self.openstack("DELETE", f"/servers/{_path_id(server)}")
        server.note(answer, GONE)
        self.ledger.count("end server", answer)
        for volume in self.mine:
            if volume.kind == "volume" and f"at {server.name}" in volume.states:
                volume.note(answer, "available")

    def make_volume(self) -> None:
        self.made += 1
        name = self.name_of("volume")
        answer = self.openstack("POST", "/os-volumes", {"volume": {"size": 1, "display_name": name}})
        self.promise("volume", answer, "available", r'"id": (\d+)')

    def attach(self) -> None:
        volume, server = self.choose("volume", "available"), self.choose("server")
        if volume is None or server is None:
            return
        if self.by_ec2(server):
            device = f"/dev/vd{self.chance.choice('bcdefghijklmnop')}"
            given = {"InstanceId": server.id or "", "Device": device}
            answer = self.ec2("AttachVolume", VolumeId=f"vol-{int(volume.id or 0):08x}", **given)
        else:
            body = {"volumeAttachment": {"volumeId": int(volume.id or 0), "device": None}}
            answer = self.openstack("POST", f"/servers/{_path_id(server)}/os-volume_attachments", body)
        volume.note(answer, f"at {server.name}")
        self.ledger.count("attach", answer)

    def detach(self) -> None:
        found = [one for one in self.mine if one.kind == "volume" and any(s.startswith("at ") for s in one.states)]
        if not found:
            return
        volume = self.chance.choice(found)
        answer = self.ec2("DetachVolume", VolumeId=f"vol-{int(volume.id or 0):08x}")
        volume.note(answer, "available")
        self.ledger.count("detach", answer)

    def end_volume(self) -> None:
        volume = self.choose("volume", "available")
        if volume is None:
            return
        answer = self.openstack("DELETE", f"/os-volumes/{volume.id}")
        volume.note(answer, GONE)
        self.ledger.count("end volume", answer)

    def take_address(self) -> None:
        answer = self.openstack("POST", "/os-floating-ips", {})
        promise = self.promise("address", answer, "held", r'"ip": "([0-9.]+)"')
        self.made += 1
        server = self.choose("server", "active")
        if promise.id is not None and server is not None:
            body = {"addFloatingIp": {"address": promise.id}}
            self.ledger.count("associate", self.openstack("POST", f"/servers/{_path_id(server)}/action", body))

    def give_address_back(self) -> None:
        address = self.choose("address")
        if address is None:
            return
        answer = self.ec2("ReleaseAddress", PublicIp=address.id or "")
        address.note(answer, GONE)
        self.ledger.count("end address", answer)

    def make_key(self) -> None:
        self.made += 1
        name = self.name_of("key")
        answer = self.openstack("POST", "/os-keypairs", {"keypair": {"name": name, "public_key": _PUBLIC_KEY}})
        self.promise("key", answer, "there", r'"name": "([^"]+)"')

    def make_group(self) -> None:
        self.made += 1
        name = self.name_of("group")
        answer = self.ec2("CreateSecurityGroup", GroupName=name, GroupDescription="chaos")
        promise = self.promise("group", answer, "there", r"<groupId>([^<]+)<")
        if promise.id is not None:
            answer = self.ec2(
                "AuthorizeSecurityGroupIngress", GroupName=name, IpProtocol="tcp", FromPort="22", ToPort="22"
            )
            self.ledger.count("authorize", answer)

    def look(self) -> None:
        """Read, through either door."""
        if self.chance.random() < 0.5:
            self.ledger.count("list servers", self.openstack("GET", "/servers/detail"))
        else:
            self.ledger.count("DescribeInstances", self.ec2("DescribeInstances"))


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.~")


def _path_id(server: Promise) -> str:
    """What the other door calls a server that EC2 has made: its number."""
    name = server.id or ""
    return str(int(name[2:], 16)) if name.startswith("i-") else name


_PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl chaos"
