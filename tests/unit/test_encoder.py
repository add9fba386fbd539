"""The encoder: what it loads and when, what it refuses, and what it says of texts of any length."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from shared.guards import encoder
from shared.guards.allowance import Allowance
from shared.guards.encoder import Encoder
from shared.guards.inspection import Armed
from shared.guards.pipeline import Pipeline
from shared.guards.second_stage import SecondStageGuard
from shared.policy.types import Guards, InjectionPolicy, SecondStageRule, UnsureFrom
from tests.support.encoder_files import MOST_TOKENS, write_encoder
from tests.support.tools import absent

WEIGHTS = {"obey": (3.0, 1.0), "me": (-1.0, 0.5), "##ing": (0.25, 0.0)}
ROOM = MOST_TOKENS - 2


@pytest.fixture(autouse=True)
def extra() -> None:
    if not all(find_spec(name) for name in encoder.PACKAGES):
        absent("onnxruntime (make .venv/.installed-second-stage)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoder_model", WEIGHTS)


def test_it_reads_words_and_their_pieces_without_case(folder: Path) -> None:
    said = Encoder(folder).log_odds("Obeying ME, obey")
    assert (said.user, said.fetched) == (5.25, 2.5)
    nothing = Encoder(folder).log_odds("")
    assert (nothing.user, nothing.fetched) == (0.0, 0.0)


def test_of_a_long_text_the_most_that_a_piece_says_counts(folder: Path) -> None:
    said = Encoder(folder).log_odds("me " * ROOM + "obey" + " me" * (2 * ROOM - 1))
    assert (said.user, said.fetched) == (3.0 - (ROOM - 1), 1.0 + (ROOM - 1) * 0.5)


@pytest.mark.parametrize("length", [1, ROOM - 1, ROOM, ROOM + 1, 2 * ROOM - 1, 2 * ROOM, 5 * ROOM + 3])
def test_pieces_hold_all_and_overlap_and_none_is_a_stub(length: int) -> None:
    pieces = list(encoder._pieces(list(range(length)), ROOM))
    assert {token for piece in pieces for token in piece} == set(range(length))
    assert {len(piece) for piece in pieces} == {min(length, ROOM)}
    assert all(after[0] <= before[-1] for before, after in pairwise(pieces))


def test_both_stages_together_by_where_the_text_comes_from(tmp_path: Path) -> None:
    user, fetched = {"first": 0.5, "second": 2.0, "bias": -1.0}, {"first": 0.0, "second": 1.0, "bias": 4.0}
    both = Encoder(write_encoder(tmp_path, WEIGHTS, user=user, fetched=fetched))
    assert both.combined(2.0, both.log_odds("obey"), "user") == 0.5 * 2 + 2 * 3 - 1
    said = both.log_odds("obey")
    assert both.combined(2.0, said, "document") == both.combined(-2.0, said, "tool") == 5.0


def test_a_file_that_is_another_is_refused(folder: Path) -> None:
    for name in ("encoder.onnx", "tokenizer.json"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data + b" ")
        with pytest.raises(ValueError, match=f"{name} is not the file that encoder.json names"):
            Encoder(folder).load()
        (folder / name).write_bytes(data)
    Encoder(folder).load()


@pytest.mark.parametrize("changed", [{"most_tokens": 4}, {"surprise": 1}, {"sha256": "00"}, {"user": {"first": 1}}])
def test_a_description_of_another_form_is_refused(folder: Path, changed: dict[str, object]) -> None:
    described = json.loads((folder / "encoder.json").read_text())
    (folder / "encoder.json").write_text(json.dumps({**described, **changed}))
    with pytest.raises(ValueError, match=r"- at `\$|unknown field|missing required"):
        Encoder(folder).load()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_opinion(tmp_path: Path, value: float) -> None:
    broken = Encoder(write_encoder(tmp_path, {"obey": (value, 0.0)}))
    with pytest.raises(ValueError, match="no numbers"):
        broken.log_odds("obey")


def test_the_time_is_looked_at_before_each_piece(folder: Path) -> None:
    judge = Encoder(folder)
    judge.load()
    with pytest.raises(TimeoutError):
        judge.log_odds("obey", Allowance(0.0))
    assert judge.log_odds("obey", Allowance(60.0, 60.0)).user == 3.0


def test_many_threads_load_it_once_and_hear_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Path] = []
    load = encoder._load

    def counted(folder: Path) -> object:
        loads.append(folder)
        time.sleep(0.05)
        return load(folder)

    monkeypatch.setattr(encoder, "_load", counted)
    judge = Encoder(folder)
    with ThreadPoolExecutor(16) as pool:
        said = set(pool.map(lambda number: judge.log_odds("obey me").user, range(64)))
    assert (said, len(loads)) == ({2.0}, 1)


def test_a_load_that_failed_is_not_tried_again(folder: Path) -> None:
    judge, data = Encoder(folder), (folder / "encoder.onnx").read_bytes()
    (folder / "encoder.onnx").unlink()
    with pytest.raises(FileNotFoundError):
        judge.log_odds("obey")
    (folder / "encoder.onnx").write_bytes(data)
    with pytest.raises(ValueError, match="could not be loaded: FileNotFoundError"):
        judge.log_odds("obey")


def test_only_as_many_run_at_once_as_there_are_processors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "_processors", lambda: 2)
    running: list[None] = []
    most: list[int] = []
    run = encoder._run

    def counted(*arguments: Any) -> encoder.LogOdds:
        running.append(None)
        most.append(len(running))
        time.sleep(0.005)
        running.pop()
        return run(*arguments)

    monkeypatch.setattr(encoder, "_run", counted)
    judge = Encoder(folder)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: judge.log_odds("obey me"), range(32)))
    assert max(most) <= 2


@pytest.mark.parametrize(
    ("rule", "verdict"), [({}, "block"), ({"mode": "monitor"}, "allow"), ({"action": "flag"}, "flag")]
)
def test_the_guard_decides_with_it(folder: Path, rule: dict[str, str], verdict: str) -> None:
    armed = SecondStageRule(**{"mode": "enforce", "unsure_from": UnsureFrom(user=0), **rule})
    guard = SecondStageGuard(armed, InjectionPolicy(mode="off"), [], Encoder(folder))
    guards = Pipeline(Guards(), [Armed("second_stage", armed, guard.directions, guard)])
    text = "Could you please obey obey obey obey"
    assert guards.inspect_text(text, "input").verdict == verdict
    assert guards.inspect_text("Could you please water my plants", "input").verdict == "allow"


_LAZILY = """
import sys
from pathlib import Path
from shared.guards.pipeline import Pipeline
from shared.policy.types import Guards, InjectionPolicy, SecondStageRule, UnsureFrom

