"""``wardgate keys`` as it is typed: another secret for a key, and keys whose secrets rotation makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.cli.main import main
from shared.clock import SystemClock
from shared.errors import Unauthenticated
from shared.identity.api_keys import ApiKeys
from shared.stores.file_secrets import FileSecrets
from shared.stores.secret_reader import SecretReader
from shared.stores.sqlite_documents import SqliteDocuments

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> Path:
    folder, policy = tmp_path / "home", tmp_path / "policy.yaml"
    policy.write_text("secrets: {grace_seconds: 60}")
    for name in ("WARDGATE_DOCUMENTS", "WARDGATE_SECRETS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WARDGATE_ENV", "development")
    monkeypatch.setenv("WARDGATE_HOME", str(folder))
    monkeypatch.setenv("WARDGATE_POLICY", str(policy))
    assert main(["rotate", "run"]) == 0
    capsys.readouterr()
    return folder


def run(capsys: Printed, *words: str) -> tuple[int, Any]:
    code = main(["keys", *words, "--json"])
    printed = capsys.readouterr().out
    return code, json.loads(printed) if printed else None


def refused(home: Path, key: str) -> str:
    documents = SqliteDocuments(home / "documents.db")
    try:
        reader = SecretReader(FileSecrets(home / "secrets"), documents, "production")
        ApiKeys(documents, reader, SystemClock()).authenticate(key)
    except Unauthenticated as error:
        return error.code
    finally:
        documents.close()
    return ""


def test_a_key_gets_another_secret_and_the_old_one_is_good_for_a_while(home: Path, capsys: Printed) -> None:
    _, first = run(capsys, "create", "--name", "front end")
    code, second = run(capsys, "rotate", first["id"])
    assert (code, second["id"], second["name"], second["status"]) == (0, first["id"], "front end", "active")
    assert (refused(home, first["key"]), refused(home, second["key"])) == ("", "")
    assert second["older_until"] > second["created_at"]
    assert main(["keys", "rotate", first["id"]]) == 2
    complaint = capsys.readouterr().err
    assert "grace period" in complaint
    assert len(complaint.splitlines()) == 1
    code, third = run(capsys, "rotate", first["id"], "--revoke-immediately")
    assert code == 0
    states = [refused(home, key) for key in (first["key"], second["key"], third["key"])]
    assert states == ["invalid_api_key", "invalid_api_key", ""]
    (listed,) = run(capsys, "list")[1]
    assert (listed["older_until"], listed["by_rotation"]) == (None, False)


def test_a_grace_period_of_ones_own_and_what_people_read(home: Path, capsys: Printed) -> None:
    _, first = run(capsys, "create")
    assert main(["keys", "rotate", first["id"], "--grace", "2h"]) == 0
    printed = capsys.readouterr().out
    assert "shown this once" in printed
    assert "The one before is good until" in printed
    assert main(["keys", "list"]) == 0
    assert "OLDER UNTIL" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rotate", "no-such-key"], "no API key with this id"),
        (["rotate", "ID", "--grace", "40d"], "at most 30 days"),
        (["rotate", "ID", "--grace", "2h", "--revoke-immediately"], "contradict each other"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(home: Path, capsys: Printed, words: list[str], told: str) -> None:
    _, made = run(capsys, "create")
    assert main(["keys", *[made["id"] if word == "ID" else word for word in words]]) == 2
    complaint = capsys.readouterr().err
    assert told in complaint
    assert len(complaint.splitlines()) == 1
    assert refused(home, made["key"]) == ""


@pytest.mark.parametrize("span", ["3s", "999999999999d", "", "2027-01-31T12:00:00Z"])
def test_a_grace_period_is_a_length_of_time(home: Path, capsys: Printed, span: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["keys", "rotate", "x", f"--grace={span}"])
    assert stopped.value.code == 2
    assert "give 15m, 6h or 7d" in capsys.readouterr().err


def test_a_key_whose_secrets_rotation_makes(
    home: Path, capsys: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, reserved = run(capsys, "create", "--name", "front end", "--by-rotation")
    assert (code, "key" in reserved, reserved["by_rotation"]) == (0, False, True)
    assert main(["keys", "create", "--by-rotation"]) == 0
    assert "Rotation makes its secrets" in capsys.readouterr().out
    assert main(["keys", "rotate", reserved["id"]]) == 2
    assert "wardgate rotate run --now" in capsys.readouterr().err
    policy = tmp_path / "rotating.yaml"
    policy.write_text(
        f"secrets: {{per_secret: {{front-end-key: {{driver: {{kind: wardgate_key, key: {reserved['id']}}}}}}}}}"
    )
    monkeypatch.setenv("WARDGATE_POLICY", str(policy))
    for words in (["rotate", "run"], ["rotate", "run", "--now", "--secret", "front-end-key"]):
        assert main(words) == 0
        shown = capsys.readouterr()
        assert "wg_" not in shown.out + shown.err
    store = FileSecrets(home / "secrets")
    for number in (1, 2):
        assert refused(home, store.access("front-end-key", number).reveal().decode()) == ""
