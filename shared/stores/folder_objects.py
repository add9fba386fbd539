"""The object store in a folder: one file for each object, written once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from shared.errors import StoreUnavailable
from shared.stores.files import make_private_folder, write_once
from shared.stores.object_names import check_folder, check_name, check_prefix

_SCRATCH = ".drafts"
_ABANDONED_SECONDS = 3600


class FolderObjects:
    """``ObjectStore`` in a folder, shared by any number of processes.

    An object appears whole or not at all, whenever its writer is killed. It is not forced to the disk
    first: a power cut may lose or empty the objects of the last seconds, as it may lose the last moments
    of the spool that they come from. Forcing it measured 8 ms for each object against 0.1 to 0.3 ms.

    Unlike in a bucket, an object cannot be named as the folder of another.
    """

    def __init__(self, folder: Path) -> None:
        """Makes nothing yet; removes what killed writers left behind long ago."""
        self._folder = folder
        self._scratch = folder / _SCRATCH
        self._remove_abandoned()

    def create(self, name: str, data: bytes) -> bool:
        """See ``ObjectStore``; a malformed name is a ValueError."""
        path = self._path(name)
        try:
            try:
                return write_once(path, data, scratch=self._scratch, durable=False)
            except FileNotFoundError:
                make_private_folder(self._scratch)
                make_private_folder(path.parent)
                return write_once(path, data, scratch=self._scratch, durable=False)
        except OSError as error:
            raise self._unavailable(error) from error

    def read(self, name: str) -> bytes | None:
        """See ``ObjectStore``; a malformed name is a ValueError."""
        try:
            return self._path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise self._unavailable(error) from error

    def list(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """See ``ObjectStore``; in the order of their code points. A malformed prefix is a ValueError."""
        check_prefix(prefix)
        return self._walk(prefix[: prefix.rfind("/") + 1], prefix, after)

    def folders(self, prefix: str) -> Iterator[str]:
        """See ``ObjectStore``; in the order of their code points. A malformed prefix is a ValueError."""
        check_folder(prefix)
        return (name.removeprefix(prefix) for name in self._names(prefix) if name.endswith("/"))

    def _walk(self, base: str, prefix: str, after: str) -> Iterator[str]:
        """Names under ``base``, which is empty or ends in a slash, that start with ``prefix``."""
        for name in self._names(base):
            if not name.startswith(prefix) or (name <= after and not after.startswith(name)):
                continue
            if name.endswith("/"):
                yield from self._walk(name, prefix, after)
            elif name != after:
                yield name

    def _names(self, base: str) -> Iterator[str]:
        """What is directly in a folder. Folders end in a slash and sort with it, as whole names do."""
        try:
            with os.scandir(self._folder / base) as entries:
                names = [f"{base}{each.name}/" if each.is_dir() else f"{base}{each.name}" for each in entries]
        except (FileNotFoundError, NotADirectoryError):
            return iter(())
        except OSError as error:
            raise self._unavailable(error) from error
        return iter(sorted(name for name in names if not name.startswith(".", len(base))))

    def _path(self, name: str) -> Path:
        check_name(name)
        return self._folder / name

    def _remove_abandoned(self) -> None:
        oldest = time.time() - _ABANDONED_SECONDS
        with suppress(OSError):  # nothing depends on it, and another process may be doing the same
            for draft in self._scratch.iterdir():
                if draft.stat().st_mtime < oldest:
                    draft.unlink()

    def _unavailable(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(f"The objects in {self._folder} cannot be used: {error.strerror}.")
