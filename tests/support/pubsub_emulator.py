"""Google's Pub/Sub emulator, started for the tests that need it, and topics and subscriptions on it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from shared.stores.protobuf_messages import message_classes
from tests.support.tools import absent

_FOLDER = Path("platform") / "pubsub-emulator"
_MAIN = "com.google.cloud.pubsub.testing.v1.Main"
_START_SECONDS = 90.0
_ATTEMPTS = 3

_MESSAGES = message_classes(
    "google.pubsub.v1",
    {
        "Topic": ("string name = 1",),
        "NoWrapper": ("bool write_metadata = 1",),
        "PushConfig": ("string push_endpoint = 1", "NoWrapper no_wrapper = 5"),
        "DeadLetterPolicy": ("string dead_letter_topic = 1", "int32 max_delivery_attempts = 2"),
        "Subscription": (
            "string name = 1",
            "string topic = 2",
            "PushConfig push_config = 4",
            "int32 ack_deadline_seconds = 5",
            "DeadLetterPolicy dead_letter_policy = 13",
        ),
    },
)


@dataclass(frozen=True)
class PubsubProject:
    """A project on the emulator: what an operator does there. It makes any project that is named."""

    address: str
    name: str

    def make_topic(self, topic: str) -> None:
        self._call("Publisher", "CreateTopic", _MESSAGES["Topic"](name=self._topic(topic)), "Topic")

    def push(self, topic: str, subscription: str, url: str, *, dead_letter_topic: str | None = None) -> None:
        """Push what is published to the topic, as production does: without a wrapper, attributes as headers.

        After five failures an event goes to the dead-letter topic, if there is one.
        """
        request = _MESSAGES["Subscription"](name=self._subscription(subscription), topic=self._topic(topic))
        request.push_config.push_endpoint = url
        request.push_config.no_wrapper.write_metadata = True
        request.ack_deadline_seconds = 10
        if dead_letter_topic is not None:
            request.dead_letter_policy.dead_letter_topic = self._topic(dead_letter_topic)
            request.dead_letter_policy.max_delivery_attempts = 5
        self._call("Subscriber", "CreateSubscription", request, "Subscription")

    def subscribe(self, topic: str, subscription: str) -> None:
        """Keep what is published to the topic until it is pulled."""
        request = _MESSAGES["Subscription"](name=self._subscription(subscription), topic=self._topic(topic))
        self._call("Subscriber", "CreateSubscription", request, "Subscription")

    def _topic(self, topic: str) -> str:
        return f"projects/{self.name}/topics/{topic}"

    def _subscription(self, subscription: str) -> str:
        return f"projects/{self.name}/subscriptions/{subscription}"

    def _call(self, service: str, method: str, request: Any, answer: str) -> Any:
        with grpc.insecure_channel(self.address) as channel:
            call = channel.unary_unary(
                f"/google.pubsub.v1.{service}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=_MESSAGES[answer].FromString,
            )
            return call(request, timeout=60, wait_for_ready=True)


@contextmanager
def pubsub_emulator() -> Iterator[str]:
    """Run the emulator on a free loopback port; the value is its ``host:port``. It keeps everything in memory.

    Skips, or fails in CI, where gcloud, its emulator or Java is not installed.
    """
    with tempfile.TemporaryFile() as log:
        for _ in range(_ATTEMPTS):
            address = f"127.0.0.1:{_free_port()}"
            with running_pubsub_emulator(address, log.fileno()) as serves:
                if serves:
                    yield address
                    return
        log.seek(0)
        raise RuntimeError(f"the Pub/Sub emulator did not start: {log.read()[-2000:].decode(errors='replace')}")


@contextmanager
def running_pubsub_emulator(address: str, log: int = subprocess.DEVNULL) -> Iterator[bool]:
    """Run it on this address; the value is whether it serves there, and not another process."""
    process = subprocess.Popen(
        _command(address),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name != "JAVA_TOOL_OPTIONS"},
    )
    try:
        yield _answers(process, address)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # gcloud's launcher would leave Java behind; there is no state
        process.wait()


def _command(address: str) -> list[str]:
    """Java on the emulator's jar; where that is not as it was, gcloud's own launcher, which takes seconds longer."""
    gcloud, java = shutil.which("gcloud"), shutil.which("java")
    if java is None:
        absent("java")
    folder = None if gcloud is None else _folder(Path(gcloud))
    if gcloud is None or folder is None:
        absent("the Pub/Sub emulator (gcloud components install pubsub-emulator)")
    host, _, port = address.partition(":")
    for jar in (folder / "lib").glob("*-all.jar"):
        return [java, "-XX:TieredStopAtLevel=1", "-cp", str(jar), _MAIN, f"--host={host}", f"--port={port}"]
    return [gcloud, "--quiet", "beta", "emulators", "pubsub", "start", f"--host-port={address}"]


def _folder(gcloud: Path) -> Path | None:
    roots = [gcloud.resolve().parents[1], Path("/usr/lib/google-cloud-sdk")]
    return next((root / _FOLDER for root in roots if (root / _FOLDER).is_dir()), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], address: str) -> bool:
    """Wait until it serves, with Java's slow first call behind it; False where it ended."""
    host, _, port = address.partition(":")
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=1.0).close()
            PubsubProject(address, "warm-up").make_topic("warm-up")
        except OSError:
            time.sleep(0.1)
        except grpc.RpcError:
            return False
        else:
            return process.poll() is None
    return False
