"""Which address counts as the caller's."""

import pytest

from nova_api.auth.callers import caller, networks

TRUSTED = networks(("127.0.0.1", "10.9.0.0/16"))


@pytest.mark.parametrize(
    ("peer", "header", "found"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "10.0.0.4", "192.0.2.1"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "10.0.0.4", "10.0.0.4"),
        ("127.0.0.1", "10.0.0.4, 10.9.0.1", "10.0.0.4"),
        ("127.0.0.1", "10.0.0.9, 10.0.0.4", "10.0.0.4"),
        ("127.0.0.1", "10.0.0.9, garbage", "garbage"),
        ("127.0.0.1", "10.9.0.1, 10.9.0.2", "10.9.0.1"),
        (None, "10.0.0.4", None),
    ],
)
def test_the_last_hop_that_is_no_proxy(peer: str | None, header: str | None, found: str | None) -> None:
    environ = {} if peer is None else {"REMOTE_ADDR": peer}
    if header is not None:
        environ["HTTP_X_FORWARDED_FOR"] = header
    assert caller(environ, forwarded=True, trusted=TRUSTED) == found
    assert caller(environ, forwarded=False, trusted=TRUSTED) == peer
