"""API keys that get another secret and keep their id: by people, and by rotation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.clock import utc
from shared.errors import BadRequest, Conflict, NotFound, ServiceUnavailable, StoreUnavailable, Unauthenticated
from shared.identity.api_keys import ApiKeys, NewKey, peppers_in_use
from shared.identity.key_rotation import MOST_SECRETS, KeyRotation
from shared.identity.key_secrets import stored_secrets
from shared.policy.types import PolicyFile
from shared.rotation.drivers.port import ProviderRefused, ProviderUnavailable
from shared.rotation.drivers.wardgate_key import WardgateKey
from shared.rotation.machine import FOREVER, Order
from shared.rotation.service import RotationService
from shared.stores.documents import Write
from shared.stores.secret_reader import SecretReader
from tests.support.key_store import CountedDocuments, VersionedPepper
from tests.support.rotation import MemorySecrets
from tests.support.virtual_time import ManualClock, VirtualDocuments

HOUR = timedelta(hours=1)


class Store:
    """API keys on real documents."""

    def __init__(self, folder: Path) -> None:
        self.documents = CountedDocuments(folder / "documents.db")
        self.peppers = VersionedPepper()
        self.clock = ManualClock()
        self.keys = self.open()
        self.rotation = KeyRotation(self.documents, self.peppers, self.clock)

    def open(self) -> ApiKeys:
        return ApiKeys(self.documents, self.peppers, self.clock)

    def new(self) -> NewKey:
        return self.keys.create("acme", "front end", ("chat",))

    def code(self, key: str) -> str:
        """The code that a key is refused with; empty where it is accepted."""
        try:
            self.keys.authenticate(key)
        except Unauthenticated as error:
            return error.code
        return ""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.documents.close()


def test_both_secrets_are_good_until_the_grace_period_ends(store: Store) -> None:
    first = store.new()
    second = store.rotation.replace(first.record.id, HOUR)
    assert second.record.id == first.record.id
    assert second.key != first.key
    assert second.key not in repr(second)
    for key in (first.key, second.key):
        caller = store.keys.authenticate(key)
        assert (caller.key_id, caller.tenant, caller.scopes) == (first.record.id, "acme", {"chat"})
    store.clock.advance(HOUR.total_seconds() - 1)
    assert (store.code(first.key), store.code(second.key)) == ("", "")
    store.clock.advance(2)
    assert (store.code(first.key), store.code(second.key)) == ("revoked_api_key", "")
    third = store.rotation.replace(first.record.id, HOUR)
    assert (store.code(first.key), store.code(second.key), store.code(third.key)) == ("invalid_api_key", "", "")


def test_within_a_grace_period_no_third_is_made_but_a_leak_ends_both(store: Store) -> None:
    first = store.new()
    second = store.rotation.replace(first.record.id, HOUR)
    with pytest.raises(Conflict) as caught:
        store.rotation.replace(first.record.id, HOUR)
    assert caught.value.code == "in_grace"
    third = store.rotation.replace(first.record.id, timedelta(0))
    assert (store.code(first.key), store.code(second.key), store.code(third.key)) == (
        "invalid_api_key",
        "invalid_api_key",
        "",
    )


def test_a_request_still_costs_one_read(store: Store) -> None:
    first = store.new()
    second = store.rotation.replace(first.record.id, HOUR)
    store.documents.calls.clear()
    store.keys.authenticate(first.key)
    store.keys.authenticate(second.key)
    assert store.documents.calls == {"get": 2}


def test_each_secret_is_renewed_on_its_own_use_and_holds_on_to_its_pepper(store: Store) -> None:
    first = store.new()
    second = store.rotation.replace(first.record.id, HOUR)
    store.peppers.add()
    assert peppers_in_use(store.documents, store.clock) == {1}
    store.keys.authenticate(first.key)
    document = store.documents.get(f"keys/{first.record.id}")
    assert document is not None
    assert [secret.pepper for secret in stored_secrets(document.fields)] == [1, 2]
    assert (store.code(first.key), store.code(second.key)) == ("", "")
    assert [secret.pepper for secret in _stored(store, first.record.id)] == [2, 2]
    assert peppers_in_use(store.documents, store.clock) == {1, 2}


def _stored(store: Store, key_id: str) -> Any:
    document = store.documents.get(f"keys/{key_id}")
    assert document is not None
    return stored_secrets(document.fields)


def test_a_key_of_an_earlier_wardgate_is_rotated_too(store: Store) -> None:
    first = store.new()
    document = store.documents.get(f"keys/{first.record.id}")
    assert document is not None
    older = {name: document.fields[name] for name in document.fields if name not in ("older", "until", "attempt")}
    store.documents.commit([Write(document.path, older, replace=True)])
    second = store.rotation.replace(first.record.id, HOUR)
    assert (store.code(first.key), store.code(second.key)) == ("", "")


def test_what_cannot_be_rotated_says_why(store: Store) -> None:
    with pytest.raises(NotFound):
        store.rotation.replace("a" * 24, HOUR)
    with pytest.raises(NotFound):
        store.rotation.replace("../../x", HOUR)
    with pytest.raises(BadRequest, match="30 days"):
        store.rotation.replace(store.new().record.id, timedelta(days=31))
    revoked = store.new().record.id
    store.keys.revoke(revoked)
    reserved = store.keys.reserve("acme", "by rotation").id
    ending = store.keys.create("acme", "ending", not_after=_later(store)).record.id
    store.clock.advance(3601)
    for key_id, code in ((revoked, "revoked_api_key"), (reserved, "by_rotation"), (ending, "expired_api_key")):
        with pytest.raises(Conflict) as caught:
            store.rotation.replace(key_id, HOUR)
        assert caught.value.code == code


def _later(store: Store) -> Any:
    return utc(store.clock) + HOUR


def test_a_change_gives_way_to_another_and_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.new()
    get = store.documents.get
    times = [2]

    def overtaken(path: str) -> Any:
        document = get(path)
        if times[0]:
            times[0] -= 1
            store.documents.inner.commit([Write(path, {"touched": times[0]})])
        return document

    monkeypatch.setattr(store.documents, "get", overtaken)
    second = store.rotation.replace(first.record.id, HOUR)
    monkeypatch.undo()
    assert (store.code(first.key), store.code(second.key)) == ("", "")
    assert get(f"keys/{first.record.id}").fields["touched"] == 0  # type: ignore[union-attr]


def test_a_key_that_everybody_changes_is_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    key_id, get = store.new().record.id, store.documents.get

    def overtaken(path: str) -> Any:
        document = get(path)
        store.documents.inner.commit([Write(path, {"touched": 1})])
        return document

    monkeypatch.setattr(store.documents, "get", overtaken)
    with pytest.raises(ServiceUnavailable):
        store.rotation.replace(key_id, HOUR)


# --- by rotation ------------------------------------------------------------------------------------


def driver(store: Store, key_id: str) -> WardgateKey:
    return WardgateKey(key_id, store.rotation, store.keys)


def test_a_reserved_key_opens_nothing_until_it_has_a_secret(store: Store) -> None:
    record = store.keys.reserve("acme", "front end")
    assert record.by_rotation
    assert store.code(f"wg_{record.id}_{'a' * 40}") == "invalid_api_key"
    made = driver(store, record.id).create("wg-a")
    assert store.keys.authenticate(made.value.reveal().decode()).key_id == record.id


def test_no_more_secrets_than_a_rotation_needs(store: Store) -> None:
    made = driver(store, store.keys.reserve("acme", "front end").id)
    for number in range(MOST_SECRETS):
        made.create(f"wg-{number}")
    with pytest.raises(ProviderRefused, match="too_many_secrets"):
        made.create("wg-more")
    assert [key.attempt_id for key in made.list()] == ["wg-3", "wg-2", "wg-1", "wg-0"]
    made.revoke("wg-3")
    made.revoke("wg-1")
    assert [key.attempt_id for key in made.list()] == ["wg-2", "wg-0"]


def test_what_people_made_is_not_rotations_to_end(store: Store) -> None:
    first = store.new()
    made = driver(store, first.record.id)
    new = made.create("wg-a")
    assert [key.attempt_id for key in made.list()] == ["wg-a", None]
    made.revoke("wg-a")
    made.revoke("")
    assert store.code(first.key) == ""
    assert store.code(new.value.reveal().decode()) == "invalid_api_key"


def test_a_key_that_is_gone_is_a_refusal_and_a_store_that_is_down_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = driver(store, "a" * 24)
    for call in (lambda: gone.create("wg-a"), lambda: gone.revoke("wg-a"), gone.list):
        with pytest.raises(ProviderRefused, match="key_not_found"):
            call()
    made = driver(store, store.keys.reserve("acme", "front end").id)
    value = made.create("wg-a").value

    def down(*_: object, **__: object) -> Any:
        raise StoreUnavailable("down")

    monkeypatch.setattr(store.documents, "get", down)
    for call in (lambda: made.create("wg-b"), lambda: made.revoke("wg-a"), made.list, lambda: made.test(value)):
        with pytest.raises(ProviderUnavailable):
            call()


def test_a_callers_key_renews_itself_in_the_secret_store() -> None:
    clock = ManualClock()
    documents, store = VirtualDocuments(clock), MemorySecrets(clock)

    def service(policy: PolicyFile) -> RotationService:
        return RotationService(store, documents, policy, clock, log=lambda *_, **__: None)

    service(PolicyFile()).run()
    keys = ApiKeys(documents, SecretReader(store, documents, "production", {}), clock)
    record = keys.reserve("acme", "front end")
    tree = {"secrets": {"per_secret": {"front-end-key": {"driver": {"kind": "wardgate_key", "key": record.id}}}}}
    policy = msgspec.convert(tree, PolicyFile)
    results = {tick.secret: tick.result for tick in service(policy).run().ticks}
    assert results["front-end-key"] == "promoted"
    first = store.access("front-end-key", 1).reveal().decode()
    assert keys.authenticate(first).key_id == record.id
    clock.advance(1)
    service(policy).run(Order(before=FOREVER), "front-end-key")
    second = store.access("front-end-key", 2).reveal().decode()
    assert {keys.authenticate(key).key_id for key in (first, second)} == {record.id}
    clock.advance(3601)
    service(policy).run()
    assert keys.authenticate(second).key_id == record.id
    with pytest.raises(Unauthenticated):
        keys.authenticate(first)
