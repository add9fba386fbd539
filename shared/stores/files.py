"""Files and folders that only their owner can read, and files that appear whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from uuid import uuid4

from shared.errors import ConfigurationError, Fault

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_private_folder(folder: Path) -> None:
    """Make the folder, and every parent that is missing, with mode 0700; one that exists stays as it is."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(FOLDER_MODE, exist_ok=True)


def require_private_folder(folder: Path, setting: str) -> None:
    """Make the folder if it is missing, and refuse one that other users can enter.

    Args:
        folder: Where something confidential is kept.
        setting: The environment variable that names it, for the message.

    Raises:
        ConfigurationError: It is no folder, cannot be made, or is open to others.
    """
    try:
        make_private_folder(folder)
        found = folder.stat()
    except OSError as error:
        raise ConfigurationError([Fault(setting, f"folder {folder} cannot be used: {error.strerror}.")]) from error
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigurationError([Fault(setting, f"{folder} is not a folder.")])
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigurationError(
            [Fault(setting, f"folder {folder} is open to other users (mode {mode:04o}); run chmod 700 on it.")]
        )


def write_once(path: Path, data: bytes, *, scratch: Path, durable: bool) -> bool:
    """Make a file with this content unless one of this name exists; False where one does.

    The content is written under another name and then linked to its own: a hard link is made or refused
    in one step, also between processes, so nobody ever sees half a file and nobody's file is replaced.

    Args:
        path: The file; its folder must exist.
        data: Its content.
        scratch: Folder for the other name, on the same file system. A killed process may leave a file there.
        durable: Wait until the file would survive a power cut.

    Raises:
        OSError: The file cannot be written; there is none then.
    """
    draft = scratch / uuid4().hex
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        try:
            _write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
    finally:
        os.unlink(draft)  # noqa: PTH108  # pathlib's own costs as much as the system call here
    if durable:
        sync_folder(path.parent)
    return True


def _write_all(descriptor: int, data: bytes) -> None:
    """``os.write`` may take less than it is given, as on a disk that fills up."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Wait until the names in the folder would survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
