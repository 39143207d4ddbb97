"""Tokens of the OpenStack door: random, kept as digests, good for two days (spec openstack-core.md 3.1, 11.1 row 9)."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy.engine import Row

from nova_api import limits
from nova_api.db import identity as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.models import auth_tokens, now

LIFETIME = timedelta(days=2)


class Tokens:
    """Tokens as a service; what ``AuthMiddleware`` calls its ``db_driver``."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def issue(self, user_id: str, project_id: str, management_url: str) -> str:
        """A new token.

        :param project_id: the project it was asked for; when the user leaves it, the token ends
        :returns: 40 hexadecimal digits, which are kept nowhere
        """
        token = secrets.token_hex(20)
        row = {
            "token_hash": digest(token),
            "user_id": user_id,
            "project_id": project_id,
            "server_management_url": management_url,
        }

        def work(tx: Transaction) -> None:
            queries.drop_tokens_before(tx, now() - LIFETIME)
            queries.put(tx, auth_tokens, row)

        self.db.write(work)
        return token

    def lookup(self, token: str) -> Row[Any] | None:
        """The living token's row with ``is_admin`` of its user; one that is too old is removed.

        :returns: None when nobody has it
        """
        if not 0 < len(token) <= limits.MAX_TOKEN:
            return None
        key = digest(token)
        with self.db.read() as conn:
            row = queries.token(conn, key)
        if row is not None and now() - row.created_at >= LIFETIME:
            self.db.write(lambda tx: queries.remove(tx, auth_tokens, token_hash=key))
            return None
        return row

    def revoke(self, token: str) -> None:
        """End a token."""
        self.db.write(lambda tx: queries.remove(tx, auth_tokens, token_hash=digest(token)))


def digest(token: str) -> str:
    """What the datastore knows of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
