"""Objects in a folder: modes, drafts, and faults of the file system."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from shared.errors import StoreUnavailable
from shared.stores.folder_objects import FolderObjects


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        FolderObjects(tmp_path / "home" / "objects").create("a/b/c", b"")
    finally:
        os.umask(old)
    for place in ("home", "home/objects", "home/objects/a", "home/objects/a/b"):
        assert stat.S_IMODE((tmp_path / place).stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home/objects/a/b/c").stat().st_mode) == 0o600


def test_no_draft_is_left_whether_it_won_or_not(tmp_path: Path) -> None:
    store = FolderObjects(tmp_path)
    assert [store.create("a", b"1"), store.create("a", b"2")] == [True, False]
    assert list((tmp_path / ".drafts").iterdir()) == []


def test_drafts_of_killed_writers_are_hidden_and_removed_when_they_are_old(tmp_path: Path) -> None:
    FolderObjects(tmp_path).create("a", b"")
    old, young = tmp_path / ".drafts" / "old", tmp_path / ".drafts" / "young"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert list(FolderObjects(tmp_path).list("")) == ["a"]
    assert list((tmp_path / ".drafts").iterdir()) == [young]


def test_an_object_cannot_be_the_folder_of_another(tmp_path: Path) -> None:
    store = FolderObjects(tmp_path)
    store.create("a", b"")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        store.create("a/b", b"")
    assert list(store.list("")) == ["a"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FolderObjects(tmp_path / "file" / "objects")
    with pytest.raises(StoreUnavailable, match="Not a directory"):
        store.create("a", b"")
    assert store.read("a") is None
    assert list(store.list("")) == []
