"""The door behind Keystone's tokens: ``auth_token`` of the package keystonemiddleware, and what it needs around it.

It is set up from nova-api.conf, so that names, secrets, time-outs and certificates stand in one place for both doors;
whatever stands in its section of the Paste file goes before that.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nova_api import errors, limits, runtime
from nova_api.auth.keystone import identity_root
from nova_api.config import Config
from nova_api.openstack import faults
from nova_api.openstack.auth import NovaKeystoneContext
from nova_api.wsgi import Environ, Middleware, StartResponse, WsgiApplication

log = logging.getLogger(__name__)

#: Where auth_token looks for a cache; its own has no bound, or reads pickles out of memcached.
CACHE = "nova.token_cache"
#: How long a token that Keystone has confirmed is believed; seconds.
CACHE_SECONDS = 60
_WAY_TO_LOG_IN = "WWW-Authenticate"


class TokenCache:
    """What Keystone said of tokens, by their digests: bounded in time and number.

    :param most: entries; the one that was not asked for longest goes first
    :param clock: seconds, monotonic
    """

    def __init__(self, most: int = limits.MAX_CACHED_TOKENS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> bytes | None:
        """What was kept, if its time is not over."""
        with self._lock:
            until, value = self._kept.get(key, (0.0, b""))
            if until <= self._clock():
                self._kept.pop(key, None)
                return None
            self._kept.move_to_end(key)
            return value

    def set(self, key: str, value: bytes, time: float = CACHE_SECONDS) -> None:
        """Keep a value.

        :param time: seconds
        """
        with self._lock:
            self._kept[key] = (self._clock() + time, value)
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


class TokenEdge(Middleware):
    """Around auth_token: its refusals become faults of this door, and the version document needs no login.

    :param application: auth_token, with the pipeline below it
    """

    def __init__(self, application: WsgiApplication, services: runtime.Runtime | None = None) -> None:
        super().__init__(application)
        self.cache = TokenCache()
        self._context = NovaKeystoneContext(application, services)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        anonymous = not (environ.get("HTTP_X_AUTH_TOKEN") or environ.get("HTTP_X_STORAGE_TOKEN"))
        if anonymous and environ.get("REQUEST_METHOD") == "GET" and environ.get("PATH_INFO", "") in ("", "/"):
            return self._context.show_version(environ, start_response)
        environ[CACHE] = self.cache
        begun: list[Any] = []

        def note(*status_and_headers: Any) -> Callable[[bytes], object]:
            begun[:] = status_and_headers
            return lambda _data: None

        try:
            body = self.application(environ, note)
        except errors.ApiError:
            raise
        except Exception:
            if faults.CONTEXT in environ:
                raise
            log.exception("a token could not be checked")
            return faults.answer(environ, start_response, 503, _AWAY)
        status = int(begun[0].split()[0])
        if status < 400 or faults.CONTEXT in environ:
            start_response(*begun)
            return body
        return self._refuse(environ, start_response, status, dict(begun[1]))

    @staticmethod
    def _refuse(
        environ: Environ, start_response: StartResponse, status: int, headers: Mapping[str, str]
    ) -> Iterable[bytes]:
        """What auth_token refuses, in the words of this door."""
        kept = {name: value for name, value in headers.items() if name == _WAY_TO_LOG_IN}
        text = faults.TEXTS[401] if status == 401 else _AWAY
        return faults.answer(environ, start_response, 401 if status == 401 else 503, text, headers=kept)


_AWAY = "Keystone does not answer. Please try your request again."


def auth_token_factory(global_config: Mapping[str, str], **local_config: str) -> Callable[[WsgiApplication], TokenEdge]:
    """Paste filter factory: auth_token, set up by nova-api.conf.

    :param local_config: options of keystonemiddleware, which go before ours
    :raises ConfigError: nobody says who nova_api is to Keystone
    """
    from keystonemiddleware import auth_token

    config = runtime.current().config
    settings = {**auth_token_settings(config), **local_config}
    if not settings.get("username") and settings["auth_type"] == "password":
        raise errors.ConfigError("auth_strategy=keystone: keystone_user is not set, and tokens cannot be checked")

    def wrap(application: WsgiApplication) -> TokenEdge:
        return TokenEdge(auth_token.AuthProtocol(application, settings))

    return wrap


def auth_token_settings(config: Config) -> dict[str, str]:
    """The options of nova-api.conf by the names of keystonemiddleware."""
    root = identity_root(config.keystone_auth_url, config.keystone_ec2_url)
    made = {
        "www_authenticate_uri": root,
        "auth_url": root,
        "auth_type": "password",
        "username": config.keystone_user,
        "password": config.keystone_password,
        "project_name": config.keystone_project,
        "user_domain_id": config.keystone_user_domain,
        "project_domain_id": config.keystone_project_domain,
        "http_connect_timeout": str(max(1, round(config.keystone_timeout))),
        "http_request_max_retries": "0",
        "cache": CACHE,
        "token_cache_time": str(CACHE_SECONDS),
        "include_service_catalog": "false",
        "service_token_roles_required": "true",
    }
    return made | ({"cafile": config.keystone_ca_file} if config.keystone_ca_file else {})
