"""``wardgate rotate`` as it is typed: tables, JSON, exit codes, and what it says when it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.cli.main import main
from shared.policy.secret_rules import HELD_SECRETS


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    policy = tmp_path / "policy.yaml"
    policy.write_text("secrets: {grace_seconds: 3600, per_secret: {receipt-signing-key: {grace_seconds: 1}}}")
    for name in ("WARDGATE_DOCUMENTS", "WARDGATE_SECRETS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WARDGATE_ENV", "development")
    monkeypatch.setenv("WARDGATE_HOME", str(folder))
    monkeypatch.setenv("WARDGATE_POLICY", str(policy))
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = main(["rotate", *words, "--json"])
    printed = capsys.readouterr().out
    return code, json.loads(printed) if printed else None


def test_what_it_does_and_how_it_ends(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = run(capsys, "run")
    assert (code, {row["secret"]: row["result"] for row in rows}) == (0, dict.fromkeys(HELD_SECRETS, "promoted"))
    assert run(capsys, "run")[0] == 0
    code, rows = run(capsys, "run", "--now", "--secret", "audit-pepper")
    assert (code, [(row["result"], row["state"], row["generation"]) for row in rows]) == (
        0,
        [("promoted", "PROMOTED", 2)],
    )
    code, rows = run(capsys, "run", "--now", "--secret", "audit-pepper")
    assert (code, [row["result"] for row in rows]) == (1, ["in_grace"])
    assert rows[0]["next"].endswith("Z")
    code, row = run(capsys, "rollback", "--secret", "audit-pepper")
    assert (code, row["generation"]) == (0, 3)
    code, rows = run(capsys, "status")
    (pepper,) = [row for row in rows if row["name"] == "audit-pepper"]
    assert (code, pepper["version"], pepper["previous"], pepper["state"]) == (0, 1, 2, "PROMOTED")
    code, rows = run(capsys, "history", "--secret", "audit-pepper")
    assert [row["event"] for row in rows] == ["stored", "promoted", "stored", "promoted", "rolled_back"]
    assert run(capsys, "run", "--now", "--revoke-immediately", "--secret", "audit-pepper")[0] == 0


def test_tables_for_people(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rotate", "run"]) == 0
    assert main(["rotate", "status"]) == 0
    assert main(["rotate", "history", "--secret", "audit-pepper"]) == 0
    assert main(["rotate", "run", "--now", "--secret", "audit-pepper"]) == 0
    assert main(["rotate", "rollback", "--secret", "audit-pepper"]) == 0
    out = capsys.readouterr().out
    for word in ("SECRET", "RESULT", "promoted", "STATUS", "IDLE", "EVENT", "version 1", "is back at"):
        assert word in out


def test_a_table_comes_without_the_log_but_with_its_warnings(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rotate", "run"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("SECRET")
    (tmp_path / "policy.yaml").write_text("secrets: {per_secret: {provider-key: {driver: {kind: remind}}}}")
    assert main(["rotate", "run"]) == 0
    assert capsys.readouterr().err == "wardgate: provider-key: overdue: missing\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--revoke-immediately"], "needs --now"),
        (["run", "--secret", "nothing"], "it rotates api-key-pepper"),
        (["history", "--secret", "nothing"], "it rotates api-key-pepper"),
        (["rollback", "--secret", "audit-pepper"], "not in a grace period"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    main(["rotate", "run"])
    capsys.readouterr()
    assert main(["rotate", *words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1


def test_a_look_makes_no_home(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["status"], ["history", "--secret", "audit-pepper"], ["rollback", "--secret", "audit-pepper"]):
        assert main(["rotate", *words]) == 2
    assert not home.exists()


def test_no_value_is_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["rotate", "run"])
    main(["rotate", "run", "--now", "--revoke-immediately"])
    main(["rotate", "status"])
    shown = capsys.readouterr()
    files = list((home / "secrets").rglob("*.enabled"))
    assert len(files) >= 3
    for file in files:
        value = file.read_bytes()
        assert value.hex() not in shown.out + shown.err
        assert value not in (home / "documents.db").read_bytes()
