"""The second stage: which windows are shown to the encoder, what its word means, and what its failures mean."""

from __future__ import annotations

import base64
import json
import re
import time
from array import array
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from threading import Semaphore
from typing import Any

import pytest
import yaml

from shared.cli.main import main
from shared.errors import ConfigurationError
from shared.guards import encoder
from shared.guards.allowance import Allowance
from shared.guards.backtest import Backtest
from shared.guards.encoder import LogOdds
from shared.guards.inspection import Armed
from shared.guards.linear import BUCKETS, WINDOW, LinearModel, word_features
from shared.guards.pipeline import Pipeline
from shared.guards.port import Channel
from shared.guards.second_stage import KIND, SecondStageGuard
from shared.policy.load import load_policy
from shared.policy.types import AllowedPhrase, Guards, InjectionPolicy, SecondStageRule, Thresholds, UnsureFrom
from tests.support.chats import chat

PLAIN = "Would you kindly read me the letter of my aunt"
EVIL = "Would you evil kindly read me the letter of my aunt"
OFF = Thresholds(user=1, document=1, tool=1)


class Judge:
    """Suspects windows with the word ``evil``, and takes its time."""

    def __init__(self, seconds: float = 0.0, load_seconds: float = 0.0) -> None:
        self.asked: list[str] = []
        self.combines: list[Channel] = []
        self._turns = Semaphore()
        self.loads = 0
        self._seconds = seconds
        self._load_seconds = load_seconds

    def load(self) -> None:
        self.loads += 1
        time.sleep(self._load_seconds)

    def log_odds(self, text: str, allowance: Allowance) -> LogOdds:
        with allowance.turn(self._turns):
            self.asked.append(text)
            until = time.thread_time() + self._seconds
            while time.thread_time() < until:
                pass
        said = 9.0 if "evil" in text else -9.0
        return LogOdds(said, said)

    def combined(self, first: float, second: LogOdds, channel: Channel) -> float:
        self.combines.append(channel)
        return first + (second.user if channel == "user" else second.fetched)


def scoring(user: float, fetched: float) -> Mapping[Channel, LinearModel]:
    """Models that give every window these log odds."""
    models = [LinearModel(array("b", bytes(BUCKETS)), 1.0, bias) for bias in (user, fetched)]
    return {"user": models[0], "document": models[1], "tool": models[1]}


def pipeline(
    judge: Judge,
    *,
    user: float = 0.0,
    fetched: float = 0.0,
    injection: InjectionPolicy | None = None,
    allow: Sequence[AllowedPhrase] = (),
    **rule: Any,
) -> Pipeline:
    armed = SecondStageRule(**{"mode": "enforce", **rule})
    guard = SecondStageGuard(armed, injection or InjectionPolicy(), allow, judge, lambda: scoring(user, fetched))
    return Pipeline(Guards(), [Armed("second_stage", armed, guard.directions, guard)])


def long(words: int, *, evil: int | None = None) -> str:
    """A text in which every window is another, of so many words, one of them ``evil``."""
    return " ".join("evil" if number == evil else f"word{number}" for number in range(words))


# --- which windows are shown -----------------------------------------------------------------------


@pytest.mark.parametrize(("score", "asked"), [(-0.01, 0), (0.0, 1), (2.0, 1), (2.197224577, 1), (2.1973, 0), (9.0, 0)])
def test_what_is_between_both_thresholds_is_shown(score: float, asked: int) -> None:
    judge = Judge()
    inspection = pipeline(judge, user=score).inspect_text(PLAIN, "input")
    assert (len(judge.asked), judge.loads, inspection.verdict) == (asked, asked, "allow")
    assert [(run.status, run.bytes_seen) for run in inspection.runs[:1]] == [("ran", len(PLAIN))]


