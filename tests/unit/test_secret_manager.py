"""The Secret Manager adapter: checksums, deadlines, states, and what its messages say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.cloud import secretmanager_v1 as api
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

from shared.errors import PreconditionFailed, SecretNotFound, StoreError, StoreUnavailable
from shared.rotation.machine import FOREVER, SCHEDULE, Order
from shared.rotation.rotator import Rotator
from shared.stores import secret_manager
from shared.stores.checksums import crc32c
from shared.stores.secret_manager import SecretManagerSecrets
from shared.stores.secret_reader import SecretReader
from tests.support.rotation import HOUR, NAME, MemoryProvider, assert_settled, is_served, managed
from tests.support.secret_manager_server import Refused, SecretManagerServer, secret_manager_server
from tests.support.stores import PROJECT
from tests.support.virtual_time import SECOND, ManualClock, VirtualDocuments

VALUE = b"a value that must not be told"


@pytest.fixture
def server() -> Iterator[SecretManagerServer]:
    with secret_manager_server() as running:
        yield running


@pytest.fixture
def store(server: SecretManagerServer) -> Iterator[SecretManagerSecrets]:
    with server.transport() as transport:
        secrets = SecretManagerSecrets(PROJECT, transport)
        secrets.create("pepper")
        secrets.add("pepper", VALUE)
        server.calls.clear()
        yield secrets


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_crc32c_against_the_vectors_of_rfc_3720(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


def test_a_value_damaged_on_its_way_here_is_not_returned(
    server: SecretManagerServer, store: SecretManagerSecrets
) -> None:
    def damage(method: str, answer: Any) -> None:
        answer.payload.data = b"another value"

    server.after = damage
    with pytest.raises(StoreUnavailable, match="checksum is wrong"):
        store.access("pepper", 1)


def test_a_value_damaged_on_its_way_there_is_not_stored(
    server: SecretManagerServer, store: SecretManagerSecrets
) -> None:
    def damage(method: str, request: Any) -> None:
        if method == "add_secret_version":
            request.payload.data = b"another value"

    server.before = damage
    with pytest.raises(StoreUnavailable, match="INVALID_ARGUMENT"):
        store.add("pepper", VALUE)
    assert [version.number for version in store.versions("pepper")] == [1]


def test_an_add_whose_checksum_was_not_looked_at_is_told(
    server: SecretManagerServer, store: SecretManagerSecrets
) -> None:
    def forget(method: str, answer: Any) -> None:
        answer.client_specified_payload_checksum = False

    server.after = forget
    with pytest.raises(StoreUnavailable, match="without a look at its checksum"):
        store.add("pepper", VALUE)


def test_reads_are_retried_and_changes_are_not(server: SecretManagerServer, store: SecretManagerSecrets) -> None:
    failures = iter([True])

    def fail_once(method: str, request: Any) -> None:
        if next(failures, False):
            raise Refused(grpc.StatusCode.UNAVAILABLE, "try again")

    server.before = fail_once
    assert store.access("pepper", 1).reveal() == VALUE
    assert server.calls == ["access_secret_version"] * 2
    failures = iter([True])
    with pytest.raises(StoreUnavailable, match="UNAVAILABLE"):
        store.add("pepper", VALUE)
    assert server.calls.count("add_secret_version") == 1


def test_a_service_that_hangs_is_left_after_the_deadline(
    server: SecretManagerServer, store: SecretManagerSecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(secret_manager, "DEADLINE_SECONDS", 0.2)
    server.before = lambda method, request: released.wait(20) and None
    try:
        for use in (
            lambda: store.access("pepper", 1),
            lambda: store.versions("pepper"),
            lambda: store.add("pepper", VALUE),
        ):
            with pytest.raises(StoreUnavailable, match=r"DEADLINE_EXCEEDED|RetryError"):
                use()
    finally:
        released.set()


def test_a_service_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_manager, "DEADLINE_SECONDS", 0.3)
    monkeypatch.setattr(secret_manager, "_READ", secret_manager._READ.with_timeout(0.3))
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with grpc.insecure_channel(f"127.0.0.1:{nobody.getsockname()[1]}") as channel:
            store = SecretManagerSecrets(PROJECT, SecretManagerServiceGrpcTransport(channel=channel))
            with pytest.raises(StoreUnavailable):
                store.versions("pepper")


def test_without_credentials_the_first_use_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(StoreUnavailable, match="DefaultCredentialsError"):
        SecretManagerSecrets(PROJECT).versions("pepper")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, StoreUnavailable),
        (grpc.StatusCode.UNAUTHENTICATED, StoreUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, StoreUnavailable),
        (grpc.StatusCode.INTERNAL, StoreUnavailable),
        (grpc.StatusCode.ABORTED, StoreUnavailable),
        (grpc.StatusCode.NOT_FOUND, SecretNotFound),
        (grpc.StatusCode.FAILED_PRECONDITION, PreconditionFailed),
    ],
)
def test_errors_keep_their_kind_but_not_the_services_words(
    server: SecretManagerServer, store: SecretManagerSecrets, code: grpc.StatusCode, expected: type[StoreError]
) -> None:
    def refuse(method: str, request: Any) -> None:
        raise Refused(code, f"no: {VALUE.decode()}")

    server.before = refuse
    for use in (
        lambda: store.access("pepper", 1),
        lambda: store.add("pepper", VALUE),
        lambda: store.destroy("pepper", 1),
    ):
        with pytest.raises(expected) as caught:
            use()
        assert VALUE.decode() not in str(caught.value)


def test_versions_are_read_by_number_only(server: SecretManagerServer, store: SecretManagerSecrets) -> None:
    asked: list[str] = []
    server.before = lambda method, request: asked.append(getattr(request, "name", ""))
    store.access("pepper", 1)
    assert asked == [f"projects/{PROJECT}/secrets/pepper/versions/1"]


def test_destruction_may_be_delayed_and_undone(server: SecretManagerServer) -> None:
    now = [datetime(2026, 11, 23, tzinfo=UTC)]
    with secret_manager_server(lambda: now[0]) as travelling, travelling.transport() as transport:
        store = SecretManagerSecrets(PROJECT, transport)
        store.create("pepper")
        store.add("pepper", VALUE)
        api.SecretManagerServiceClient(transport=transport).update_secret(
            secret={"name": f"projects/{PROJECT}/secrets/pepper", "version_destroy_ttl": timedelta(days=1)},
            update_mask={"paths": ["version_destroy_ttl"]},
        )
        store.destroy("pepper", 1)
        assert store.versions("pepper")[0].state == "disabled"
        store.enable("pepper", 1)
        assert store.access("pepper", 1).reveal() == VALUE
        store.destroy("pepper", 1)
        told = store.versions("pepper")[0]
        assert told.destroy_at == told.created_at + 86_400 * 10**9
        now[0] += timedelta(hours=1)
        store.destroy("pepper", 1)  # again: the delay goes on as it was
        assert store.versions("pepper")[0] == told
        now[0] += timedelta(days=1)
        assert store.versions("pepper")[0].state == "destroyed"
        with pytest.raises(PreconditionFailed):
            store.enable("pepper", 1)


def test_an_alias_set_by_somebody_else_at_the_same_time_is_not_lost(
    server: SecretManagerServer, store: SecretManagerSecrets
) -> None:
    """The read and the write belong together by the secret's etag."""
    name = f"projects/{PROJECT}/secrets/pepper"
    store.label("pepper", {"mine": 1})
    others = iter([True])

    def interfere(method: str, request: Any) -> None:
        if method == "update_secret" and next(others, False):
            server.update_secret(
                api.UpdateSecretRequest(
                    secret={"name": name, "version_aliases": {"mine": 1, "theirs": 1}},
                    update_mask={"paths": ["version_aliases"]},
                )
            )

    server.before = interfere
    with pytest.raises(PreconditionFailed):
        store.label("pepper", {"current": 1})
    store.label("pepper", {"current": 1})
    assert store.labels("pepper") == {"current": 1, "mine": 1, "theirs": 1}