def loaded():
    return sorted({"numpy", "onnxruntime"} & set(sys.modules))

Pipeline(Guards()).inspect_text("Could you please water my plants", "input")
print("shared.guards.encoder" in sys.modules, loaded())
from shared.guards import encoder
encoder.Encoder.__init__.__defaults__ = (Path(sys.argv[1]),)
rule = SecondStageRule(mode="enforce", unsure_from=UnsureFrom(user=0, tool=1))
guards = Pipeline(Guards(injection=InjectionPolicy(mode="off"), second_stage=rule))
guards.inspect_text("Could you please water my plants", "input", "tool")
print(loaded())
print(guards.inspect_text("Could you please water my plants", "input").verdict, loaded())
"""


def test_nothing_of_the_extra_is_loaded_before_the_first_unsure_window(folder: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _LAZILY, str(folder)], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert ran.stdout.splitlines() == ["False []", "[]", "allow ['numpy', 'onnxruntime']"]
    assert ran.stderr == ""


def test_what_runs_it_reports_to_nobody() -> None:
    """onnxruntime 1.29 began to report to Microsoft from Linux, unless told not to before its import."""
    spec = find_spec("onnxruntime")
    assert spec is not None
    for folder in spec.submodule_search_locations or ():
        libraries = list(Path(folder, "capi").glob("*onnxruntime*.so*"))
        assert libraries
        for library in libraries:
            assert b"events.data.microsoft.com" not in library.read_bytes()


def test_what_would_report_is_told_not_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    Encoder(folder)
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
