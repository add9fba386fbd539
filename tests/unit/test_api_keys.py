"""API keys: made, listed, revoked, and refused before anything is read where they can be."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.clock import SystemClock, utc
from shared.errors import BadRequest, NotFound, ServiceUnavailable, StoreUnavailable, Unauthenticated
from shared.identity.api_keys import PEPPER, ApiKeys, NewKey
from shared.stores.documents import Write
from shared.stores.file_secrets import FileSecrets
from shared.stores.secret_reader import SecretReader
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.key_store import CountedDocuments, VersionedPepper
from tests.support.virtual_time import ManualClock


class Store:
    """API keys on real documents."""

    def __init__(self, folder: Path, versions: int = 1) -> None:
        self.documents = CountedDocuments(folder / "documents.db")
        self.peppers = VersionedPepper(versions)
        self.clock = ManualClock()
        self.keys = self.open()

    def open(self) -> ApiKeys:
        """As another process would: with nothing remembered."""
        return ApiKeys(self.documents, self.peppers, self.clock)

    def new(self, **changes: object) -> NewKey:
        return self.keys.create(**{"tenant": "acme", "name": "a key", **changes})

    def code(self, key: str) -> str:
        """The code that a key is refused with."""
        with pytest.raises(Unauthenticated) as caught:
            self.keys.authenticate(key)
        assert key not in str(caught.value)
        return caught.value.code


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.documents.close()


def replaced(key: str, at: int) -> str:
    """The key with another letter of its alphabet in one place."""
    return key[:at] + ("a" if key[at] != "a" else "b") + key[at + 1 :]


def test_a_key_names_its_holder(store: Store) -> None:
    new = store.new(scopes=("chat",))
    caller = store.keys.authenticate(new.key)
    assert (caller.tenant, caller.key_id, caller.kind, caller.user) == ("acme", new.record.id, "api_key", None)
    assert caller.scopes == {"chat"}
    assert re.fullmatch("wg_[a-z2-7]{24}_[a-z2-7]{40}", new.key)
    assert new.key.split("_")[1] == new.record.id


def test_a_request_costs_one_read_and_no_write(store: Store) -> None:
    new = store.new()
    store.documents.calls.clear()
    for _ in range(3):
        store.keys.authenticate(new.key)
    assert store.documents.calls == {"get": 3}


def test_the_key_is_stored_nowhere(store: Store, tmp_path: Path) -> None:
    new = store.new()
    store.documents.close()
    secret = new.key.rpartition("_")[2].encode()
    for file in tmp_path.iterdir():
        assert secret not in file.read_bytes()
    assert new.key not in repr(new)


def test_a_made_up_id_is_refused_without_a_read(store: Store) -> None:
    real = store.new().key
    store.documents.calls.clear()
    ids = [replaced(real, at) for at in range(3, 27)]
    ids += [f"wg_{start}{'a' * 20}_{'a' * 40}" for start in ("aaaa", "aaaq", "aaba", "7777")]
    for key in ids:
        assert store.code(key) == "invalid_api_key"
    assert not store.documents.calls


@pytest.mark.parametrize(
    "key",
    [
        "",
        "wg_",
        "wg__",
        "sk-proj-abcdefgh",
        "wg_" + "a" * 24,
        "wg_" + "A" * 24 + "_" + "a" * 40,
        "wg_" + "a" * 24 + "_" + "a" * 41,
        "wg_" + "é" * 24 + "_" + "a" * 40,
        "wg_" + "a" * 10_000,
        "wg_../../etc_" + "a" * 40,
    ],
)
def test_what_is_no_key_is_refused_without_a_read(store: Store, key: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        store.keys.authenticate(key)
    assert caught.value.code == "invalid_api_key"
    assert not store.documents.calls
    assert not store.peppers.calls


def test_an_upper_case_spelling_is_another_key(store: Store) -> None:
    key = store.new().key
    assert store.code("wg_" + key[3:].upper()) == "invalid_api_key"


def test_a_wrong_secret_is_refused_and_nothing_is_written(store: Store) -> None:
    key = store.new().key
    store.documents.calls.clear()
    for at in (28, 40, 67):
        assert store.code(replaced(key, at)) == "invalid_api_key"
    assert store.documents.calls == {"get": 3}


def test_one_key_does_not_open_another_id(store: Store) -> None:
    first, second = store.new().key, store.new().key
    assert store.code(first[:28] + second[28:]) == "invalid_api_key"


def test_a_hash_moved_to_another_id_opens_nothing(store: Store) -> None:
    first, second = store.new(), store.new()
    document = store.documents.get(f"keys/{first.record.id}")
    assert document is not None
    store.documents.commit([Write(f"keys/{second.record.id}", {"hash": document.fields["hash"]})])
    assert store.code(second.key[:28] + first.key[28:]) == "invalid_api_key"


def test_a_missing_id_with_a_right_mac_is_read_once(store: Store, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Store(tmp_path / "other")
    other.peppers.values = store.peppers.values
    gone = other.new().key
    other.documents.close()
    for _ in range(5):
        assert store.code(gone) == "invalid_api_key"
    assert store.documents.calls == {"get": 1}
    store.clock.advance(61)
    assert store.code(gone) == "invalid_api_key"
    assert store.documents.calls == {"get": 2}


def test_a_revoked_key_is_refused_at_once_by_every_process(store: Store) -> None:
    new, elsewhere = store.new(), store.open()
    elsewhere.authenticate(new.key)
    record = store.keys.revoke(new.record.id)
    assert record.revoked_at == utc(store.clock)
    for keys in (store.keys, elsewhere):
        with pytest.raises(Unauthenticated) as caught:
            keys.authenticate(new.key)
        assert caught.value.code == "revoked_api_key"


def test_revoking_again_keeps_the_first_time(store: Store) -> None:
    new = store.new()
    first = store.keys.revoke(new.record.id).revoked_at
    store.clock.advance(60)
    assert store.keys.revoke(new.record.id).revoked_at == first


@pytest.mark.parametrize("key_id", ["", "a" * 24, "../secrets", "keys/a", "A" * 24])
def test_revoking_what_does_not_exist(store: Store, key_id: str) -> None:
    with pytest.raises(NotFound):
        store.keys.revoke(key_id)


def test_a_key_expires(store: Store) -> None:
    new = store.new(not_after=utc(store.clock) + timedelta(seconds=10))
    store.clock.advance(9.9)
    store.keys.authenticate(new.key)
    store.clock.advance(0.1)
    assert store.code(new.key) == "expired_api_key"


def test_only_the_right_secret_learns_that_a_key_is_revoked_or_expired(store: Store) -> None:
    expiring = store.new(not_after=utc(store.clock) + timedelta(seconds=1))
    revoked = store.new()
    store.keys.revoke(revoked.record.id)
    store.clock.advance(2)
    for new in (expiring, revoked):
        assert store.code(replaced(new.key, 30)) == "invalid_api_key"


def test_keys_are_listed_without_their_secrets(store: Store) -> None:
    expiry = utc(store.clock) + timedelta(days=1)
    made = [store.new(name=f"key {number}", not_after=expiry).record for number in range(3)]
    revoked = store.keys.revoke(made[0].id)
    listed = list(store.keys.list())
    assert listed == sorted([revoked, *made[1:]], key=lambda record: record.id)


def test_a_long_list_is_read_whole(store: Store) -> None:
    made = {store.new().record.id for _ in range(3)}
    writes = [
        Write(f"keys/{secrets.token_hex(8)}", {**store.documents.get(f"keys/{next(iter(made))}").fields})
        for _ in range(1100)
    ]
    store.documents.commit(writes)
    assert len({record.id for record in store.keys.list()}) == 1103


def test_keys_outlive_a_rotation_of_the_pepper(store: Store) -> None:
    old = store.new()
    store.peppers.add()
    new = store.new()
    for keys in (store.keys, store.open()):
        assert keys.authenticate(old.key).key_id == old.record.id
        assert keys.authenticate(new.key).key_id == new.record.id
    document = store.documents.get(f"keys/{new.record.id}")
    assert document is not None
    assert document.fields["pepper"] == 2


def test_a_key_of_a_pepper_that_this_process_has_not_seen_yet_is_accepted(store: Store) -> None:
    """The current version may be cached; a key made elsewhere just after a rotation must work here."""
    seen = store.peppers.current("api-key-pepper")
    store.peppers.add()
    new = store.new()
    store.peppers.current = lambda name: seen  # type: ignore[method-assign]
    assert store.keys.authenticate(new.key).key_id == new.record.id


def test_keys_of_a_disabled_pepper_are_refused_and_it_is_not_asked_for_each_time(store: Store) -> None:
    old = store.new()
    store.peppers.add()
    store.peppers.disabled.add(1)
    store.peppers.calls.clear()
    for _ in range(5):
        assert store.code(old.key) == "invalid_api_key"
    assert store.peppers.calls == {1: 1}
    store.peppers.disabled.clear()
    store.clock.advance(11)
    store.keys.authenticate(old.key)


def test_before_the_pepper_exists_nothing_is_ready(tmp_path: Path) -> None:
    store = Store(tmp_path, versions=0)
    with pytest.raises(ServiceUnavailable) as creating:
        store.new()
    with pytest.raises(ServiceUnavailable) as checking:
        store.keys.authenticate(f"wg_aaaq{'a' * 20}_{'a' * 40}")  # of the pepper's version 1
    for caught in (creating, checking):
        assert (caught.value.status, caught.value.code) == (503, "not_ready")


def test_a_store_that_does_not_answer_is_no_verdict_on_the_key(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    new = store.new()

    def down(*_: object) -> None:
        raise StoreUnavailable("down")

    monkeypatch.setattr(store.documents, "get", down)
    with pytest.raises(ServiceUnavailable) as caught:
        store.keys.authenticate(new.key)
    assert (caught.value.status, caught.value.code) == (503, "key_store_unavailable")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"tenant": ""}, "tenant"),
        ({"tenant": "a/b"}, "tenant"),
        ({"tenant": "a" * 64}, "tenant"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"scopes": ()}, "scopes"),
        ({"scopes": ("chat", "admin")}, "scopes"),
        ({"not_after": datetime(2020, 1, 1).astimezone()}, "not_after"),
        ({"not_after": datetime(2999, 1, 1)}, "not_after"),  # noqa: DTZ001  # without a time zone on purpose
    ],
)
def test_a_wrong_argument_is_named(store: Store, changes: dict[str, object], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        store.new(**changes)
    assert caught.value.param == param
    assert not store.documents.calls


def test_on_the_secret_store_of_the_local_stack(tmp_path: Path) -> None:
    secret_store = FileSecrets(tmp_path / "secrets")
    secret_store.create(PEPPER)
    documents = SqliteDocuments(tmp_path / "documents.db")

    def open_keys() -> ApiKeys:
        return ApiKeys(documents, SecretReader(secret_store, documents, "production"), SystemClock())

    with pytest.raises(ServiceUnavailable):
        open_keys().create("acme", "too early")
    secret_store.add(PEPPER, secrets.token_bytes(32))
    old = open_keys().create("acme", "old").key
    seen_before = open_keys()
    seen_before.authenticate(old)
    secret_store.add(PEPPER, secrets.token_bytes(32))
    new = open_keys().create("acme", "new").key
    for keys in (seen_before, open_keys()):
        keys.authenticate(old)
        keys.authenticate(new)
    secret_store.disable(PEPPER, 1)
    with pytest.raises(Unauthenticated):
        open_keys().authenticate(old)
    open_keys().authenticate(new)
    documents.close()
