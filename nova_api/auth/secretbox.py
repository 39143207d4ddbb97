"""Secrets of access keys, encrypted as they stand in the datastore.

A signature can only be checked with the secret itself, so it cannot be hashed; what can be done is to keep the key that
opens it apart from the datastore (spec ec2.md 9, row 6).
"""

import base64
import os
import secrets
from functools import lru_cache
from pathlib import Path

from nova_api.errors import ConfigError

_PREFIX = "aesgcm:"


class SecretBox:
    """Encrypts and decrypts short texts.

    :param path: the key's file; made with mode 0600 when it is first needed
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._key: bytes | None = None
        # The plain text of what was decrypted lately: in memory only, by cipher text, so a changed row is read anew.
        self.open = lru_cache(maxsize=1024)(self._open)

    def seal(self, text: str) -> str:
        """Encrypt."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(12)
        sealed = AESGCM(self._load()).encrypt(nonce, text.encode(), None)
        return _PREFIX + base64.b64encode(nonce + sealed).decode("ascii")

    def _open(self, sealed: str) -> str:
        """Decrypt.

        :raises ConfigError: it was encrypted with another key
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        raw = base64.b64decode(sealed.removeprefix(_PREFIX))
        try:
            return AESGCM(self._load()).decrypt(raw[:12], raw[12:], None).decode()
        except InvalidTag as error:
            raise ConfigError(f"{self.path} is not the key that the secrets were encrypted with") from error

    def _load(self) -> bytes:
        if self._key is None:
            if not self.path.exists():
                self._make()
            try:
                self._key = base64.b64decode(self.path.read_bytes().strip(), validate=True)
            except (OSError, ValueError) as error:
                raise ConfigError(f"secret key file {self.path} cannot be read: {error}") from error
            if len(self._key) != 32:
                raise ConfigError(f"secret key file {self.path} does not hold a key")
        return self._key

    def _make(self) -> None:
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(base64.b64encode(secrets.token_bytes(32)) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            try:
                os.link(draft, self.path)  # the first of several processes wins, the others read its key
            except FileExistsError:
                pass
            os.unlink(draft)
        except OSError as error:
            raise ConfigError(f"secret key file {self.path} cannot be written: {error.strerror}") from error
