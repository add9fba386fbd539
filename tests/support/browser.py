"""Pages in headless Chromium: a server that is a page's origin and takes its results, and a browser that opens it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.support.loopback import Handler, LoopbackServer

RESULT_SECONDS = 120
"""Longest wait for a page's results, only waited out where none come: on a busy machine Chromium starts slowly."""

FLAGS = (
    "--headless",
    "--no-sandbox",  # as root, which CI often is, Chromium does not start with it
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have a /dev/shm of 64 MB
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--metrics-recording-only",
)


class PageServer(LoopbackServer):
    """Serves folders from an origin of its own and keeps what its page posts to ``/results``.

    Args:
        folders: Folders by the path they are served under, such as ``{"/": page, "/sdk/": package}``.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.config: dict[str, Any] = {}
        """What the page gets from ``/config.json``."""

        self.missing: list[str] = []
        """Paths that were asked for and do not exist, to explain a page that never came to an end."""

        self._folders = folders
        self._results: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        super().__init__(self._handler())

    def results(self) -> dict[str, Any]:
        """What the page posted; an AssertionError where nothing comes."""
        try:
            return self._results.get(timeout=RESULT_SECONDS)
        except queue.Empty:
            raise AssertionError(f"the page posted no results; not found were {self.missing}") from None

    def _handler(self) -> type[SimpleHTTPRequestHandler]:
        server = self

        class PageHandler(Handler, SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # a module graph is hundreds of small files
            disable_nagle_algorithm = True  # head and body are two writes, and the second must not wait
            extensions_map = {  # noqa: RUF012  # as in the base class
                **SimpleHTTPRequestHandler.extensions_map,
                ".mjs": "text/javascript",
                ".html": "text/html; charset=utf-8",
            }

            def do_GET(self) -> None:
                if self.path == "/config.json":
                    self.send(200, json.dumps(server.config).encode())
                else:
                    super().do_GET()

            def do_POST(self) -> None:
                server._results.put(json.loads(self.body()))
                self.send(204)

            def translate_path(self, path: str) -> str:
                path = path.partition("?")[0]
                prefix = max((prefix for prefix in server._folders if path.startswith(prefix)), key=len)
                root = server._folders[prefix].resolve()
                file = (root / path.removeprefix(prefix)).resolve()
                return str(file if file.is_relative_to(root) else root / "outside")

            def send_error(self, code: int, *_: object) -> None:
                server.missing.append(self.path)
                self.send(code)

        return PageHandler


@contextmanager
def chromium_shows(program: str, url: str, folder: Path) -> Iterator[None]:
    """Open ``url`` in a new headless Chromium, and end it with all its processes afterwards.

    Args:
        program: Path of Chromium.
        url: The page.
        folder: A folder of its own, for the profile and the log.
    """
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    with (folder / "chromium.log").open("wb") as log:
        browser = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={folder / 'profile'}", url],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
