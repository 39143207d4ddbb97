import base64
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from nova_api.config import Config
from nova_api.context import admin_context
from nova_api.errors import InvalidParameterValue
from nova_api.nodes.cert import CertManager

CONTEXT = admin_context()


@pytest.fixture
def cert(tmp_path: Path) -> CertManager:
    return CertManager(Config(state_path=str(tmp_path)))


def authority(cert: CertManager) -> x509.Certificate:
    return x509.load_pem_x509_certificate(cert.fetch_ca(CONTEXT, "acme").encode())


def encrypted(cert: CertManager, text: bytes) -> str:
    key = authority(cert).public_key()
    assert isinstance(key, RSAPublicKey)
    return base64.b64encode(key.encrypt(text, padding.PKCS1v15())).decode()


def test_what_was_encrypted_for_the_cloud_is_read(cert: CertManager) -> None:
    assert cert.decrypt_text(CONTEXT, "acme", encrypted(cert, b"00112233")) == "00112233"


def test_a_users_certificate_is_signed_by_the_authority(cert: CertManager) -> None:
    key, pem = cert.generate_x509_cert(CONTEXT, "alice" * 30, "acme")
    made = x509.load_pem_x509_certificate(pem.encode())
    made.verify_directly_issued_by(authority(cert))
    assert made.public_key() == load_pem_private_key(key.encode(), None).public_key()
    (unit,) = made.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    assert unit.value == "acme"
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_authority_outlives_the_process_and_is_nobody_elses_to_read(cert: CertManager, tmp_path: Path) -> None:
    first = authority(cert)
    assert authority(CertManager(Config(state_path=str(tmp_path)))) == first
    assert stat.S_IMODE((tmp_path / "CA" / "cakey.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "CA").stat().st_mode) == 0o700


def test_two_processes_make_one_authority(tmp_path: Path) -> None:
    one, two = (CertManager(Config(state_path=str(tmp_path))) for _ in range(2))
    one._make()
    two._make()
    assert authority(one) == authority(two)
    assert [path.name for path in tmp_path.iterdir()] == ["CA"]


@pytest.mark.parametrize("text", ["", "!", "AAAA", base64.b64encode(b"\1" * 256).decode()])
def test_what_cannot_be_decrypted(cert: CertManager, text: str) -> None:
    # For a wrong padding the library gives random bytes on purpose; now and then they are a text.
    try:
        assert cert.decrypt_text(CONTEXT, "acme", text) != text
    except InvalidParameterValue as error:
        assert "not encrypted for this cloud" in str(error)