@pytest.mark.parametrize(
    ("injection", "asked"),
    [
        (InjectionPolicy(), 0),
        (InjectionPolicy(action="redact"), 1),
        (InjectionPolicy(fail="open"), 1),
        (InjectionPolicy(thresholds=OFF), 1),
        (InjectionPolicy(action="flag"), 1),
        (InjectionPolicy(mode="monitor"), 1),
        (InjectionPolicy(mode="off"), 1),
    ],
)
def test_what_the_first_stage_is_sure_of_is_shown_only_where_that_stops_nothing(
    injection: InjectionPolicy, asked: int
) -> None:
    judge = Judge()
    pipeline(judge, user=5.0, injection=injection).inspect_text(PLAIN, "input")
    assert len(judge.asked) == asked


@pytest.mark.parametrize(("named", "asked"), [("injection", 1), ("suspicious", 0)])
def test_what_a_phrase_may_let_through_is_shown_however_sure_the_first_stage_is(named: Any, asked: int) -> None:
    judge = Judge()
    phrase = AllowedPhrase(phrase="ignore all previous instructions", until=date(2999, 1, 1), guards=[named])
    assert pipeline(judge, user=5.0, allow=[phrase]).inspect_text(EVIL, "input").verdict == (
        "block" if asked else "allow"
    )
    assert len(judge.asked) == asked


def test_a_channel_whose_findings_would_never_count_is_not_looked_at() -> None:
    judge = Judge()
    guards = pipeline(judge, thresholds=Thresholds(user=1), injection=InjectionPolicy(mode="off"))
    guards.inspect_text(EVIL, "input")
    assert (judge.asked, judge.loads) == ([], 0)
    assert guards.inspect_text(EVIL, "input", "document").verdict == "block"


@pytest.mark.parametrize("gap", ["_" * 20, " " + "_" * 8000 + " ", "\n_ _\t_\n", "   "])
def test_what_is_no_word_takes_no_word_s_place(gap: str) -> None:
    judge = Judge()
    assert pipeline(judge).inspect_text(EVIL.replace(" ", gap), "input").verdict == "block"
    assert judge.asked == [EVIL]


def test_signs_and_words_are_shown_as_they_stand() -> None:
    judge = Judge()
    text = "don't e-mail https://a.example/x?y=1 (twice) ... to my_aunt!"
    pipeline(judge).inspect_text(text, "input")
    assert judge.asked == [text.replace("_", " ")]


def test_what_is_shown_of_a_window_is_bounded() -> None:
    judge = Judge()
    text = "__ ".join(f"{number:064}" for number in range(WINDOW * 3))
    pipeline(judge, action="flag").inspect_text(text, "input")
    assert judge.asked
    assert max(map(len, judge.asked)) < WINDOW * 33


def test_the_same_words_are_judged_once_whatever_the_first_stage_says_of_them() -> None:
    judge = Judge()
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": PLAIN},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": PLAIN},
    ]
    pipeline(judge, fetched=0.5).inspect_request(chat(messages=messages))
    assert (judge.asked, judge.combines) == ([PLAIN], ["tool", "user"])


def test_a_channel_can_be_left_out() -> None:
    judge = Judge()
    guards = pipeline(judge, unsure_from=UnsureFrom(user=1), injection=InjectionPolicy(mode="off"))
    guards.inspect_text(EVIL, "input")
    assert judge.asked == []
    guards.inspect_text(EVIL, "input", "tool")
    assert (judge.asked, judge.combines) == ([EVIL], ["tool"])


def test_each_channel_has_models_and_thresholds_of_its_own() -> None:
    judge = Judge()
    guards = pipeline(judge, user=-5.0, fetched=1.0, thresholds=Thresholds(document=0.99, tool=0.99999))
    assert guards.inspect_text(EVIL, "input", "user").verdict == "allow"
    assert guards.inspect_text(EVIL, "input", "document").verdict == "block"
    assert guards.inspect_text(EVIL, "input", "tool").verdict == "allow"
    assert judge.combines == ["document", "tool"]


def test_few_words_say_too_little() -> None:
    judge = Judge()
    guards = pipeline(judge)
    assert guards.inspect_text("evil evil evil evil is mine", "input").verdict == "allow"
    assert guards.inspect_text("evil evil evil evil is it mine", "input").verdict == "block"
    assert judge.asked == ["evil evil evil evil is it mine"]


