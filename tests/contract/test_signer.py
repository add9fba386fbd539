"""What every signer must do, tried on each: a key in a secret, and a key in Cloud KMS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.clock import SystemClock
from shared.errors import ConfigurationError, SecretNotFound, StoreUnavailable
from shared.policy.types import PolicyFile
from shared.rotation.machine import FOREVER, Order
from shared.rotation.service import RotationService
from shared.stores.connect import connect_signer
from shared.stores.file_secrets import FileSecrets
from shared.stores.kms_signer import KmsSigner
from shared.stores.secret_signer import SecretSigner
from shared.stores.secrets import Secret
from shared.stores.signers import Signer
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.kms_server import VERSION, KmsServer, kms_server


@pytest.fixture
def secrets(tmp_path: Path) -> FileSecrets:
    (tmp_path / "secrets").mkdir(mode=0o700)
    return FileSecrets(tmp_path / "secrets")


@pytest.fixture
def kms() -> Iterator[KmsServer]:
    with kms_server() as server:
        yield server


def of_kms(server: KmsServer, version: str = VERSION) -> KmsSigner:
    return KmsSigner(version, endpoint=server.url, token=a_token)


def a_token(*, fresh: bool = False) -> Secret:
    return Secret(b"another-token" if fresh else b"a-token")


@pytest.fixture(params=["secret", "kms"])
def signer(request: pytest.FixtureRequest, secrets: FileSecrets, kms: KmsServer) -> Signer:
    if request.param == "kms":
        return of_kms(kms)
    secrets.create("audit-signing-key")
    secrets.add("audit-signing-key", b"s" * 32)
    return SecretSigner(secrets, "audit-signing-key")


def test_what_it_signs_its_public_key_verifies(signer: Signer) -> None:
    signature = signer.sign(b"a statement")
    assert signature.public_key == signer.public_keys()[0]
    Ed25519PublicKey.from_public_bytes(signature.public_key).verify(signature.value, b"a statement")
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(signature.public_key).verify(signature.value, b"another")


def test_a_new_version_signs_and_the_old_one_is_believed(secrets: FileSecrets) -> None:
    secrets.create("audit-signing-key")
    secrets.add("audit-signing-key", b"s" * 32)
    signer = SecretSigner(secrets, "audit-signing-key")
    before = signer.sign(b"x").public_key
    secrets.add("audit-signing-key", b"n" * 32)
    assert signer.sign(b"x").public_key != before
    assert signer.public_keys() == [signer.sign(b"x").public_key, before]
    secrets.disable("audit-signing-key", 1)
    assert before not in signer.public_keys()


def test_a_version_that_the_pointer_does_not_name_yet_signs_nothing(secrets: FileSecrets, tmp_path: Path) -> None:
    documents = SqliteDocuments(tmp_path / "documents.db")
    service = RotationService(secrets, documents, PolicyFile(), SystemClock(), log=lambda *_, **__: None)
    service.run(name="audit-signing-key")
    signer = connect_signer("secret://audit-signing-key", secrets, documents)
    before = signer.sign(b"x").public_key
    secrets.add("audit-signing-key", b"n" * 32)
    assert signer.sign(b"x").public_key == before == signer.public_keys()[0]
    assert len(signer.public_keys()) == 2
    service.run(Order(before=FOREVER), "audit-signing-key")
    assert signer.sign(b"x").public_key != before
    assert before in signer.public_keys()
    documents.close()


def test_without_a_key_nothing_is_signed(secrets: FileSecrets, kms: KmsServer) -> None:
    signers: list[Signer] = [SecretSigner(secrets, "audit-signing-key"), of_kms(kms, VERSION.replace("/1", "/9"))]
    for signer in signers:
        with pytest.raises(SecretNotFound):
            signer.sign(b"x")


@pytest.mark.parametrize(
    "fault",
    ["down", "not JSON", "another algorithm", "damaged key", "damaged signature", "another version", "unverified"],
)
def test_whatever_kms_does_wrong_is_no_signature(kms: KmsServer, fault: str) -> None:
    kms.fault = fault
    with pytest.raises(StoreUnavailable):
        of_kms(kms).sign(b"x")


def test_a_signature_that_arrives_damaged_is_asked_for_again(kms: KmsServer) -> None:
    kms.fault, kms.faults_left = "damaged signature", 1
    signature = of_kms(kms).sign(b"x")
    Ed25519PublicKey.from_public_bytes(signature.public_key).verify(signature.value, b"x")
    assert kms.signed == [b"x", b"x"]
    assert set(kms.tokens) == {"Bearer a-token"}


def test_a_token_that_has_expired_is_renewed_once(kms: KmsServer) -> None:
    kms.refused_token = "Bearer a-token"
    assert of_kms(kms).sign(b"x").value
    assert set(kms.tokens) == {"Bearer a-token", "Bearer another-token"}
    kms.refused_token = "Bearer another-token"
    with pytest.raises(StoreUnavailable):
        KmsSigner(VERSION, endpoint=kms.url, token=lambda fresh=False: a_token(fresh=True)).sign(b"x")


def test_a_kms_that_cannot_be_reached_is_unavailable() -> None:
    signer = KmsSigner(VERSION, endpoint="http://127.0.0.1:9", token=a_token)
    with pytest.raises(StoreUnavailable):
        signer.sign(b"x")


@pytest.mark.parametrize(
    "uri", ["", "secret://", "secret://a/b", "kms://", f"kms://{VERSION}/x", "kms://projects/p", "file:///key"]
)
def test_a_malformed_address_is_refused(secrets: FileSecrets, uri: str) -> None:
    with pytest.raises(ConfigurationError):
        connect_signer(uri, secrets)


def test_addresses_name_their_adapters(secrets: FileSecrets) -> None:
    assert isinstance(connect_signer("secret://audit-signing-key", secrets), SecretSigner)
    assert isinstance(connect_signer(f"kms://{VERSION}", secrets), KmsSigner)
