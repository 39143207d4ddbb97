"""The cert node: the cloud's certificate authority (spec ec2.md 6.2, RegisterImage's ``decrypt_text``).

The authority is made on first use in ``STATE/CA``: a key and a self-signed certificate. ``cryptography`` is
imported when it is needed: it is slow to load, and most clouds never ask.
"""

import base64
import binascii
import os
import secrets
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.errors import InvalidParameterValue

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ROOT_DAYS = 3650
USER_DAYS = 365


class CertManager:
    """Answers ``cert``.

    :param config: ``state_path``
    """

    methods: ClassVar[tuple[str, ...]] = ("decrypt_text", "fetch_ca", "generate_x509_cert")
    binary: ClassVar[str] = "nova-cert"

    def __init__(self, config: Config) -> None:
        self.folder = Path(config.in_state("CA"))
        self._lock = threading.Lock()

    def start(self) -> None:
        """Nothing: the authority is made when somebody asks for it."""

    def decrypt_text(self, context: RequestContext, project_id: str, text: str) -> str:
        """Decrypt what was encrypted for the cloud, PKCS #1 v1.5 as image bundling tools do it.

        :param text: base64
        :raises InvalidParameterValue: it is not base64, or was encrypted for another cloud
        """
        from cryptography.hazmat.primitives.asymmetric import padding

        key, _ = self._authority()
        try:
            return key.decrypt(base64.b64decode(text, validate=True), padding.PKCS1v15()).decode()
        except (ValueError, binascii.Error) as error:
            raise InvalidParameterValue("The text was not encrypted for this cloud.") from error

    def fetch_ca(self, context: RequestContext, project_id: str | None = None) -> str:
        """The authority's certificate, PEM; the same for every project."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self._authority()[1].public_bytes(Encoding.PEM).decode()

    def generate_x509_cert(self, context: RequestContext, user_id: str, project_id: str) -> tuple[str, str]:
        """A new key and a certificate of it for a user of a project.

        :returns: key, and certificate after a description; PEM
        """
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.hazmat.primitives.serialization import Encoding

        authority_key, authority = self._authority()
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        certificate = _certificate(
            _name(f"{project_id}-{user_id}", project_id), authority.subject, key, authority_key, USER_DAYS
        )
        return _pem(key).decode(), described(certificate) + certificate.public_bytes(Encoding.PEM).decode()

    def _authority(self) -> "tuple[RSAPrivateKey, x509.Certificate]":
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        with self._lock:
            if not self.folder.is_dir():
                self._make()
            key = load_pem_private_key((self.folder / "cakey.pem").read_bytes(), password=None)
            if not isinstance(key, RSAPrivateKey):
                raise TypeError(f"{self.folder / 'cakey.pem'} is no RSA key")
            return key, x509.load_pem_x509_certificate((self.folder / "cacert.pem").read_bytes())

    def _make(self) -> None:
        """Make the authority under another name and rename it: nobody sees half of it."""
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.hazmat.primitives.serialization import Encoding

        draft = self.folder.with_name(f"CA.{os.getpid()}.{secrets.token_hex(4)}")
        draft.mkdir(mode=0o700, parents=True)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = _name("nova root CA")
        certificate = _certificate(name, name, key, key, ROOT_DAYS, authority=True)
        (draft / "cakey.pem").touch(mode=0o600)
        (draft / "cakey.pem").write_bytes(_pem(key))
        (draft / "cacert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        try:
            draft.rename(self.folder)
        except OSError:
            shutil.rmtree(draft)
            if not self.folder.is_dir():
                raise


def described(certificate: "x509.Certificate") -> str:
    """What a certificate says, for people; tools that read PEM skip it."""
    key = certificate.public_key()
    form = "%b %d %H:%M:%S %Y GMT"
    lines = (
        "Certificate:",
        "    Data:",
        f"        Version: {certificate.version.value + 1} ({certificate.version.value:#x})",
        f"        Serial Number: {certificate.serial_number:#x}",
        f"        Issuer: {certificate.issuer.rfc4514_string()}",
        "        Validity",
        f"            Not Before: {certificate.not_valid_before_utc.strftime(form)}",
        f"            Not After : {certificate.not_valid_after_utc.strftime(form)}",
        f"        Subject: {certificate.subject.rfc4514_string()}",
        f"        Public Key: RSA, {getattr(key, 'key_size', 0)} bit",
    )
    return "\n".join(lines) + "\n"


def _name(common: str, project_id: str | None = None) -> "x509.Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    # X.509 bounds both texts to 64 characters.
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common[:64])]
    if project_id:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, project_id[:64]))
    return x509.Name(parts)


def _certificate(
    subject: "x509.Name",
    issuer: "x509.Name",
    key: "RSAPrivateKey",
    signer: "RSAPrivateKey",
    days: int,
    *,
    authority: bool = False,
) -> "x509.Certificate":
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(signer, SHA256())
    )


def _pem(key: "RSAPrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