def test_answers_are_not_read() -> None:
    judge = Judge()
    inspection = pipeline(judge).inspect_text(EVIL, "output")
    assert (inspection.verdict, judge.asked) == ("allow", [])
    assert "second_stage" not in {run.guard for run in inspection.runs}


def test_the_same_words_are_judged_once() -> None:
    judge = Judge()
    pipeline(judge).inspect_request(chat(*[PLAIN + long(WINDOW)] * 3))
    assert len(judge.asked) == len(set(judge.asked))


# --- what is found ---------------------------------------------------------------------------------


def test_a_window_that_is_suspected_is_a_finding_with_its_place() -> None:
    judge = Judge()
    evil = long(5 * WINDOW, evil=3 * WINDOW)
    (finding,) = pipeline(judge, action="flag").inspect_text(evil, "input").findings
    assert (finding.guard, finding.kind, finding.owasp, finding.action) == (
        "second_stage",
        KIND,
        "LLM01:2023/LLM01:2025",
        "flag",
    )
    assert 0.99 < finding.score <= 1
    start, end = finding.span
    assert "evil" in evil[start:end].split()
    assert len(evil[start:end].split()) == 3 * WINDOW // 2, "both windows that hold the word"
    assert pipeline(judge).inspect_text(long(5 * WINDOW), "input").verdict == "allow"


def test_one_window_suffices_to_block_and_a_report_names_all() -> None:
    text = " ".join([EVIL] * 60)
    blocking, reporting, watching = Judge(), Judge(), Judge()
    assert pipeline(blocking).inspect_text(text, "input").verdict == "block"
    assert pipeline(reporting, action="flag").inspect_text(text, "input").verdict == "flag"
    found = pipeline(watching, mode="monitor").inspect_text(text, "input")
    assert (found.verdict, found.runs[0].status) == ("allow", "monitor")
    assert found.findings
    assert not any(finding.enforced for finding in found.findings)
    assert len(blocking.asked) == 1 < len(reporting.asked) == len(watching.asked)


@pytest.mark.parametrize(
    "disguise",
    [
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: text.replace("e", "\u0435"),
        lambda text: text.replace(" ", " \u200b"),
        lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    ],
    ids=["base64", "lookalikes", "invisible", "entities"],
)
def test_a_disguise_does_not_hide_and_the_place_is_in_the_original(disguise: Any) -> None:
    hidden = disguise(EVIL)
    text = f"Look: {hidden} (that was all)"
    judge = Judge()
    findings = pipeline(judge, action="flag").inspect_text(text, "input").findings
    assert findings
    for finding in findings:
        start, end = finding.span
        assert 0 <= start < end <= len(text)
        assert start < text.index(hidden) + len(hidden)
        assert end > text.index(hidden)


def test_what_is_split_over_two_messages_is_read_as_one() -> None:
    judge = Judge()
    asked = chat("Would you evil", "kindly read")
    findings = pipeline(judge).inspect_request(asked).findings
    assert [(finding.part, finding.span) for finding in findings] == [
        ("messages[0].content", (0, 14)),
        ("messages[1].content", (0, 11)),
    ]
    assert judge.asked == ["Would you evil kindly read"]


def test_tools_results_are_judged_as_what_they_are() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": PLAIN},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": EVIL},
    ]
    judge = Judge()
    inspection = pipeline(judge, user=-1.0).inspect_request(chat(messages=messages))
    assert [finding.part for finding in inspection.findings] == ["messages[2].content"]
    assert (judge.asked, judge.combines) == ([EVIL], ["tool"])


# --- time and failure ------------------------------------------------------------------------------


@pytest.mark.parametrize(("fail", "verdict"), [("closed", "block"), ("open", "allow")])
def test_what_is_not_decided_in_time_is_the_fail_mode_s_business(fail: str, verdict: str) -> None:
    judge = Judge(seconds=0.03)
    inspection = pipeline(judge, fail=fail, deadline_ms=50).inspect_text(long(20 * WINDOW), "input")
    assert inspection.verdict == verdict
    assert (inspection.runs[0].status, inspection.runs[0].bytes_seen) == (f"failed_{fail}", 0)
    assert inspection.faults == {"second_stage": "TimeoutError"}
    assert 1 <= len(judge.asked) <= 3


