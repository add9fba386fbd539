"""Secrets in a folder: modes, and what is left on the disk when a version is destroyed or a process dies."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from shared.errors import ConfigurationError, PreconditionFailed, StoreUnavailable
from shared.stores import file_secrets
from shared.stores.file_secrets import FileSecrets

VALUE = b"a value that must not be found"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "secrets"


@pytest.fixture
def store(folder: Path) -> FileSecrets:
    old = os.umask(0)
    try:
        secrets = FileSecrets(folder)
        secrets.create("pepper")
        secrets.add("pepper", VALUE)
    finally:
        os.umask(old)
    return secrets


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "pepper").iterdir())


def test_files_and_folders_are_private(store: FileSecrets, folder: Path) -> None:
    for place in (folder.parent, folder, folder / "pepper"):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "pepper" / "1.enabled").stat().st_mode) == 0o600
    assert names(folder) == ["1.enabled"]


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o701, 0o777])
def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 700"):
        FileSecrets(tmp_path)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(ConfigurationError, match=r"WARDGATE_SECRETS: .*folder"):
            FileSecrets(path)


def test_a_destroyed_value_is_overwritten_where_it_lay(store: FileSecrets, folder: Path) -> None:
    os.link(folder / "pepper" / "1.enabled", folder / "other name of the same file")
    store.destroy("pepper", 1)
    assert names(folder) == ["1.destroyed"]
    assert (folder / "other name of the same file").read_bytes() == b""


def test_a_destruction_that_was_cut_short_is_finished(store: FileSecrets, folder: Path) -> None:
    (folder / "pepper" / "1.enabled").rename(folder / "pepper" / "1.destroyed")  # killed before the value was wiped
    with pytest.raises(PreconditionFailed):
        store.access("pepper", 1)
    assert store.add("pepper", b"next").number == 2
    assert (folder / "pepper" / "1.destroyed").read_bytes() == b""


def test_the_draft_of_a_killed_process_is_no_version_and_is_removed(store: FileSecrets, folder: Path) -> None:
    (folder / "pepper" / ("0" * 32)).write_bytes(VALUE)
    (folder / "pepper" / "notes of the owner").write_text("stays")
    assert [version.number for version in store.versions("pepper")] == [1]
    assert store.add("pepper", b"next").number == 2
    assert names(folder) == ["1.enabled", "2.enabled", "notes of the owner"]


def test_a_secret_that_is_held_for_long_is_unavailable(
    store: FileSecrets, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_secrets, "_TIMEOUT_SECONDS", 0.05)
    holder = os.open(folder / "pepper", os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailable, match="held by another process"):
            store.access("pepper", 1)
    finally:
        os.close(holder)
    assert store.access("pepper", 1).reveal() == VALUE


def test_a_fault_of_the_file_system_is_told_without_the_value(store: FileSecrets, folder: Path) -> None:
    (folder / "pepper" / "1.enabled").unlink()
    (folder / "pepper" / "1.enabled").mkdir()
    with pytest.raises(StoreUnavailable, match="Is a directory"):
        store.access("pepper", 1)
