"""The secret store in a folder: for each secret a folder, for each version a file.

    <folder>/<name>/<number>.enabled     the value
    <folder>/<name>/<number>.disabled    the value, unreadable until it is enabled again
    <folder>/<name>/<number>.destroyed   empty; keeps the number taken
    <folder>/<name>/labels.json          for people: which version is current

A version is always exactly one file, and its state changes by renaming it, which happens or does not.
The file's modification time is the time when the version was made.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from uuid import uuid4

import msgspec
from msgspec import Struct

from shared.errors import PreconditionFailed, SecretNotFound, StoreUnavailable
from shared.stores.files import FILE_MODE, FOLDER_MODE, require_private_folder, sync_folder, write_once
from shared.stores.secret_checks import check_name, check_new_name, check_value
from shared.stores.secrets import Secret, SecretVersion, VersionState

_VERSION = re.compile(r"([1-9][0-9]*)\.(enabled|disabled|destroyed)")
_DRAFT = re.compile(r"[0-9a-f]{32}")
_LABELS = "labels.json"
_TIMEOUT_SECONDS = 5.0
_PAUSE_SECONDS = 0.005


class FileSecrets:
    """``SecretStore`` in a folder that only its owner can enter.

    Safe between processes: whoever reads or changes a secret holds a lock on its folder, which the kernel
    drops when a process dies. Every change is on the disk before a call returns.

    A destroyed value is overwritten before its file is emptied. That is as much as a program can do: a
    file system that copies on write, a solid-state disk or a backup may still hold it.
    """

    def __init__(self, folder: Path) -> None:
        """Makes the folder if it is missing.

        Raises:
            ConfigurationError: The folder cannot be used, or other users can enter it.
        """
        require_private_folder(folder, "WARDGATE_SECRETS")
        self._folder = folder

    def access(self, name: str, number: int) -> Secret:
        """See ``SecretStore``."""
        with self._held(name, fcntl.LOCK_SH) as folder:
            version = _version(folder, name, number)
            if version.state != "enabled":
                raise PreconditionFailed(f"Version {number} of secret '{name}' is {version.state}.")
            return Secret(version.path.read_bytes())

    def add(self, name: str, value: bytes) -> SecretVersion:
        """See ``SecretStore``; a value that is empty or over 64 KiB is a ValueError."""
        check_value(value)
        with self._held(name, fcntl.LOCK_EX) as folder:
            _tidy(folder)
            number = max((version.number for version in _versions(folder)), default=0) + 1
            write_once(folder / f"{number}.enabled", value, scratch=folder, durable=True)
            return _version(folder, name, number).told(name)

    def create(self, name: str) -> bool:
        """See ``SecretStore``; a malformed name is a ValueError."""
        check_new_name(name)
        try:
            (self._folder / name).mkdir(FOLDER_MODE)
            sync_folder(self._folder)
        except FileExistsError:
            return False
        except OSError as error:
            raise self._unavailable(error) from error
        return True

    def versions(self, name: str) -> list[SecretVersion]:
        """See ``SecretStore``."""
        with self._held(name, fcntl.LOCK_SH) as folder:
            found = sorted(_versions(folder), key=lambda version: version.number, reverse=True)
            return [version.told(name) for version in found]

    def enable(self, name: str, number: int) -> None:
        """See ``SecretStore``."""
        self._change(name, number, "enabled")

    def disable(self, name: str, number: int) -> None:
        """See ``SecretStore``."""
        self._change(name, number, "disabled")

    def destroy(self, name: str, number: int, etag: str | None = None) -> None:
        """See ``SecretStore``."""
        with self._held(name, fcntl.LOCK_EX) as folder:
            version = _version(folder, name, number)
            if etag is not None and version.state not in (etag, "destroyed"):
                raise PreconditionFailed(f"Version {number} of secret '{name}' is {version.state} by now.")
            version.rename("destroyed")
            sync_folder(folder)
            _tidy(folder)

    def label(self, name: str, labels: Mapping[str, int]) -> None:
        """See ``SecretStore``."""
        with self._held(name, fcntl.LOCK_EX) as folder:
            draft = folder / uuid4().hex
            draft.touch(FILE_MODE)
            draft.write_bytes(msgspec.json.encode({**_labels(folder), **labels}))
            draft.rename(folder / _LABELS)

    def labels(self, name: str) -> dict[str, int]:
        """See ``SecretStore``."""
        with self._held(name, fcntl.LOCK_SH) as folder:
            return _labels(folder)

    def _change(self, name: str, number: int, state: VersionState) -> None:
        with self._held(name, fcntl.LOCK_EX) as folder:
            version = _version(folder, name, number)
            if version.state == "destroyed":
                raise PreconditionFailed(f"Version {number} of secret '{name}' is destroyed.")
            version.rename(state)
            sync_folder(folder)

    @contextmanager
    def _held(self, name: str, mode: int) -> Iterator[Path]:
        """The secret's folder, locked, with file-system faults told as store errors."""
        check_name(name)
        folder = self._folder / name
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SecretNotFound(f"There is no secret '{name}'.") from error
        except OSError as error:
            raise self._unavailable(error) from error
        try:
            _lock(descriptor, mode)
            yield folder
        except OSError as error:
            raise self._unavailable(error) from error
        finally:
            os.close(descriptor)

    def _unavailable(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(f"The secrets in {self._folder} cannot be used: {error.strerror}.")


class _Version(Struct, frozen=True):
    """A version as its file's name tells it."""

    number: int
    state: VersionState
    path: Path

    def rename(self, state: VersionState) -> None:
        self.path.rename(self.path.with_suffix(f".{state}"))

    def told(self, name: str) -> SecretVersion:
        return SecretVersion(name, self.number, self.state, self.path.stat().st_mtime_ns, etag=self.state)


def _versions(folder: Path) -> Iterator[_Version]:
    for path in folder.iterdir():
        if match := _VERSION.fullmatch(path.name):
            yield _Version(int(match[1]), cast(VersionState, match[2]), path)


def _version(folder: Path, name: str, number: int) -> _Version:
    for version in _versions(folder):
        if version.number == number:
            return version
    raise SecretNotFound(f"There is no version {number} of secret '{name}'.")


def _labels(folder: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode((folder / _LABELS).read_bytes(), type=dict[str, int])
    except FileNotFoundError:
        return {}


def _tidy(folder: Path) -> None:
    """Finish what a process that died while it held the lock has left: drafts, and values not yet wiped."""
    for path in folder.iterdir():
        if _DRAFT.fullmatch(path.name):
            path.unlink()
        elif path.suffix == ".destroyed" and path.stat().st_size:
            _wipe(path)
    sync_folder(folder)


def _wipe(path: Path) -> None:
    """Overwrite and empty a file; its modification time stays."""
    found = path.stat()
    with path.open("r+b", buffering=0) as file:
        file.write(bytes(found.st_size))
        os.fsync(file.fileno())
        file.truncate(0)
        os.utime(file.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
        os.fsync(file.fileno())


def _lock(descriptor: int, mode: int) -> None:
    """Lock a folder, but not wait for ever: whoever holds the lock may have been stopped."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise StoreUnavailable(f"A secret was held by another process for {_TIMEOUT_SECONDS:g} s.") from error
            time.sleep(_PAUSE_SECONDS)
        else:
            return
