"""The way of an event with real processes: writer, spool, deliverer, the function audit_archive, folder."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import urllib3

from shared.audit.show import Filter, read_entries
from shared.audit.verify import Verifier
from shared.audit.writer import ChainWriter
from shared.clock import SystemClock
from shared.policy.types import Audit
from shared.stores.folder_objects import FolderObjects
from shared.stores.spool import SpoolBus
from tests.support.audit_events import Peppers, interaction
from tests.support.function_process import FunctionProcess
from tests.support.messages import CASES, MARKER, binary, made, post, status_of
from tests.support.stepped_deliverer import SteppedDeliverer


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="module")
def sink(home: Path) -> Iterator[FunctionProcess]:
    with FunctionProcess("audit_archive", home) as running:
        yield running
        assert running.process is not None
        assert running.process.poll() is None, running.output


def objects(home: Path) -> FolderObjects:
    return FolderObjects(home / "objects")


def deliver_all(spool: Path, sink: FunctionProcess) -> None:
    with SteppedDeliverer(spool, {"archive": sink.url}) as deliverer:
        deadline = time.monotonic() + 30
        while deliverer.pending():
            assert time.monotonic() < deadline, deliverer.dead_letters()
            if not deliverer.deliver_once():
                time.sleep(0.01)
        assert deliverer.dead_letters() == []


def forms(text: str) -> list[bytes]:
    """A text as it is, in hexadecimal, and in base64 at each of its three alignments."""
    raw = text.encode()
    aligned = [base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)]
    return [raw, raw[::-1], raw.hex().encode(), raw.hex().upper().encode(), *aligned]


def test_events_arrive_once_and_hold_no_text(home: Path, sink: FunctionProcess, tmp_path: Path) -> None:
    spool = tmp_path / "spool.db"
    bus = SpoolBus(spool)
    writer = ChainWriter(bus, Peppers(), Audit(), SystemClock(), "//wardgate/guard")
    said = {"prompt": f"please {MARKER} me", "answer": f"so {MARKER}", "user": f"{MARKER}@example.com"}
    told = [writer.record(interaction(request_id=f"req_{number}", **said)) for number in range(20)]
    writer.close()
    bus.close()
    spooled = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    deliver_all(spool, sink)

    archive = objects(home)
    chain = [name for name in archive.list("archive/") if told[0].chain_uid in name]
    assert [int(name[-21:-5]) for name in chain] == list(range(22))
    stored = b"".join(archive.read(name) or b"" for name in chain)
    for form in forms(MARKER):
        assert form not in stored
        assert form not in spooled
        assert form not in sink.output.encode()
    assert b"wardgate.prompt.hmac" in stored
    assert Verifier(archive, {}).verify(datetime.now(UTC)).sound
    (entry,) = read_entries(archive, Filter(request_id="req_7"))
    assert entry.intact


PUBLISHER = """
import sys
from pathlib import Path
from shared.audit.writer import ChainWriter
from shared.clock import SystemClock
from shared.policy.types import Audit
from shared.stores.spool import SpoolBus
from tests.support.audit_events import Peppers, interaction

writer = ChainWriter(SpoolBus(Path(sys.argv[1])), Peppers(), Audit(), SystemClock(), "//wardgate/guard")
for number in range(1_000_000):
    told = writer.record(interaction(request_id=f"req_{number}"))
    print(told.seq, flush=True)
"""


def test_a_killed_writer_leaves_a_whole_chain_of_all_it_told(sink: FunctionProcess, home: Path, tmp_path: Path) -> None:
    spool = tmp_path / "spool.db"
    publishers = [
        subprocess.Popen([sys.executable, "-c", PUBLISHER, str(spool)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for publisher in publishers:
        assert publisher.stdout is not None
        for _ in range(40):
            publisher.stdout.readline()
    for publisher in publishers:
        publisher.send_signal(signal.SIGKILL)
    outputs = [publisher.communicate()[0] for publisher in publishers]
    before = Verifier(objects(home), {}).verify(datetime.now(UTC))
    deliver_all(spool, sink)
    found = Verifier(objects(home), {}).verify(datetime(2100, 1, 1, tzinfo=UTC))
    assert found.integrity.sound
    assert {fault.kind for fault in found.completeness.faults.shown} <= {"unrecorded"}  # its numbers are made up
    assert found.chains - before.chains == 2
    assert found.open_chains - before.open_chains == 2
    acknowledged = sum(40 + output.count("\n") for output in outputs)
    assert found.events - before.events >= acknowledged + 2, "what was acknowledged is there, and the open events"


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_event_is_refused_in_a_few_words(sink: FunctionProcess, home: Path, case: str) -> None:
    before = list(objects(home).list(""))
    answer = post(sink, *CASES[case])
    assert answer.status == status_of(case)
    told = json.loads(answer.data)["error"]
    assert len(told["message"]) < 80
    assert MARKER not in answer.data.decode() + str(answer.headers) + sink.output
    assert "Traceback" not in sink.output
    assert list(objects(home).list("")) == before


def test_other_methods_are_refused(sink: FunctionProcess) -> None:
    answer = urllib3.request("GET", sink.url, retries=False, timeout=10)
    assert answer.status == 405
    assert json.loads(answer.data)["error"]["code"] == "malformed_event"


def test_the_same_event_is_fine_and_another_in_its_place_is_not(sink: FunctionProcess, home: Path) -> None:
    first, second = made(chain_uid="b" * 32), made(chain_uid="b" * 32, source="//wardgate/other")
    assert [post(sink, first.data, binary(first)).status for _ in range(2)] == [200, 200]
    assert post(sink, second.data, binary(second)).status == 409
    (name,) = [name for name in objects(home).list("archive/") if "b" * 32 in name]
    assert objects(home).read(name) == first.data
    assert "audit.conflict" in sink.output


def test_while_the_archive_cannot_be_written_events_are_to_be_sent_again(sink: FunctionProcess, home: Path) -> None:
    event = made(chain_uid="c" * 32)
    (home / "objects").rename(home / "aside")
    (home / "objects").write_text("a file where the folder should be")
    answer = post(sink, event.data, binary(event))
    (home / "objects").unlink()
    (home / "aside").rename(home / "objects")
    assert answer.status == 503
    assert str(home) not in answer.data.decode()
    assert post(sink, event.data, binary(event)).status == 200
