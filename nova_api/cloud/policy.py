"""The policy file: who may do what to which object (spec ec2.md 2.10).

Rules are oslo.policy's, which reads the match lists of 2012 as well as the texts of today. The library takes a while to
import, so it is loaded by the first check, or before that by :meth:`Policy.warm`.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nova_api import errors
from nova_api.context import RequestContext

log = logging.getLogger(__name__)

#: How often the file is looked at for changes, seconds.
_LOOK_EVERY = 1.0


class Policy:
    """Checks actions against the policy file; the file is read again when it changes.

    :param path: JSON: rule name -> rule
    :param default_rule: the rule for names that the file does not have
    :raises ConfigError: the file cannot be read
    """

    def __init__(self, path: str, default_rule: str = "default") -> None:
        self.path, self.default_rule = Path(path), default_rule
        self._lock = threading.Lock()
        self._rules: Any = None
        self._looked = 0.0
        _, self._changed = self._read()

    def check(self, context: RequestContext, action: str, target: Mapping[str, Any] | None = None) -> None:
        """Refuse what the policy does not allow.

        :param action: such as ``compute:get_all``
        :param target: what a rule compares the caller with; the caller's own project and user without one
        :raises PolicyNotAuthorized: the rule says no
        """
        if target is None:
            target = {"project_id": context.project_id, "user_id": context.user_id}
        if not self._holds(action, _known(target), _known(_credentials(context))):
            raise errors.PolicyNotAuthorized(action)

    def _holds(self, action: str, target: dict[str, Any], credentials: dict[str, Any]) -> bool:
        """Whether a rule holds; one that cannot be told does not."""
        rules = self._current()
        try:
            return bool(rules[action](target, credentials, _Enforcer(rules)))
        except KeyError:
            return False  # neither the rule is there nor the one for those that are not
        except Exception as error:
            # A check with a broken pattern, a rule that leads to itself, a server of checks that cannot be reached.
            log.error("the policy rule %s cannot be judged: %s: %s", action, type(error).__name__, error)
            return False

    def warm(self) -> None:
        """Load the rules now, so that no request waits for it."""
        self._current()

    def _current(self) -> Any:
        now = time.monotonic()
        if self._rules is None or now - self._looked > _LOOK_EVERY:
            with self._lock:
                self._refresh(now)
        return self._rules

    def _refresh(self, now: float) -> None:
        self._looked = now
        try:
            if self._rules is not None and os.stat(self.path).st_mtime_ns == self._changed:
                return
            text, changed = self._read()
            rules = _parse(text, self.default_rule)
        except (OSError, errors.ConfigError) as error:
            if self._rules is None:
                raise
            log.error("the policy file is broken, the rules stay as they were: %s", error)
            return
        self._rules, self._changed = rules, changed

    def _read(self) -> tuple[str, int]:
        try:
            text = self.path.read_text(encoding="utf-8")
            document = json.loads(text)
            changed = self.path.stat().st_mtime_ns
        except (OSError, ValueError) as error:
            raise errors.ConfigError(f"policy file {self.path}: {error}") from error
        if not isinstance(document, dict):
            raise errors.ConfigError(f"policy file {self.path}: expected an object of rules")
        return text, changed


def require_administrator(context: RequestContext) -> None:
    """Refuse everybody else, whatever the policy file says.

    :raises NotAuthorized: the caller is no administrator
    """
    if not context.is_admin:
        raise errors.NotAuthorized("User does not have admin privileges")


class _Enforcer:
    """What oslo.policy's rules ask of their surroundings: where ``rule:NAME`` is looked up, how ``http:`` asks."""

    __slots__ = ("conf", "rules")

    def __init__(self, rules: Any) -> None:
        self.rules, self.conf = rules, _HTTP_CHECKS


#: As 2012.1 asked, a form with the target and the credentials in JSON; but not for ever.
_HTTP_CHECKS = SimpleNamespace(
    oslo_policy=SimpleNamespace(remote_content_type="application/x-www-form-urlencoded", remote_timeout=10.0)
)


def _parse(text: str, default_rule: str) -> Any:
    from oslo_policy.policy import Rules

    try:
        return Rules.load(text, default_rule)
    except (ValueError, TypeError, KeyError) as error:
        raise errors.ConfigError(f"policy rules: {error}") from error


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not known: nobody's project is not the project of nobody."""
    return {name: value for name, value in values.items() if value is not None}


def _credentials(context: RequestContext) -> dict[str, Any]:
    """What 2012.1 showed of a caller (spec openstack-extensions.md 13), but the token: servers of checks need none."""
    return {
        "user_id": context.user_id,
        "project_id": context.project_id,
        "is_admin": context.is_admin,
        "roles": context.roles,
        "remote_address": context.remote_address,
        "request_id": context.request_id,
        "read_deleted": context.read_deleted,
        "timestamp": context.timestamp.strftime("%Y-%m-%dT%H:%M:%S.%f"),
    }
