"""What every object store must do, tried on each of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.stores import cloud_storage
from shared.stores.cloud_storage import CloudStorageObjects
from shared.stores.folder_objects import FolderObjects
from shared.stores.objects import ObjectStore
from tests.support.cloud_storage_emulator import cloud_storage_emulator, make_bucket

NAMES = ["archive/2026/11/23/a/1.json", "archive/2026/11/23/a-b.json", "archive/2026/11/24/1.json", "seals/1", "top"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with cloud_storage_emulator() as url:
        yield url


@pytest.fixture(params=["folder", "cloud_storage"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    if request.param == "folder":
        return FolderObjects(tmp_path / "objects")
    monkeypatch.setattr(cloud_storage, "_PAGE_NAMES", 2)
    url = request.getfixturevalue("emulator")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    bucket = f"test-{uuid.uuid4().hex}"
    make_bucket(url, bucket)
    return CloudStorageObjects(bucket, timeout_seconds=30.0)


def test_an_object_is_written_once(store: ObjectStore) -> None:
    assert store.create("a/b.json", b"first") is True
    assert store.create("a/b.json", b"second") is False
    assert store.read("a/b.json") == b"first"


def test_an_object_may_be_empty_or_large(store: ObjectStore) -> None:
    assert store.create("empty", b"") is True
    assert store.create("empty", b"x") is False
    assert store.read("empty") == b""
    large = bytes(range(256)) * 20_000
    store.create("large", large)
    assert store.read("large") == large


def test_what_was_never_written_is_none(store: ObjectStore) -> None:
    store.create("a/b", b"")
    for name in ("none", "a/none", "a", "a/b/c"):
        assert store.read(name) is None


def test_names_are_listed_in_order_by_what_they_start_with(store: ObjectStore) -> None:
    for name in reversed(NAMES):
        store.create(name, b"")
    assert list(store.list("")) == sorted(NAMES)
    for prefix in (
        "archive/",
        "archive/2026/11/23/",
        "archive/2026/11/23/a",
        "archive/2026/1",
        "a",
        "t",
        "top",
        "x",
        "x/",
    ):
        assert list(store.list(prefix)) == [name for name in sorted(NAMES) if name.startswith(prefix)], prefix


@pytest.mark.parametrize("after", [*NAMES, "", "archive/2026/11/23/a", "archive/2026/11/23/a/", "b", "~"])
def test_names_are_listed_from_the_one_after_another(store: ObjectStore, after: str) -> None:
    for name in NAMES:
        store.create(name, b"")
    for prefix in ("", "archive/", "archive/2026/11/23/a", "seals/"):
        expected = [name for name in sorted(NAMES) if name.startswith(prefix) and name > after]
        assert list(store.list(prefix, after=after)) == expected, prefix


def test_folders_are_listed_without_what_is_in_them(store: ObjectStore) -> None:
    for name in NAMES:
        store.create(name, b"")
    assert list(store.folders("")) == ["archive/", "seals/"]
    assert list(store.folders("archive/2026/11/")) == ["23/", "24/"]
    assert list(store.folders("archive/2026/11/23/")) == ["a/"]
    assert list(store.folders("archive/2026/11/23/a/")) == []
    assert list(store.folders("none/")) == []


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", ".a", "a/.b", "a\x00", "a\n", "a\\b"]
)
def test_a_malformed_name_is_refused(store: ObjectStore, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        store.create(name, b"")
    with pytest.raises(ValueError, match="name"):
        store.read(name)


@pytest.mark.parametrize("prefix", ["/", "..", "../", "a/../", "/a", "a//"])
def test_a_malformed_prefix_is_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(ValueError, match="name"):
        store.list(prefix)
    with pytest.raises(ValueError, match="name"):
        store.folders(prefix)


def test_of_writers_at_once_one_wins(store: ObjectStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        for round_ in range(20):
            values = [f"{round_} {writer}".encode() for writer in range(8)]
            won = list(pool.map(lambda value, name=f"race/{round_}": store.create(name, value), values))
            assert won.count(True) == 1
            assert store.read(f"race/{round_}") == values[won.index(True)]
