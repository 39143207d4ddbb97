"""What must never reach a log: the registry that the access log and the debug log consult."""

from collections.abc import Iterable

#: Parameters (lower case) whose value is a secret, or lets a captured request be replayed.
SECRET_PARAMETERS = frozenset(
    {
        "signature",
        "x-amz-signature",
        "x-amz-credential",
        "x-amz-security-token",
        "securitytoken",
        "userdata",
        "publickeymaterial",
        "password",
        "adminpass",
    }
)
#: Headers (lower case) of the same kind.
SECRET_HEADERS = frozenset({"authorization", "cookie", "x-auth-token", "x-auth-key", "x-amz-security-token"})
#: Parameters of which a short prefix may be shown, to recognise a client.
PREFIX_PARAMETERS = frozenset({"awsaccesskeyid"})
HIDDEN = "***"


def parameter(name: str, value: str) -> str:
    """The value as it may be logged.

    :param name: parameter name, any case; only its first dotted part counts
    :param value: its value
    """
    key = name.split(".", 1)[0].lower()
    if key in SECRET_PARAMETERS:
        return HIDDEN
    if key in PREFIX_PARAMETERS:
        return access_key(value)
    return value


def access_key(value: str) -> str:
    """The first four characters of an access key, enough to recognise it."""
    return value[:4] + HIDDEN if len(value) > 4 else HIDDEN


def parameters(pairs: Iterable[tuple[str, str]]) -> str:
    """``name=value`` texts for a debug log line, control characters escaped."""
    return " ".join(f"{name!r}={parameter(name, value)!r}" for name, value in pairs)


def url(text: str) -> str:
    """A database or broker URL without its password."""
    scheme, mark, rest = text.partition("://")
    if not mark or "@" not in rest:
        return text
    login, _, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    return f"{scheme}://{user}{':' + HIDDEN if colon else ''}@{place}"
