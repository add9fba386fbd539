"""The object store in a Cloud Storage bucket, over its JSON API.

The official client takes half a second to import, and its retries go on for two minutes by default.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from shared.errors import StoreUnavailable
from shared.shapes import prepare
from shared.stores.cloud_storage_http import Answer, StorageHttp, md5
from shared.stores.object_names import check_folder, check_name, check_prefix

T = TypeVar("T")

_PAGE_NAMES = 1000
_WRITER = "wardgate-write"
"""Key of an object's metadata that tells by which call it was made."""


class _Object(msgspec.Struct):
    name: str = ""
    metadata: dict[str, str] = {}


class _Page(msgspec.Struct, rename="camel"):
    items: list[_Object] = []
    prefixes: list[str] = []
    next_page_token: str = ""


prepare(_Object, _Page)


class CloudStorageObjects:
    """``ObjectStore`` in one bucket.

    Speaks to the emulator where ``STORAGE_EMULATOR_HOST`` is set, else to Cloud Storage with application
    default credentials. Every request is tried up to three times within its deadline. That is safe for
    ``create`` too: the precondition lets it take effect once, and a number in the object's metadata tells
    whether a repeated request met an object of its own making or another's.

    Data is checked by MD5 on its way, up by Cloud Storage and down here.
    """

    def __init__(self, bucket: str, *, timeout_seconds: float = 10.0) -> None:
        """Connects at first use.

        Args:
            bucket: The bucket's name.
            timeout_seconds: Deadline of one call, of one page for ``list``.
        """
        self._bucket = bucket
        self._http = StorageHttp(timeout_seconds)

    def create(self, name: str, data: bytes) -> bool:
        """See ``ObjectStore``; a malformed name is a ValueError."""
        check_name(name)
        writer = secrets.token_hex(16)
        boundary = secrets.token_hex(16)
        answer = self._http.send(
            "POST",
            f"/upload/storage/v1/b/{self._bucket}/o?uploadType=multipart&ifGenerationMatch=0&fields=generation",
            what=f"the write of '{name}'",
            headers={"content-type": f"multipart/related; boundary={boundary}"},
            body=_multipart(boundary, {"name": name, "md5Hash": md5(data), "metadata": {_WRITER: writer}}, data),
        )
        if answer.status == 412:
            return answer.attempts > 1 and self._writer(name) == writer
        self._need_ok(answer, f"the write of '{name}'")
        return True

    def read(self, name: str) -> bytes | None:
        """See ``ObjectStore``; a malformed name is a ValueError."""
        check_name(name)
        answer = self._http.send("GET", f"{self._path(name)}?alt=media", what=f"'{name}'")
        if answer.status == 404:
            return None
        self._need_ok(answer, f"'{name}'")
        return answer.body

    def list(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """See ``ObjectStore``; in the order of their code points. A malformed prefix is a ValueError."""
        check_prefix(prefix)
        # The offset itself would be listed too.
        offset = {"startOffset": after} if after else {}
        query = {"prefix": prefix, "fields": "items/name,nextPageToken", **offset}
        return (each.name for page in self._pages(prefix, query) for each in page.items if each.name != after)

    def folders(self, prefix: str) -> Iterator[str]:
        """See ``ObjectStore``; in the order of their code points. A malformed prefix is a ValueError."""
        check_folder(prefix)
        query = {"prefix": prefix, "delimiter": "/", "fields": "prefixes,nextPageToken"}
        return (each.removeprefix(prefix) for page in self._pages(prefix, query) for each in page.prefixes)

    def _pages(self, prefix: str, query: dict[str, str]) -> Iterator[_Page]:
        query["maxResults"] = str(_PAGE_NAMES)
        while True:
            what = f"the list of '{prefix}'"
            answer = self._http.send("GET", f"/storage/v1/b/{self._bucket}/o?{urlencode(query)}", what=what)
            self._need_ok(answer, what)
            page = _decode(answer, _Page)
            yield page
            if not page.next_page_token:
                return
            query["pageToken"] = page.next_page_token

    def _writer(self, name: str) -> str | None:
        """By which call the object was made."""
        what = f"the metadata of '{name}'"
        answer = self._http.send("GET", f"{self._path(name)}?fields=metadata", what=what)
        self._need_ok(answer, what)
        return _decode(answer, _Object).metadata.get(_WRITER)

    def _path(self, name: str) -> str:
        return f"/storage/v1/b/{self._bucket}/o/{quote(name, safe='')}"

    def _need_ok(self, answer: Answer, what: str) -> None:
        if answer.status != 200:
            raise StoreUnavailable(f"Bucket '{self._bucket}' did not serve {what}: HTTP {answer.status}.")


def _multipart(boundary: str, metadata: object, data: bytes) -> bytes:
    """https://cloud.google.com/storage/docs/uploading-objects#multipart-upload."""
    return b"".join(
        (
            f"--{boundary}\r\ncontent-type: application/json\r\n\r\n".encode(),
            msgspec.json.encode(metadata),
            f"\r\n--{boundary}\r\ncontent-type: application/octet-stream\r\n\r\n".encode(),
            data,
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )


def _decode(answer: Answer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.MsgspecError as error:
        raise StoreUnavailable("Cloud Storage's answer is not of the form that its documentation gives.") from error
