"""Whatever a request holds, the second stage finds places within it, or fails in the ways that it names."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from shared.guards.allowance import Allowance
from shared.guards.encoder import LogOdds
from shared.guards.inspection import Armed
from shared.guards.linear import BUCKETS, LinearModel
from shared.guards.pipeline import Pipeline
from shared.guards.port import Channel
from shared.guards.second_stage import SecondStageGuard
from shared.policy.types import Guards, InjectionPolicy, SecondStageRule
from tests.support.chats import chat

WORDS = st.sampled_from(
    [
        "ignore",
        "evil",
        "the",
        "aunt's",
        "letter",
        "\u200b",
        "<b>",
        "ZXZpbCBldmlsIGV2aWw=",
        "еvil",
        "&#101;",
        "中文",
        "%65",
        "__",
        "my_aunt",
    ]
)
TEXTS = st.lists(WORDS, max_size=200).map(" ".join) | st.text(max_size=200)


class Judge:
    """Suspects by a word; its time is over after so many windows."""

    def __init__(self, most: int) -> None:
        self._most = most

    def load(self) -> None:
        pass

    def log_odds(self, text: str, allowance: Allowance) -> LogOdds:
        assert text
        assert "_" not in text
        self._most -= 1
        if self._most < 0:
            raise TimeoutError
        said = 5.0 if "evil" in text else -5.0
        return LogOdds(said, said)

    def combined(self, first: float, second: LogOdds, channel: Channel) -> float:
        return second.user


@given(st.lists(TEXTS, min_size=1, max_size=4), st.integers(0, 12), st.sampled_from(["block", "flag"]))
def test_findings_lie_in_their_texts_and_failures_are_told(texts: list[str], most: int, action: str) -> None:
    rule = SecondStageRule(mode="enforce", action=action, fail="closed")
    model = LinearModel(array("b", bytes(BUCKETS)), 1.0, 0.0)
    models: dict[Channel, LinearModel] = {"user": model, "document": model, "tool": model}
    guard = SecondStageGuard(rule, InjectionPolicy(), [], Judge(most), lambda: models)
    guards = Pipeline(Guards(), [Armed("second_stage", rule, guard.directions, guard)])
    inspection = guards.inspect_request(chat(*texts))
    run = inspection.runs[0]
    assert inspection.faults.get("second_stage") in (None, "TimeoutError")
    assert run.status == ("failed_closed" if inspection.faults else "ran")
    if inspection.faults:
        assert inspection.verdict == "block"
        assert not inspection.findings or action == "flag", "the first one that blocks is enough"
    else:
        assert (inspection.verdict == "allow") == (not inspection.findings)
    for finding in inspection.findings:
        index = int(finding.part.removeprefix("messages[").partition("]")[0])
        start, end = finding.span
        assert 0 <= start < end <= len(texts[index])
        assert 0.99 < finding.score < 1
