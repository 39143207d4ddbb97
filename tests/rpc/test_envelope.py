import json
import logging
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_api import errors
from nova_api.context import RequestContext
from nova_api.db.engine import OutcomeUnknown
from nova_api.rpc import envelope
from nova_api.rpc.envelope import MalformedMessage, RemoteError, Replies, RpcTimeout
from nova_api.rpc.transport import NoConsumer, TransportError

CONTEXT = RequestContext(
    user_id="alice",
    project_id="acme",
    roles=("sysadmin", "netadmin"),
    remote_address="192.0.2.1",
    request_id="req-1",
    timestamp=datetime(2012, 4, 5, 10, 11, 12, 123456, UTC),
    auth_token="t0ken",
)

texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def test_the_wire_form_is_that_of_2012() -> None:
    message = envelope.pack(CONTEXT, "reboot_instance", {"instance_uuid": "u", "reboot_type": "HARD"}, "ab" * 16)
    assert json.loads(envelope.encode(message)) == {
        "method": "reboot_instance",
        "args": {"instance_uuid": "u", "reboot_type": "HARD"},
        "_context_user_id": "alice",
        "_context_project_id": "acme",
        "_context_is_admin": False,
        "_context_read_deleted": "no",
        "_context_roles": ["sysadmin", "netadmin"],
        "_context_remote_address": "192.0.2.1",
        "_context_timestamp": "2012-04-05T10:11:12.123456",
        "_context_request_id": "req-1",
        "_context_auth_token": "t0ken",
        "_msg_id": "ab" * 16,
    }


def test_a_cast_has_no_msg_id() -> None:
    assert "_msg_id" not in envelope.pack(CONTEXT, "m", {})


@given(args=st.dictionaries(texts, values, max_size=5), method=st.text(min_size=1, max_size=20))
def test_what_is_packed_is_unpacked(args: dict[str, object], method: str) -> None:
    body = envelope.encode(envelope.pack(CONTEXT, method, args, "0" * 32))
    assert body.isascii()
    assert envelope.unpack(envelope.decode(body)) == envelope.Message(method, args, CONTEXT, "0" * 32)
    assert envelope.decode(body.encode()) == envelope.decode(body)


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (datetime(2012, 4, 5, 10, 11, 12, 123456), "2012-04-05 10:11:12.123456"),
        (
            datetime(2012, 4, 5, 12, 11, 12, 123456, timezone(timedelta(hours=2))),
            "2012-04-05 10:11:12.123456",
        ),
        (date(2012, 4, 5), "2012-04-05"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (OrderedDict(a=(1, 2)), {"a": [1, 2]}),
        ({"only"}, ["only"]),
        ((n for n in (1, 2)), [1, 2]),
        ({"at": datetime(2012, 4, 5, 10, 11, 12, 1)}.values(), ["2012-04-05 10:11:12.000001"]),
    ],
)
def test_values_are_reduced_to_primitives(value: object, wire: object) -> None:
    assert envelope.decode(envelope.encode({"v": value})) == {"v": wire}


@pytest.mark.parametrize("value", [object(), b"bytes", float("nan"), float("inf")])
def test_what_cannot_travel_is_refused_by_the_sender(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        envelope.encode({"v": value})


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        b"\xff",
        "[" * 100_000,
        "{}",
        '{"method": 5}',
        '{"method": ""}',
        '{"method": "m", "args": []}',
        '{"method": "m", "_msg_id": 7}',
        '{"method": "m", "_context_timestamp": "yesterday"}',
        '{"method": "m", "_context_timestamp": 1}',
        '{"method": "m", "_context_roles": 5}',
    ],
)
def test_what_is_no_message_is_malformed(body: str | bytes) -> None:
    with pytest.raises(MalformedMessage):
        envelope.unpack(envelope.decode(body))


def test_args_and_context_may_be_absent() -> None:
    message = envelope.unpack({"method": "m"})
    assert message.args == {}
    assert message.context.user_id is None
    assert not message.context.is_admin


def test_unknown_context_keys_are_dropped_with_a_warning_without_their_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    packed = envelope.pack(CONTEXT, "m", {}) | {"_context_service_catalog": "s3cret"}
    with caplog.at_level(logging.WARNING):
        assert envelope.unpack(packed).context == CONTEXT
    assert "service_catalog" in caplog.text
    assert "s3cret" not in caplog.text


def test_the_last_value_is_the_value_of_a_call() -> None:
    replies = Replies()
    for message in (envelope.reply(1), envelope.reply([2]), envelope.ending()):
        assert not replies.done
        replies.add(message)
    assert replies.done
    assert replies.value() == [2]


def test_a_refusal_travels_as_class_and_text_without_a_traceback() -> None:
    failed = envelope.failure(errors.InstanceNotFound("i-1"))
    assert failed == {
        "result": None,
        "failure": ["InstanceNotFound", str(errors.InstanceNotFound("i-1")), []],
    }


def test_a_failure_is_raised_at_the_caller_with_the_text_of_2012() -> None:
    replies = Replies()
    replies.add({"result": None, "failure": ["NoValidHost", "none fits", ["line"]]})
    assert replies.done
    with pytest.raises(RemoteError) as caught:
        replies.value()
    assert caught.value.exc_type == "NoValidHost"
    assert str(caught.value) == "Remote error: NoValidHost none fits\n['line']."


@pytest.mark.parametrize("kind", [errors.ServiceUnavailable, OutcomeUnknown, NoConsumer, TransportError, RpcTimeout])
def test_what_passes_on_the_other_side_passes_here(kind: type[Exception]) -> None:
    replies = Replies()
    replies.add({"result": None, "failure": [kind.__name__, "not now", []]})
    with pytest.raises(errors.ServiceUnavailable, match="not now"):
        replies.value()


def test_a_defect_travels_with_its_traceback() -> None:
    try:
        raise KeyError("gone")
    except KeyError as error:
        exc_type, text, lines = envelope.failure(error)["failure"]
    assert (exc_type, text) == ("KeyError", "'gone'")
    assert "test_envelope" in "".join(lines)


@pytest.mark.parametrize("failed", [["A", "b", "text"], ["A", "b", None], "odd", ["A"], {"a": 1}])
def test_odd_failures_still_raise(failed: object) -> None:
    replies = Replies()
    replies.add({"failure": failed})
    with pytest.raises(RemoteError):
        replies.value()


def test_a_timeout_says_what_2012_said() -> None:
    assert str(envelope.RpcTimeout()) == "Timeout while waiting on RPC response."
