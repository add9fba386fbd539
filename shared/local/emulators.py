"""Google's emulators of Firestore and Pub/Sub: where they are installed, what starts them, and their slow first call.

    gcloud components install cloud-firestore-emulator pubsub-emulator

They are Java programs that keep everything in memory and make any project that is named.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from shared.errors import ConfigurationError, Fault
from shared.local.processes import HOST, Service
from shared.local.pubsub_project import PubsubProject
from shared.stores.documents import Write
from shared.stores.firestore_channel import FIRESTORE as FIRESTORE_API
from shared.stores.firestore_channel import headers
from shared.stores.firestore_wire import encode_commit
from shared.stores.google_channel import make_stubs, open_channel
from shared.stores.pubsub_api import PUBSUB as PUBSUB_API

FIRST_CALL_SECONDS = 120.0
"""Java's first call takes seconds, on a busy machine many; that is longer than the deadlines of stores."""

_PACKAGED = Path("/usr/lib/google-cloud-sdk")
"""Where Debian's packages put gcloud and its components."""

_JAVA_OPTIONS = ("-Duser.language=en", "-XX:TieredStopAtLevel=1")
"""Messages in one language; and an emulator lives too briefly for Java's second compiler to pay."""


class EmulatorAbsent(ConfigurationError):
    """What an emulator needs is not installed."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        """A program's or an emulator's name."""

        super().__init__([Fault("EMULATORS", f"{what} is not installed; {remedy}.")])


@dataclass(frozen=True, slots=True)
class Emulator:
    """One of gcloud's emulators."""

    title: str
    component: str
    """As ``gcloud components`` calls it; also the folder that it comes in."""

    jar: str
    """Pattern of the jar's name in that folder."""

    start: tuple[str, ...]
    """The jar's main class and what precedes ``--host`` and ``--port``."""

    launcher: str
    """As ``gcloud beta emulators`` calls it."""

    variable: str
    """Environment variable with its address, for Google's libraries and for ours."""

    warm_up: Callable[[str], None]
    """Makes the first call to the emulator at an address. Raises ``grpc.RpcError``."""

    def command(self, port: int) -> tuple[str, ...]:
        """What serves it on a port: Java on its jar, which takes seconds less than gcloud's own launcher; the
        launcher where the component's files are not as they were.

        Raises:
            EmulatorAbsent: Java, gcloud or the component is not installed.
        """
        java, gcloud = shutil.which("java"), shutil.which("gcloud")
        if java is None:
            raise EmulatorAbsent("java", "install a Java runtime, on Debian with `apt install default-jre-headless`")
        folder = None if gcloud is None else self._folder(Path(gcloud))
        if gcloud is None or folder is None:
            remedy = f"run `gcloud components install {self.component}` (gcloud: https://cloud.google.com/sdk)"
            raise EmulatorAbsent(f"the {self.title} emulator", remedy)
        for jar in folder.glob(self.jar):
            return (java, *_JAVA_OPTIONS, "-cp", str(jar), *self.start, f"--host={HOST}", f"--port={port}")
        return (gcloud, "--quiet", "beta", "emulators", self.launcher, "start", f"--host-port={HOST}:{port}")

    def _folder(self, gcloud: Path) -> Path | None:
        places = [root / "platform" / self.component for root in (gcloud.resolve().parents[1], _PACKAGED)]
        return next((place for place in places if place.is_dir()), None)

    def service(self, port: int) -> Service:
        """It as a process of the stack. Raises as ``command`` does."""
        return Service(
            name=self.component.removeprefix("cloud-").replace("-", "_"),
            port=port,
            module="shared.local.program",
            arguments=self.command(port),
            # Options of somebody's own, such as a debugger's, would reach the emulator too.
            environment={"JAVA_TOOL_OPTIONS": ""},
            probe="/",
        )


def _warm_up_firestore(address: str) -> None:
    database = "projects/warm-up/databases/(default)"
    with open_channel(grpc, FIRESTORE_API, address) as channel:
        commit = make_stubs(channel, FIRESTORE_API, headers(database), address)["Commit"]
        commit(encode_commit(database, [Write("warm/up")]), timeout=FIRST_CALL_SECONDS, wait_for_ready=True)


def _warm_up_pubsub(address: str) -> None:
    PubsubProject(address, "warm-up").make_topic("warm-up")


FIRESTORE = Emulator(
    title="Firestore",
    component="cloud-firestore-emulator",
    jar="cloud-firestore-emulator.jar",
    start=("com.google.cloud.datastore.emulator.firestore.CloudFirestore", "start"),
    launcher="firestore",
    variable=FIRESTORE_API.emulator_variable,
    warm_up=_warm_up_firestore,
)

PUBSUB = Emulator(
    title="Pub/Sub",
    component="pubsub-emulator",
    jar="lib/*-all.jar",
    start=("com.google.cloud.pubsub.testing.v1.Main",),
    launcher="pubsub",
    variable=PUBSUB_API.emulator_variable,
    warm_up=_warm_up_pubsub,
)


def free_ports(count: int) -> Sequence[int]:
    """Ports that nobody listens on now; an emulator cannot say which one it was given."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