def test_loading_is_not_of_the_request_s_time() -> None:
    judge = Judge(load_seconds=0.1)
    inspection = pipeline(judge, deadline_ms=50).inspect_text(PLAIN, "input")
    assert (inspection.runs[0].status, len(judge.asked)) == ("ran", 1)


def test_the_most_suspected_comes_first_so_that_it_counts_before_time_is_over() -> None:
    table = array("b", bytes(BUCKETS))
    table[word_features("evil").buckets[0]] = 100
    model = LinearModel(table, 0.05, 0.0)
    rule = SecondStageRule(mode="enforce", fail="open", deadline_ms=50)
    judge = Judge(seconds=0.03)
    guard = SecondStageGuard(
        rule, InjectionPolicy(mode="off"), [], judge, lambda: {"user": model, "document": model, "tool": model}
    )
    guards = Pipeline(Guards(), [Armed("second_stage", rule, guard.directions, guard)])
    assert guards.inspect_text(long(40 * WINDOW, evil=39 * WINDOW), "input").verdict == "block"
    assert len(judge.asked) == 1


@pytest.mark.parametrize(
    ("rule", "status", "verdict"),
    [
        ({"action": "flag", "fail": "open"}, "failed_open", "flag"),
        ({"action": "flag"}, "failed_closed", "block"),
        ({"mode": "monitor"}, "failed_open", "allow"),
    ],
    ids=repr,
)
def test_a_report_that_is_not_whole_tells_what_was_found_and_that_it_failed(
    rule: dict[str, str], status: str, verdict: str
) -> None:
    judge = Judge(seconds=0.03)
    text = " ".join([EVIL, long(20 * WINDOW)])
    inspection = pipeline(judge, deadline_ms=50, **rule).inspect_text(text, "input")
    assert (inspection.runs[0].status, inspection.runs[0].bytes_seen, inspection.verdict) == (status, 0, verdict)
    assert inspection.faults == {"second_stage": "TimeoutError"}
    assert [finding.guard for finding in inspection.findings] == ["second_stage"]


def test_neighbours_do_not_eat_a_request_s_time() -> None:
    """Each request needs more than half of its time, and they wait for each other."""
    judge = Judge(seconds=0.02)
    guards = pipeline(judge, deadline_ms=200)
    texts = [f"{number} {long(3 * WINDOW)}" for number in range(8)]
    with ThreadPoolExecutor(len(texts)) as pool:
        runs = list(pool.map(lambda text: guards.inspect_text(text, "input").runs[0].status, texts))
    assert runs == ["ran"] * len(texts)
    assert len(judge.asked) > 3 * len(texts)


@pytest.mark.parametrize(("fail", "verdict"), [("closed", "block"), ("open", "allow")])
def test_a_model_that_cannot_be_loaded_is_the_fail_mode_s_business(fail: str, verdict: str) -> None:
    class Broken(Judge):
        def load(self) -> None:
            raise ValueError("encoder.onnx is not the file that encoder.json names by its SHA-256")

    guards = pipeline(Broken(), fail=fail)
    assert guards.inspect_text(PLAIN, "input").verdict == verdict
    assert guards.inspect_text("Hello", "input").runs[0].status == "ran", "nothing was unsure"


# --- the policy ------------------------------------------------------------------------------------