def test_a_rotation_waits_for_versions_that_are_seen_late_and_readers_do_not_notice() -> None:
    """Secret Manager is eventually consistent: here a version can be read a minute after it was added."""
    clock = ManualClock()

    def now() -> datetime:
        return datetime.fromtimestamp(clock.now / SECOND, UTC)

    with secret_manager_server(now) as late, late.transport() as transport:
        store, documents, provider = SecretManagerSecrets(PROJECT, transport), VirtualDocuments(clock), MemoryProvider()
        rotator, secret = Rotator(store, documents, clock, log=lambda *_, **__: None), managed(provider)
        rotator.tick(secret)
        reader = SecretReader(store, documents, "production", monotonic=lambda: clock.now / SECOND)
        late.seen_after = timedelta(seconds=60)
        results = []
        for seconds in (100, 30, 60, 60, 60, HOUR, HOUR, 25 * HOUR):
            clock.advance(seconds)
            assert is_served(reader, provider.accepts)
            results.append(rotator.tick(secret, Order(before=FOREVER) if len(results) == 1 else SCHEDULE).result)
        assert results[1] == "failed"
        assert "promoted" in results
        clock.advance(25 * HOUR)
        rotator.tick(secret)
        assert_settled(store, documents, provider)
        assert store.labels(NAME)["current"] == 2
