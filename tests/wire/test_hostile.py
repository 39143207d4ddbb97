"""What nobody sends by accident: answered with a 4xx in EC2 XML, and the server goes on."""

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.servers import RunningCloud
from tests.wire.conftest import exchange, get, post, read_answer, signed_query

MEMORY_MIB = 200
DESCRIBE = ("Action", "DescribeInstances")


def refusal(answer: bytes) -> str:
    """The code of a well-formed EC2 error with a 4xx status."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4"), head
    document = etree.fromstring(body)
    assert document.tag == "Response"
    assert document.findtext("RequestID", "").startswith("req-")
    return document.findtext("Errors/Error/Code") or ""


def well_formed(answer: bytes) -> etree._Element:
    return etree.fromstring(answer.partition(b"\r\n\r\n")[2])


def alive(cloud: RunningCloud) -> None:
    answer = get(cloud, signed_query(cloud, [("Action", "DescribeRegions")]))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert cloud.process.poll() is None


def resident_mib(cloud: RunningCloud) -> float:
    with open(f"/proc/{cloud.process.pid}/statm") as stream:
        return int(stream.read().split()[1]) * 4096 / 2**20


@pytest.mark.parametrize(
    "params",
    [
        pytest.param([DESCRIBE, ("F" + ".a" * 10_000, "1")], id="dotted 10,000 deep"),
        pytest.param([DESCRIBE, ("InstanceId.999999999", "i-00000001")], id="index out of reach"),
        pytest.param([DESCRIBE, ("InstanceId." + "9" * 5_000, "i-00000001")], id="index of 5,000 digits"),
        pytest.param([DESCRIBE, ("InstanceId.1", b"\xff\xfe")], id="no UTF-8"),
        pytest.param([DESCRIBE, ("InstanceId.1", b"\xed\xa0\x80")], id="lone surrogate"),
        pytest.param([DESCRIBE, ("InstanceId.1", "i-\u0661\u0662")], id="digits that are not ASCII"),
        pytest.param([DESCRIBE, ("InstanceId.1", "i-" + "9" * 5_000)], id="id of 5,000 digits"),
        pytest.param([("Action", "RunInstances"), ("ImageId", "ami-00000003"), ("MinCount", "9" * 5_000)], id="count"),
        pytest.param(
            [("Action", "RunInstances"), ("ImageId", "ami-00000003"), ("MaxCount", "\u0662")], id="Arabic two"
        ),
        pytest.param([("Action", "RunInstances"), ("ImageId", "ami-00000003"), ("MinCount", "1e5")], id="a float"),
        pytest.param([("Action", "CreateVolume"), ("Size", "0x" + "f" * 5_000)], id="hexadecimal of 5,000 digits"),
        pytest.param([("Action", "CreateVolume"), ("Size", "1_0")], id="underscore in a number"),
        pytest.param([("Action", "CreateKeyPair"), ("KeyName", "a\x00b")], id="a zero byte"),
        pytest.param([("Action", "CreateKeyPair"), ("KeyName", "<&\"'>")], id="XML metacharacters"),
        pytest.param([("Action", "CreateKeyPair"), ("KeyName", "x" * 5_000)], id="a long name"),
        pytest.param([("Action", "<script>&amp;")], id="an action of metacharacters"),
        pytest.param([("Action", "__init__")], id="a private name"),
        pytest.param([("Action", "DescribeInstances"), ("Action", "TerminateInstances")], id="a parameter twice"),
        pytest.param(
            [("Action", "DescribeImageAttribute"), ("ImageId", "ami-00000003"), ("Attribute", "]]><x")],
            id="cdata",
        ),
        pytest.param([DESCRIBE, ("InstanceId.1", "i-00000001"), ("InstanceId", "i-2")], id="scalar and list"),
        pytest.param([DESCRIBE, *((f"InstanceId.{n}", "i-00000001") for n in range(1, 1500))], id="1,500 ids"),
    ],
)
def test_refused_in_xml(cloud: RunningCloud, params: list[tuple[str, str | bytes]]) -> None:
    assert refusal(post(cloud, signed_query(cloud, params, "POST").encode()))
    alive(cloud)


def test_many_parameters(cloud: RunningCloud) -> None:
    body = signed_query(cloud, [DESCRIBE], "POST") + "&" + "&".join(f"a{n}=" for n in range(100_000))
    assert refusal(post(cloud, body.encode()))
    alive(cloud)


def test_a_body_of_64_mb_by_length(cloud: RunningCloud) -> None:
    assert refusal(post(cloud, b"a=" + b"x" * 64_000_000))
    alive(cloud)
    assert resident_mib(cloud) < MEMORY_MIB


def test_a_body_of_64_mb_by_chunks(cloud: RunningCloud) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    head = (
        b"POST /services/Cloud/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    assert refusal(exchange(cloud.port("ec2"), head + chunk * 1000 + b"0\r\n\r\n"))
    alive(cloud)
    assert resident_mib(cloud) < MEMORY_MIB


def test_a_chunk_size_line_without_end(cloud: RunningCloud) -> None:
    head = b"POST /services/Cloud/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = exchange(cloud.port("ec2"), head + b"1" * 2_000_000)
    assert answer.startswith(b"HTTP/1.1 4") or answer == b""
    alive(cloud)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /services/Cloud/ HTTP/1.1\r\n\r\n",
        b"GET /services/Cloud/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /services/Cloud/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /services/Cloud/ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /services/Cloud/ HTTP/1.1\r\nHost: a\r\nContent-Length: \xd9\xa1\r\n\r\n",
        b"POST /services/Cloud/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"GET /services/Cloud/ HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        b"GET /services/Cloud/ HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /services/Cloud/ HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET /services/\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
    ids=lambda head: ascii(head[:80]),
)
def test_an_ambiguous_head_is_refused(cloud: RunningCloud, head: bytes) -> None:
    answer = exchange(cloud.port("ec2"), head)
    assert answer.split(b" ", 2)[1][:1] in (b"4", b"5")
    assert b"Traceback" not in answer
    alive(cloud)


@settings(max_examples=150)
@given(body=st.binary(max_size=400))
def test_any_body_is_answered_in_xml(cloud: RunningCloud, body: bytes) -> None:
    assert refusal(post(cloud, body))


@settings(max_examples=150)
@given(name=st.text(min_size=1, max_size=60), value=st.text(max_size=60))
def test_any_signed_parameter_is_answered_in_xml(cloud: RunningCloud, name: str, value: str) -> None:
    try:
        name.encode(), value.encode()
    except UnicodeEncodeError:
        return  # the client's own library cannot send it; bytes of that kind are in the table above
    answer = post(cloud, signed_query(cloud, [("Action", "DescribeKeyPairs"), (name, value)], "POST").encode())
    assert not answer.startswith(b"HTTP/1.1 5"), answer
    well_formed(answer)


def test_requests_in_a_row_on_one_connection(cloud: RunningCloud) -> None:
    query = signed_query(cloud, [("Action", "DescribeRegions")])
    host = f"127.0.0.1:{cloud.port('ec2')}"
    request = f"GET /services/Cloud/?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", cloud.port("ec2")), 30) as sock:
        for _ in range(3):
            sock.sendall(request)
            assert read_answer(sock).startswith(b"HTTP/1.1 200")


def test_a_silent_client_does_not_keep_the_others_waiting(cloud: RunningCloud) -> None:
    idle = [socket.create_connection(("127.0.0.1", cloud.port("ec2"))) for _ in range(50)]
    try:
        for sock in idle[:25]:
            sock.sendall(b"POST /services/Cloud/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        alive(cloud)
    finally:
        for sock in idle:
            sock.close()


def test_secrets_are_not_in_the_log(cloud: RunningCloud) -> None:
    signature = signed_query(cloud, [("Action", "RunInstances"), ("UserData", "c2VjcmV0LXVzZXItZGF0YQ==")])
    get(cloud, signature)
    text = cloud.log_path.read_text(errors="replace")
    assert signature.rpartition("Signature=")[2] not in text
    assert "c2VjcmV0LXVzZXItZGF0YQ" not in text
    assert cloud.cloud["users"]["alice"]["secret"] not in text
