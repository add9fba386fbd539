"""What wraps the keys of sealed content must do, tried on each: a secret, and a key that never leaves Cloud KMS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.audit.connect import connect_wrapper
from shared.audit.kms_wrapping import KmsWrapper
from shared.audit.wrapping import ContentUnreadable, KeyWrapper, SecretWrapper, Wrapped
from shared.errors import ConfigurationError, SecretNotFound, StoreUnavailable
from shared.stores.secrets import Secret
from tests.support.audit_events import ContentKeys
from tests.support.kms_server import SYMMETRIC, KmsServer, kms_server

KEY, PURPOSE = b"k" * 32, b"subject/1"


def a_token(*, fresh: bool = False) -> Secret:
    return Secret(b"a-token")


@pytest.fixture
def kms() -> Iterator[KmsServer]:
    with kms_server() as server:
        yield server


def of_kms(server: KmsServer, key: str = SYMMETRIC) -> KmsWrapper:
    return KmsWrapper(key, endpoint=server.url, token=a_token)


@pytest.fixture(params=["secret", "kms"])
def wrapper(request: pytest.FixtureRequest, kms: KmsServer) -> KeyWrapper:
    return of_kms(kms) if request.param == "kms" else SecretWrapper(ContentKeys())


def test_what_was_wrapped_is_unwrapped_for_the_same_purpose_only(wrapper: KeyWrapper) -> None:
    wrapped = wrapper.wrap(KEY, PURPOSE)
    assert KEY not in wrapped.wrapped
    assert wrapper.unwrap(wrapped, PURPOSE) == KEY
    with pytest.raises(ContentUnreadable):
        wrapper.unwrap(wrapped, b"subject/2")


def test_what_was_altered_is_unreadable(wrapper: KeyWrapper) -> None:
    wrapped = wrapper.wrap(KEY, PURPOSE)
    altered = wrapped.wrapped[:-1] + bytes([wrapped.wrapped[-1] ^ 1])
    with pytest.raises(ContentUnreadable):
        wrapper.unwrap(Wrapped(altered, wrapped.version), PURPOSE)


def test_equal_keys_look_different(wrapper: KeyWrapper) -> None:
    assert wrapper.wrap(KEY, PURPOSE).wrapped != wrapper.wrap(KEY, PURPOSE).wrapped


def test_a_new_version_wraps_and_the_old_one_still_unwraps(kms: KmsServer) -> None:
    wrapper = of_kms(kms)
    before = wrapper.wrap(KEY, PURPOSE)
    kms.primary = 2
    after = wrapper.wrap(KEY, PURPOSE)
    assert (before.version, after.version) == (1, 2)
    assert wrapper.unwrap(before, PURPOSE) == wrapper.unwrap(after, PURPOSE) == KEY


@pytest.mark.parametrize("fault", ["down", "not JSON", "damaged ciphertext", "unverified"])
def test_whatever_kms_does_wrong_wraps_nothing(kms: KmsServer, fault: str) -> None:
    kms.fault = fault
    with pytest.raises(StoreUnavailable):
        of_kms(kms).wrap(KEY, PURPOSE)


@pytest.mark.parametrize("fault", ["down", "not JSON", "damaged plaintext"])
def test_whatever_kms_does_wrong_unwraps_nothing(kms: KmsServer, fault: str) -> None:
    wrapped = of_kms(kms).wrap(KEY, PURPOSE)
    kms.fault = fault
    with pytest.raises(StoreUnavailable):
        of_kms(kms).unwrap(wrapped, PURPOSE)


def test_what_arrives_damaged_is_asked_for_again(kms: KmsServer) -> None:
    kms.fault, kms.faults_left = "damaged ciphertext", 1
    wrapped = of_kms(kms).wrap(KEY, PURPOSE)
    kms.fault, kms.faults_left = "damaged plaintext", 1
    assert of_kms(kms).unwrap(wrapped, PURPOSE) == KEY


def test_without_a_key_nothing_is_wrapped(kms: KmsServer) -> None:
    with pytest.raises(SecretNotFound):
        of_kms(kms, f"{SYMMETRIC}-gone").wrap(KEY, PURPOSE)


def test_the_setting_names_one_of_them() -> None:
    assert isinstance(connect_wrapper("secret://content-key", ContentKeys()), SecretWrapper)
    assert isinstance(connect_wrapper(f"kms://{SYMMETRIC}", ContentKeys()), KmsWrapper)
    for wrong in ("secret://another", "kms://", f"kms://{SYMMETRIC}/cryptoKeyVersions/1", "file:///key"):
        with pytest.raises(ConfigurationError, match="give secret://content-key or kms://"):
            connect_wrapper(wrong, ContentKeys())
