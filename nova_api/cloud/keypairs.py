"""Key pairs (spec ec2.md 4.2): made here or imported; the private half is given out once and kept nowhere."""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from nova_api import errors, limits
from nova_api.cloud.quota import Quotas
from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.db import keypairs as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.filters import build
from nova_api.db.models import key_pairs

#: Characters of a new pair's name.
NAME = re.compile(r"[a-zA-Z0-9_\- ]+\Z")
_BITS = 2048
#: The types of public keys that are taken, as the first word of an OpenSSH line.
_TYPES = frozenset(
    {
        "ssh-rsa",
        "ssh-dss",
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)


class KeyPairs:
    """Key pairs as a service."""

    def __init__(self, db: Database, quotas: Quotas, config: Config) -> None:
        self.db, self.quotas, self.config = db, quotas, config

    def list(
        self,
        context: RequestContext,
        names: Sequence[str] | None = None,
        *,
        filters: Sequence[tuple[str, Sequence[str]]] = (),
        all_known: bool = False,
    ) -> Sequence[Row[Any]]:
        """Key pairs of the caller by name; those of VPNs are for administrators.

        :param names: only these
        :param all_known: refuse names that do not exist
        :raises KeypairNotFound: one of ``names`` does not exist, with ``all_known``
        """
        where = build(queries.FILTERS, filters)
        if names:
            where.append(key_pairs.c.name.in_(list(names)))
        with self.db.read() as conn:
            found = queries.of_user(conn, context.user_id, *where)
        if not context.is_admin:
            found = [row for row in found if not row.name.endswith(self.config.vpn_key_suffix)]
        if names and all_known and not filters:
            known = {row.name for row in found}
            for name in names:
                if name not in known:
                    raise errors.KeypairNotFound(name, context.user_id)
        return found

    def get(self, conn: Connection, context: RequestContext, name: str) -> Row[Any]:
        """One key pair of the caller.

        :raises KeypairNotFound: there is none
        """
        row = queries.one(conn, context.user_id, name)
        if row is None:
            raise errors.KeypairNotFound(name, context.user_id)
        return row

    def create(self, context: RequestContext, name: str) -> tuple[int, str, str]:
        """A new RSA pair.

        :returns: row number, fingerprint, private key in PEM
        :raises InvalidKeyName: characters or length of the name
        :raises KeyPairExists: the name is taken
        :raises KeyPairLimitExceeded: quota
        """
        if not NAME.match(name):
            raise errors.InvalidKeyName(
                f"Value ({name}) for KeyName is invalid. Content limited to Alphanumeric character, "
                "spaces, dashes, and underscore."
            )
        if len(name) > limits.MAX_NAME:
            raise errors.InvalidKeyName(
                f"Value ({name}) for Keyname is invalid. Length exceeds maximum of {limits.MAX_NAME}."
            )
        with self.db.read() as conn:
            if queries.one(conn, context.user_id, name) is not None:
                raise errors.KeyPairExists(name)  # before the work of making a key
        public, private = _new_pair()
        print_ = fingerprint(public)
        # A line to its end, as ssh-keygen writes it: clients append it to files.
        number = self._store(context, name, f"{public} {context.user_id}@{name}\n", print_)
        return number, print_, private

    def import_public(self, context: RequestContext, name: str, line: str) -> tuple[int, str]:
        """Take over a public key.

        :param line: OpenSSH form, as it is kept
        :returns: row number and fingerprint
        :raises InvalidKeyFormat: it is no public key
        :raises KeyPairExists: the name is taken
        """
        if not name or len(name) > limits.MAX_NAME:
            raise errors.InvalidKeyName(f"Value ({name}) for KeyName is invalid. Length exceeds maximum of 255.")
        print_ = fingerprint(line)
        return self._store(context, name, line, print_), print_

    def _store(self, context: RequestContext, name: str, public: str, print_: str) -> int:
        values = {"user_id": context.user_id, "name": name, "fingerprint": print_, "public_key": public}

        def work(tx: Transaction) -> int:
            left = self.quotas.key_pairs_left(tx, context.project_id or "", context.user_id or "")
            if queries.one(tx.conn, context.user_id, name) is not None:
                raise errors.KeyPairExists(name)
            if left < 1:
                raise errors.KeyPairLimitExceeded
            return queries.insert(tx, values)

        try:
            return self.db.write(work)
        except IntegrityError as error:
            raise errors.KeyPairExists(name) from error

    def show(self, context: RequestContext, name: str) -> Row[Any]:
        """One key pair of the caller.

        :raises KeypairNotFound: there is none
        """
        with self.db.read() as conn:
            return self.get(conn, context, name)

    def delete(self, context: RequestContext, name: str) -> bool:
        """End a pair; for EC2 one that does not exist is ended already.

        :returns: whether it was there
        """
        return self.db.write(lambda tx: queries.delete(tx, context.user_id, name))


def decode_material(text: str) -> str:
    """The OpenSSH line in base64, as ImportKeyPair gets it.

    :raises InvalidKeyFormat: no base64 of a text
    """
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
        if len(raw) > limits.MAX_PUBLIC_KEY:
            raise errors.InvalidKeyFormat("Key is longer than a public key.")
        return raw.decode("utf-8")
    except (ValueError, binascii.Error):
        raise errors.InvalidKeyFormat("Key is not in valid OpenSSH public key format") from None


def fingerprint(line: str) -> str:
    """MD5 of the key's blob, 16 pairs of digits with colons, as 2012.1 and AWS show it.

    :param line: OpenSSH public key
    :raises InvalidKeyFormat: it is none
    """
    words = line.split(None, 2)
    try:
        blob = base64.b64decode(words[1], validate=True) if len(words) > 1 and words[0] in _TYPES else b""
    except (ValueError, binascii.Error):
        blob = b""
    # The blob begins with the length and text of its type.
    kind = words[0].encode() if words else b""
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind) or len(blob) < len(kind) + 36:
        raise errors.InvalidKeyFormat("Key is not in valid OpenSSH public key format")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, 32, 2))


def _new_pair() -> tuple[str, str]:
    """Public key as OpenSSH line without comment, private key as PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode("ascii"), private.decode("ascii")
