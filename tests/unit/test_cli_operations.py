"""What people do by command is in the audit trail; where that is out of reach, each command says what it did."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from shared.audit.content import subject_id
from shared.cli.main import main

NOT_TAKEN = "the audit trail did not take the event"
NOT_DONE = "The audit trail did not take the event, so"

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    folder, policy = tmp_path / "home", tmp_path / "policy.yaml"
    policy.write_text(
        "limits: [{name: few, amount: 3, window_seconds: 60, per: user}, {name: all, amount: 9, window_seconds: 60}]"
    )
    for name in ("DOCUMENTS", "EVENTS", "SECRETS"):
        monkeypatch.delenv(f"WARDGATE_{name}", raising=False)
    monkeypatch.setenv("WARDGATE_ENV", "development")
    monkeypatch.setenv("WARDGATE_HOME", str(folder))
    monkeypatch.setenv("WARDGATE_POLICY", str(policy))
    monkeypatch.setenv("WARDGATE_OPERATOR", "ann")
    assert main(["rotate", "run"]) == 0
    capsys.readouterr()
    return folder


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command and gives its exit code, what it printed as JSON, and its complaint."""

    def run(*words: str) -> tuple[int, Any, str]:
        code = main([*words, "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out else None, err

    return run


@pytest.fixture
def unreachable(home: Path) -> Callable[[], None]:
    """From now on the bus takes nothing."""

    def break_spool() -> None:
        for file in home.glob("spool.db*"):
            file.unlink()
        (home / "spool.db").write_text("no database at all" * 100)

    return break_spool


def operations(home: Path) -> list[tuple[str, str, str]]:
    """Action, subject and operator of each, in order."""
    with closing(sqlite3.connect(home / "spool.db")) as spool:
        rows = spool.execute("SELECT data FROM events WHERE type = 'wardgate.operation' ORDER BY seq").fetchall()
    found = [json.loads(row[0])["attributes"] for row in rows]
    return [
        (each["wardgate.operation.action"], each["wardgate.operation.subject"], each["wardgate.operator.name"])
        for each in found
    ]


def keys(run: Run) -> dict[str, str]:
    """The status of each key by its id."""
    return {each["id"]: each["status"] for each in run("keys", "list")[1]}


def test_what_was_made_for_the_first_time_was_not_renewed(home: Path) -> None:
    assert not (home / "spool.db").exists()


def test_keys(run: Run, home: Path) -> None:
    made = run("keys", "create")[1]["id"]
    reserved = run("keys", "create", "--by-rotation")[1]["id"]
    assert run("keys", "rotate", made)[0] == 0
    assert run("keys", "revoke", made)[0] == 0
    assert operations(home) == [
        ("keys.create", f"key:{made}", "ann"),
        ("keys.create", f"key:{reserved}", "ann"),
        ("keys.rotate", f"key:{made}", "ann"),
        ("keys.revoke", f"key:{made}", "ann"),
    ]


def test_limits_without_a_user_s_name(run: Run, home: Path) -> None:
    subjects = ["key:abc", "user:acme/ann@example.com", "tenant:acme", "global"]
    for subject in subjects:
        assert run("limits", "reset", subject)[0] == 0
    named = f"user:{subject_id(tenant='acme', user='ann@example.com')}"
    assert [subject for _, subject, _ in operations(home)] == ["key:abc", named, "tenant:acme", "global"]
    assert {action for action, _, _ in operations(home)} == {"limits.reset"}


def test_rotations(run: Run, home: Path) -> None:
    assert run("rotate", "run", "--now", "--secret", "audit-pepper")[0] == 0
    assert run("rotate", "run", "--now", "--secret", "audit-pepper")[0] == 1  # in its grace period: nothing was done
    assert run("rotate", "rollback", "--secret", "audit-pepper")[0] == 0
    assert operations(home) == [
        ("rotate.renew", "secret:audit-pepper", "ann"),
        ("rotate.rollback", "secret:audit-pepper", "ann"),
    ]


def test_looks_are_not_recorded(run: Run, home: Path) -> None:
    run("keys", "list")
    run("limits", "show", "global")
    run("rotate", "status")
    run("rotate", "history", "--secret", "audit-pepper")
    assert not (home / "spool.db").exists()


# --- without the trail ----------------------------------------------------------------------------


def test_a_key_is_revoked_all_the_same(run: Run, unreachable: Callable[[], None]) -> None:
    made = run("keys", "create")[1]["id"]
    unreachable()
    code, printed, complaint = run("keys", "revoke", made)
    assert (code, printed["id"], printed["status"]) == (2, made, "revoked")
    assert f"Key {made} (key) is REVOKED, but {NOT_TAKEN}" in complaint
    assert keys(run) == {made: "revoked"}


@pytest.mark.parametrize("how", [(), ("--by-rotation",)])
def test_no_key_is_given_out(run: Run, unreachable: Callable[[], None], how: tuple[str, ...]) -> None:
    unreachable()
    code, printed, complaint = run("keys", "create", *how)
    assert (code, printed) == (2, None)
    assert f"{NOT_DONE} the key is not given out" in complaint
    assert set(keys(run).values()) == {"revoked"}


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("where", ["tell_first", "_show"])
def test_a_key_that_is_not_shown_is_revoked(
    run: Run, monkeypatch: pytest.MonkeyPatch, where: str, interruption: type[BaseException]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise interruption

    with monkeypatch.context() as patch:
        patch.setattr(f"shared.cli.keys.{where}", interrupted)
        with suppress(interruption):
            run("keys", "create")
    assert set(keys(run).values()) == {"revoked"}


def test_keys_are_listed_without_a_bus(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run("keys", "create")[1]["id"]

    def connect(address: str) -> None:
        raise AssertionError(f"nobody needs {address}")

    monkeypatch.setattr("shared.cli.operators.connect_events", connect)
    assert keys(run) == {made: "active"}


def test_a_key_keeps_its_secret(run: Run, unreachable: Callable[[], None]) -> None:
    made = run("keys", "create")[1]["id"]
    unreachable()
    code, printed, complaint = run("keys", "rotate", made, "--revoke-immediately")
    assert (code, printed) == (2, None)
    assert f"{NOT_DONE} the key has no other secret" in complaint
    assert run("keys", "list")[1][0]["older_until"] is None


def test_no_limit_is_reset(run: Run, unreachable: Callable[[], None]) -> None:
    unreachable()
    code, printed, complaint = run("limits", "reset", "global")
    assert (code, printed) == (2, None)
    assert f"{NOT_DONE} nothing is reset" in complaint


def test_secrets_are_renewed_and_rolled_back_all_the_same(run: Run, unreachable: Callable[[], None]) -> None:
    unreachable()
    code, printed, complaint = run("rotate", "run", "--now")
    assert code == 2
    renewed = [each["secret"] for each in printed if each["result"] == "promoted"]
    assert len(renewed) >= 2
    for secret in renewed:
        assert f"'{secret}' IS renewed, but {NOT_TAKEN}" in complaint
    code, printed, complaint = run("rotate", "rollback", "--secret", "audit-pepper")
    assert (code, printed) == (2, None)
    assert f"'audit-pepper' IS back at its previous version, but {NOT_TAKEN}" in complaint
    assert run("rotate", "history", "--secret", "audit-pepper")[1][-1]["event"] == "rolled_back"


def test_what_does_not_exist_is_not_recorded(run: Run, home: Path) -> None:
    assert run("keys", "rotate", "no-such-key")[0] == 2
    assert run("keys", "revoke", "no-such-key")[0] == 2
    assert not (home / "spool.db").exists()
