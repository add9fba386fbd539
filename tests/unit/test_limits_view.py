"""``wardgate limits``: what it shows, and that a reset keeps the numbers and what calls hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.admission.counters import Rule, lease_window
from shared.admission.limiter import Limiter, connect_limiter
from shared.admission.port import Usage
from shared.admission.view import LimitsView, Subject
from shared.cli.main import main
from shared.clock import SystemClock
from shared.identity.caller import Caller
from shared.policy.load import load_policy
from shared.policy.types import AdmissionPolicy, RateLimit
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.virtual_time import ManualClock, VirtualDocuments

CALLER = Caller("acme", "key-1", "api_key", frozenset(), user="ann")
LIMITS = [
    RateLimit(name="requests", amount=5, window_seconds=60),
    RateLimit(name="calls", kind="concurrency", amount=5),
    RateLimit(name="money", kind="cost", amount=100, window="day", per="user"),
]


def test_limits_are_shown_and_reset_by_subject() -> None:
    clock = ManualClock()
    store = VirtualDocuments(clock)
    limiter = Limiter(store, LIMITS, AdmissionPolicy(), clock, lease_seconds=60)
    view = LimitsView(store, [Rule(limit, lease_window(60, 300), 300) for limit in LIMITS], clock)
    first = limiter.reserve(CALLER, "default", Usage(cost=30))
    limiter.settle(first, Usage(cost=20))
    limiter.reserve(CALLER, "default", Usage(cost=40))

    def used(subject: str) -> dict[str, int]:
        return {row.name: row.used for row in view.show(Subject.parse(subject))}

    commits = len(store.commits)
    assert used("key-1") == {"requests": 2, "calls": 1}
    assert used("user:acme/ann") == {"money": 60}
    assert used("key:other") == {"requests": 0, "calls": 0}
    assert len(store.commits) == commits, "showing changes nothing"
    assert view.reset(Subject.parse("key:key-1")) == 1
    assert used("key:key-1") == {"requests": 0, "calls": 1}
    assert view.reset(Subject.parse("user:acme/ann")) == 1
    assert used("user:acme/ann") == {"money": 40}, "what a running call holds stays"
    assert limiter.reserve(CALLER, "default", Usage(cost=1)).seq == 3, "the numbers stay"
    assert view.reset(Subject.parse("global")) == 0


@pytest.mark.parametrize("text", ["user:ann", "key:", "team:x", "global:x"])
def test_what_is_no_subject_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give"):
        Subject.parse(text)


def test_the_command_reads_the_store_and_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WARDGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WARDGATE_DOCUMENTS", f"sqlite://{tmp_path / 'documents.db'}")
    assert main(["rotate", "run"]) == 0  # makes the home, whose audit trail takes a reset
    capsys.readouterr()
    documents = SqliteDocuments(tmp_path / "documents.db")
    connect_limiter(documents, load_policy().file, SystemClock()).reserve(CALLER, "default", Usage())
    documents.close()
    assert main(["limits", "show", "key:key-1", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["amount"], row["used"], row["remaining"]) == ("requests-per-minute", 20, 1, 19)
    assert main(["limits", "show", "key:key-1"]) == 0
    assert "REMAINING" in capsys.readouterr().out
    assert main(["limits", "reset", "key-1"]) == 0
    assert main(["limits", "show", "key-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.split("\n")[-2])[0]["used"] == 0
    with pytest.raises(SystemExit):
        main(["limits", "show", "user:x"])
