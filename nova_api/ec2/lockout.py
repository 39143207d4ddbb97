"""Refuse an access key that keeps failing to authenticate."""

import hashlib
import logging
from collections.abc import Iterable
from typing import Any

from nova_api import errors, redact, runtime, tally
from nova_api.auth.counters import Counters, LocalCounters, MemcachedCounters
from nova_api.config import Config
from nova_api.ec2 import answers
from nova_api.ec2.incoming import Incoming, dialect_hint, incoming
from nova_api.ec2.layer import AUTH_FAILED, CONTEXT, request_id_of
from nova_api.wsgi import Environ, Middleware, StartResponse, WsgiApplication

log = logging.getLogger(__name__)


class Lockout(Middleware):
    """Lockout for ``lockout_minutes`` on ``lockout_attempts`` failed auths within ``lockout_window`` minutes.

    Uses memcached if ``lockout_memcached_servers`` is set, otherwise counters of this process. The window starts with
    the first failure. What is counted is a failed authentication, of whatever strategy, or a 403 from an application
    that knows nothing of this; a request that is refused for its form is not (spec ec2.md 2.4).

    Requests that fail at the same moment may slip in before the lock is set; that was accepted in 2012 and is now.

    :param application: the pipeline below
    :param counters: by default as the configuration says
    """

    def __init__(
        self, application: WsgiApplication, counters: Counters | None = None, config: Config | None = None
    ) -> None:
        super().__init__(application)
        config = config or runtime.current().config
        self.attempts = config.lockout_attempts
        self.window = config.lockout_window * 60
        self.lock_time = config.lockout_minutes * 60
        # Whoever reads a request first settles its dialect for all layers below.
        self.essex_only = config.ec2_dialect == "essex"
        self.counters = counters or _counters(config)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            access_key = claimed_access_key(incoming(environ, essex_only=self.essex_only))
        except errors.ApiError as error:
            return answers.refuse(start_response, error, dialect_hint(environ), request_id_of(environ))
        if not access_key:
            return self.application(environ, start_response)
        key = _counter_key(access_key)
        if self.counters.count(key) >= self.attempts:
            tally.count("lockout_refusals")
            return answers.refuse(start_response, errors.LockedOut(), dialect_hint(environ), request_id_of(environ))
        noted = [""]

        def note(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            noted[0] = status[:3]
            return start_response(status, headers, *more)

        answer = self.application(environ, note)
        if environ.get(AUTH_FAILED) or (noted[0] == "403" and CONTEXT not in environ):
            self._count(key, access_key)
        return answer

    def _count(self, key: str, access_key: str) -> None:
        if self.counters.add(key, self.window) >= self.attempts:
            self.counters.hold(key, self.attempts, self.lock_time)
            tally.count("lockouts")
            log.warning(
                "access key %s has had %d failed authentications and is locked out for %d minutes",
                redact.access_key(access_key),
                self.attempts,
                self.lock_time // 60,
            )


def claimed_access_key(asked: Incoming) -> str | None:
    """The access key that a request names, in whichever form, without its project.

    ``key:a`` and ``key:b`` share one counter: in 2012.1 another suffix evaded the lock.
    """
    found = asked.first("AWSAccessKeyId")
    if found is None:
        credential = asked.first("X-Amz-Credential")
        if credential is None:
            _, mark, rest = asked.signed.headers.get("authorization", "").partition("Credential=")
            credential = rest.partition(",")[0].strip() if mark else None
        found = credential.rsplit("/", 4)[0] if credential else None
    return found.partition(":")[0] if found else None


def _counter_key(access_key: str) -> str:
    # memcached forbids blanks and long keys, and the client chose this one.
    return "authfailures-" + hashlib.sha256(access_key.encode()).hexdigest()


def _counters(config: Config) -> Counters:
    if config.lockout_memcached_servers:
        return MemcachedCounters(config.lockout_memcached_servers)
    return LocalCounters()
