"""What every secret store must do, tried on each of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.errors import PreconditionFailed, SecretNotFound
from shared.stores.secrets import SecretStore
from tests.support.stores import file_secrets, memory_secrets, secret_manager_secrets


@pytest.fixture(params=[file_secrets, secret_manager_secrets, memory_secrets], ids=["files", "secretmanager", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecretStore]:
    with request.param(tmp_path) as secrets:
        secrets.create("pepper")
        yield secrets


def states(store: SecretStore) -> dict[int, str]:
    return {version.number: version.state for version in store.versions("pepper")}


def test_create_tells_whether_it_was_there(store: SecretStore) -> None:
    assert store.create("other") is True
    assert store.create("other") is False
    assert store.versions("other") == []


def test_versions_are_numbered_from_one_and_listed_newest_first(store: SecretStore) -> None:
    before = time.time_ns()
    added = [store.add("pepper", f"value {number}".encode()) for number in (1, 2, 3)]
    assert [version.number for version in added] == [1, 2, 3]
    assert store.versions("pepper") == added[::-1]
    assert [store.access("pepper", number).reveal() for number in (1, 2, 3)] == [b"value 1", b"value 2", b"value 3"]
    # A file system's clock may lag behind by a tick of some milliseconds.
    assert all(before - 10**9 < version.created_at < time.time_ns() + 10**9 for version in added)
    assert {(version.name, version.state) for version in added} == {("pepper", "enabled")}


@pytest.mark.parametrize("value", [b"\x00", b"\n", bytes(range(256)), b"x" * 65_536], ids=len)
def test_any_bytes_come_back(store: SecretStore, value: bytes) -> None:
    assert store.access("pepper", store.add("pepper", value).number).reveal() == value


@pytest.mark.parametrize("value", [b"", b"x" * 65_537], ids=len)
def test_an_empty_or_huge_value_is_refused(store: SecretStore, value: bytes) -> None:
    with pytest.raises(ValueError, match="holds 1 to 65536 bytes"):
        store.add("pepper", value)
    assert store.versions("pepper") == []


def test_a_disabled_version_is_unreadable_until_it_is_enabled(store: SecretStore) -> None:
    store.add("pepper", b"v")
    for _ in range(2):  # twice is no error
        store.disable("pepper", 1)
    with pytest.raises(PreconditionFailed):
        store.access("pepper", 1)
    assert states(store) == {1: "disabled"}
    for _ in range(2):
        store.enable("pepper", 1)
    assert store.access("pepper", 1).reveal() == b"v"


def test_a_destroyed_version_is_gone_for_ever_and_its_number_stays_taken(store: SecretStore) -> None:
    store.add("pepper", b"old")
    store.add("pepper", b"new")
    made = store.versions("pepper")[0].created_at
    store.disable("pepper", 1)
    store.destroy("pepper", 1)
    for _ in range(2):  # twice is no error
        store.destroy("pepper", 2)
    assert states(store) == {1: "destroyed", 2: "destroyed"}
    assert store.versions("pepper")[0].created_at == made
    for change in (store.access, store.enable, store.disable):
        with pytest.raises(PreconditionFailed):
            change("pepper", 2)
    assert store.add("pepper", b"newest").number == 3
    assert store.access("pepper", 3).reveal() == b"newest"


def test_only_what_was_looked_at_is_destroyed(store: SecretStore) -> None:
    store.add("pepper", b"v")
    store.disable("pepper", 1)
    (seen,) = store.versions("pepper")
    store.enable("pepper", 1)
    with pytest.raises(PreconditionFailed):
        store.destroy("pepper", 1, seen.etag)
    assert states(store) == {1: "enabled"}
    store.disable("pepper", 1)
    (seen,) = store.versions("pepper")
    assert seen.destroy_at is None
    for _ in range(2):
        store.destroy("pepper", 1, seen.etag)
    assert states(store) == {1: "destroyed"}


def test_labels_show_people_which_version_is_which(store: SecretStore) -> None:
    for _ in range(3):
        store.add("pepper", b"v")
    assert store.labels("pepper") == {}
    store.label("pepper", {"current": 2, "previous": 1})
    store.label("pepper", {"current": 3})
    store.label("pepper", {"current": 3})
    assert store.labels("pepper") == {"current": 3, "previous": 1}
    assert [version.number for version in store.versions("pepper")] == [3, 2, 1]


@pytest.mark.parametrize("name", ["none", "", "..", "../pepper", "a/b", "a.b", "pepper\n", "x" * 256])
def test_a_secret_that_does_not_exist(store: SecretStore, name: str) -> None:
    for use in (
        lambda: store.access(name, 1),
        lambda: store.add(name, b"v"),
        lambda: store.versions(name),
        lambda: store.enable(name, 1),
        lambda: store.disable(name, 1),
        lambda: store.destroy(name, 1),
        lambda: store.label(name, {"current": 1}),
        lambda: store.labels(name),
    ):
        with pytest.raises(SecretNotFound):
            use()


@pytest.mark.parametrize("number", [0, -1, 2, 10**12])
def test_a_version_that_does_not_exist(store: SecretStore, number: int) -> None:
    store.add("pepper", b"v")
    for use in (store.access, store.enable, store.disable, store.destroy):
        with pytest.raises(SecretNotFound):
            use("pepper", number)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a.b", "x" * 256])
def test_a_malformed_name_cannot_be_created(store: SecretStore, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        store.create(name)


def test_versions_added_at_once_all_get_numbers(store: SecretStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        values = [f"value {index}".encode() for index in range(24)]
        numbers = [version.number for version in pool.map(lambda value: store.add("pepper", value), values)]
    assert sorted(numbers) == list(range(1, 25))
    assert [store.access("pepper", number).reveal() for number in numbers] == values


def test_many_versions_are_all_listed(store: SecretStore) -> None:
    for number in range(260):  # more than a page of Secret Manager's
        assert store.add("pepper", b"v").number == number + 1
    assert list(states(store)) == list(range(260, 0, -1))
