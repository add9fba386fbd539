"""A process that rotates, and that can be made to die at any of its calls.

``python -m tests.support.rotation_worker FOLDER`` reads orders, one JSON object a line, and answers each with
a line. For each it forks, so that whoever dies is a real process with real files, and costs no start of Python:

    {"die_at": 7, "ahead": 3600, "now": true}   →   {"died": true} or {"died": false, "calls": 31}

The points at which it can die are the moments before and after each call to a store or the provider, which
is all that another process could ever see of it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.clock import SystemClock
from shared.policy.types import WebhookDriver
from shared.rotation.drivers.port import Driver
from shared.rotation.drivers.webhook import Webhook
from shared.rotation.machine import FOREVER, SCHEDULE, Order
from shared.rotation.rotator import Rotator
from shared.stores.file_secrets import FileSecrets
from shared.stores.secrets import Secret
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.rotation import NAME, Provider, managed

DEATH = 77
"""Exit code of a process that died where it should."""

SIGNING_SECRET = b"s" * 32
"""What requests to a webhook are signed with."""

SECOND = 1_000_000_000


class AheadClock:
    """The machine's clock, some way into the future."""

    def __init__(self, seconds: float) -> None:
        self._ahead = round(seconds * SECOND)

    def time_ns(self) -> int:
        return SystemClock().time_ns() + self._ahead


class Mortal:
    """Passes calls on, and ends the process at one of them, without a last word."""

    def __init__(self, inner: Any, count: Callable[[], None]) -> None:
        self._inner = inner
        self._count = count

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self._count()
            result = found(*arguments, **options)
            self._count()
            return result

        return call


class Countdown:
    """Counts the points, and dies at one."""

    def __init__(self, die_at: int | None) -> None:
        self.points = 0
        self._die_at = die_at

    def __call__(self) -> None:
        if self.points == self._die_at:
            os._exit(DEATH)
        self.points += 1


def stores(folder: Path, ahead: float = 0) -> tuple[FileSecrets, SqliteDocuments, Provider]:
    """The stores and the provider in a folder."""
    documents = SqliteDocuments(folder / "documents.db", timeout_seconds=20, clock=AheadClock(ahead))
    return FileSecrets(folder / "secrets"), documents, Provider(folder / "provider.db")


def webhook(url: str) -> Webhook:
    """The real driver, for a server that knows ``SIGNING_SECRET``."""
    config = WebhookDriver(url=url, signing_secret="signing")
    return Webhook(config, NAME, lambda: [Secret(SIGNING_SECRET)], SystemClock())


def tick(
    folder: Path, *, ahead: float = 0, now: bool = False, die_at: int | None = None, url: str | None = None
) -> tuple[str, int]:
    """One tick by a clock that is so many seconds ahead; how it ended, and how many points it passed.

    Keys come from the folder's provider, or from a webhook at ``url``.
    """
    count = Countdown(die_at)
    store, documents, provider = stores(folder, ahead)
    driver: Driver = provider if url is None else webhook(url)
    mortal = [Mortal(inner, count) for inner in (store, documents, driver)]
    order = Order(before=FOREVER) if now else SCHEDULE
    rotator = Rotator(mortal[0], mortal[1], AheadClock(ahead), log=lambda *_, **__: None)
    done = rotator.tick(managed(mortal[2]), order)
    return done.result, count.points


def main(folder: Path) -> None:
    """Serve orders until there are no more."""
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            result, calls = tick(folder, **order)
            os.write(writing, json.dumps({"result": result, "points": calls}).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as told:
            answer = told.read()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        print(answer if code == 0 else json.dumps({"died": code}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