def policy(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    return file


def test_it_is_off_by_default_and_says_so() -> None:
    inspection = Pipeline(Guards()).inspect_text(PLAIN, "input")
    assert [run.status for run in inspection.runs if run.guard == "second_stage"] == ["skipped"]


def test_a_policy_that_would_never_ask_is_refused_with_its_path(tmp_path: Path) -> None:
    file = policy(
        tmp_path,
        "guards: {injection: {thresholds: {user: 0.4}}, second_stage: {mode: monitor}}\n"
        "tenants: {acme: {guards: {second_stage: {unsure_from: {user: 1, document: 0.9, tool: 0.95}}}}}",
    )
    with pytest.raises(ConfigurationError) as refused:
        load_policy(file)
    assert [fault.path.removeprefix(f"{file}: ") for fault in refused.value.faults] == [
        "guards.second_stage.unsure_from.user",
        "tenants.acme.guards.second_stage.unsure_from.document",
        "tenants.acme.guards.second_stage.unsure_from.tool",
    ]


@pytest.mark.parametrize(
    "other",
    [
        "injection: {mode: off}",
        "injection: {mode: monitor}",
        "injection: {action: flag}",
        "injection: {action: redact}",
        "injection: {fail: open}",
        "allow: [{phrase: ignore all previous instructions, until: 2999-01-01}]",
    ],
)
def test_where_there_is_no_upper_end_no_lower_one_is_too_high(tmp_path: Path, other: str) -> None:
    stage = "second_stage: {mode: monitor, unsure_from: {user: 0.95}}"
    load_policy(policy(tmp_path, f"guards: {{{stage}, {other}}}"))
    with pytest.raises(ConfigurationError):
        load_policy(policy(tmp_path, f"guards: {{{stage}}}"))


def test_the_documented_policy_is_the_one_that_was_measured() -> None:
    root = Path(__file__).parents[2]
    documented = (root / "docs/guards/second_stage.md").read_text()
    block = documented.partition("```yaml\n")[2].partition("```")[0]
    measured = yaml.safe_load((root / "tests/evaluation/both_stages.yaml").read_text())
    assert yaml.safe_load(block) == measured


def test_what_is_not_installed_stops_the_start_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder.shipped_encoder.cache_clear()
    monkeypatch.setattr(encoder, "find_spec", lambda name: None if name == "onnxruntime" else find_spec("re"))
    assert main(["policy", "check", str(policy(tmp_path, "guards: {second_stage: {mode: monitor}}"))]) == 2
    told = capsys.readouterr().err
    assert "guards.second_stage.mode: needs onnxruntime: pip install --require-hashes -r functions/guard/" in told
    assert "needs numpy" not in told
    assert (Path(__file__).parents[2] / encoder.REQUIREMENTS).is_file()


@pytest.mark.parametrize("absent", encoder.FILES)
def test_files_that_are_not_there_stop_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    monkeypatch.setattr(encoder, "find_spec", lambda name: find_spec("re"))
    for name in encoder.FILES:
        (tmp_path / name).write_bytes(b"")
    encoder.Encoder(tmp_path)
    (tmp_path / absent).unlink()
    with pytest.raises(ConfigurationError, match=rf"guards\.second_stage\.mode: needs {re.escape(absent)} in "):
        encoder.Encoder(tmp_path)


def test_a_backtest_says_what_it_would_change() -> None:
    test = Backtest(Pipeline(Guards()), pipeline(Judge()))
    for number in range(3):
        test.add(EVIL, number, "input", "document")
    (change,) = test.changes
    assert (change.before, change.after, change.count, dict(test.kinds[1])) == (
        "allow",
        "block",
        3,
        {f"second_stage/{KIND}": 3},
    )


def test_scan_and_backtest_run_it_from_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(encoder, "shipped_encoder", Judge)
    on = policy(tmp_path, "guards: {injection: {mode: off}, second_stage: {mode: enforce, unsure_from: {user: 0}}}")
    monkeypatch.setenv("WARDGATE_POLICY", str(on))
    assert main(["scan", PLAIN]) == 0
    assert main(["scan", EVIL]) == 1
    assert f"second_stage  {KIND}" in capsys.readouterr().out
    (tmp_path / "rows.jsonl").write_text(json.dumps({"id": 1, "text": EVIL}))
    off = tmp_path / "off.yaml"
    off.write_text("guards: {injection: {mode: off}}")
    assert main(["policy", "backtest", str(off), "--jsonl", str(tmp_path / "rows.jsonl")]) == 1, "a verdict changes"
    assert f"second_stage/{KIND}" in capsys.readouterr().out
