"""What must never reach a log: the registry that the access log, the debug log and every formatter consult."""

import re
from collections.abc import Iterable

#: Parameters and fields of documents (lower case) whose value is a secret, or lets a captured request be replayed.
SECRET_PARAMETERS = frozenset(
    {
        "signature",
        "x-amz-signature",
        "x-amz-credential",
        "x-amz-security-token",
        "securitytoken",
        "userdata",
        "user_data",
        "publickeymaterial",
        "public_key",
        "private_key",
        "privatekey",
        "keymaterial",
        "password",
        "passwd",
        "adminpass",
        "admin_pass",
        "admin_password",
        "new_pass",
        "secret",
        "secret_key",
        "token",
        "auth_token",
        "personality",
        "contents",
    }
)
#: Headers (lower case) of the same kind.
SECRET_HEADERS = frozenset(
    {
        "authorization",
        "cookie",
        "set-cookie",
        "x-auth-token",
        "x-auth-key",
        "x-amz-security-token",
        "x-service-token",
        "x-storage-token",
        "x-subject-token",
    }
)
#: Parameters of which a short prefix may be shown, to recognise a client.
PREFIX_PARAMETERS = frozenset({"awsaccesskeyid"})
HIDDEN = "***"

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.S)
_LOGIN = re.compile(r"(://[^\s/:@]*:)[^\s/]+@")
_NAMES = "|".join(
    re.escape(name) for name in sorted(SECRET_PARAMETERS | SECRET_HEADERS | PREFIX_PARAMETERS, key=len, reverse=True)
)
#: A name of the registry, an equals sign or colon, and a value: bare, quoted, or the rest of a header's line.
_NAMED = re.compile(
    rf"""((?<![A-Za-z0-9])(?:_context_)?(?:{_NAMES})['"]?\s*[:=]\s*)"""
    r"""(?:[bu]?"(?:[^"\\]|\\.)*"|[bu]?'(?:[^'\\]|\\.)*'|\[[^\]]*\]"""
    r"""|(?:AWS4-HMAC-SHA256|Bearer|Basic) [^\n]*|[^\s,;&)}\]]+)""",
    re.I,
)


def parameter(name: str, value: str) -> str:
    """The value as it may be logged.

    :param name: parameter name, any case; each of its dotted parts counts: ``LaunchSpecification.UserData``
    :param value: its value
    """
    parts = name.lower().split(".")
    if parts[0].startswith("x-amz-") or not SECRET_PARAMETERS.isdisjoint(parts):
        return HIDDEN
    return value if PREFIX_PARAMETERS.isdisjoint(parts) else access_key(value)


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


def text(message: str) -> str:
    """A message without the secrets that can be told by their form: what others wrote without asking the registry.

    Private keys, passwords in URLs, and values that follow a name of the registry.
    """
    if "PRIVATE KEY" in message:
        message = _PRIVATE_KEY.sub(HIDDEN, message)
    if "://" in message:
        message = _LOGIN.sub(rf"\1{HIDDEN}@", message)
    if "=" in message or ":" in message:
        message = _NAMED.sub(rf"\1{HIDDEN}", message)
    return message
