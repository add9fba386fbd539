"""The command line: what it refuses, in one line and without a trace."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.audit.event import KEY_ID, MODEL
from shared.audit.record import Record
from shared.audit.show import Entry, table_lines
from shared.cli.main import main
from shared.cli.output import counted
from shared.cli.times import future, past
from shared.identity.key_format import new_key, parse_key
from shared.stores.events import Event
from shared.stores.secrets import Secret
from shared.stores.spool import SpoolBus
from tests.support.sink import sink
from tests.support.stepped_deliverer import SteppedDeliverer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that does not exist yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARDGATE_ENV", "development")
    for name in ("HOME", "POLICY", "DOCUMENTS", "EVENTS", "SECRETS", "OBJECTS"):
        monkeypatch.delenv(f"WARDGATE_{name}", raising=False)
    return tmp_path / ".wardgate"


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command and gives its exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "create"),
        ("keys", "list"),
        ("keys", "revoke", "an-id"),
        ("keys", "rotate", "an-id"),
        ("limits", "show", "an-id"),
        ("limits", "reset", "an-id"),
        ("kill", "on", "--scope", "all"),
        ("kill", "off", "--scope", "all"),
        ("kill", "status"),
        ("alerts", "list"),
        ("rotate", "status"),
        ("rotate", "rollback", "--secret", "audit-pepper"),
        ("audit", "show"),
        ("audit", "verify"),
        ("audit", "seal"),
        ("audit", "keys"),
        ("audit", "open", "req_1"),
        ("audit", "erase", "key:an-id"),
        ("audit", "dead-letters", "list"),
        ("audit", "dead-letters", "redrive"),
        ("receipt", "verify", "a.b.c"),
    ],
    ids=" ".join,
)
def test_a_command_that_makes_no_home_leaves_no_state_behind(run: Run, home: Path, arguments: tuple[str, ...]) -> None:
    code, printed, complaint = run(*arguments)
    assert (code, printed) == (2, "")
    assert f"there is no Wardgate home at {home}" in complaint
    assert "`wardgate rotate run` makes one" in complaint
    assert complaint.count("\n") == 1
    assert not home.exists()


def test_a_key_is_not_made_before_the_secrets_are(run: Run, home: Path) -> None:
    home.mkdir(mode=0o700)
    code, printed, complaint = run("keys", "create")
    assert (code, printed) == (2, "")
    assert complaint == "wardgate: secrets: they have not been made yet; `wardgate rotate run` makes them.\n"
    # A look at the pointers makes the document store, and nothing else.
    assert {file.name.partition(".")[0] for file in home.rglob("*") if file.is_file()} == {"documents"}


def test_what_the_refusals_say_to_run_is_all_it_takes(run: Run, home: Path) -> None:
    assert run("rotate", "run")[0] == 0
    assert home.is_dir()
    assert run("keys", "create")[0] == 0
    assert "active" in run("keys", "list")[1]


def test_stores_elsewhere_need_no_home(run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDGATE_OBJECTS", f"file://{tmp_path}/objects")
    assert run("audit", "show")[0] == 0
    assert not home.exists()


@pytest.mark.parametrize(("count", "told"), [(0, "0 chains"), (1, "1 chain"), (2, "2 chains")])
def test_a_number_agrees_with_its_noun(count: int, told: str) -> None:
    assert counted(count, "chain") == told


A_TIME = "give 15m, 6h, 7d or an RFC 3339 time"


@pytest.mark.parametrize(
    ("command", "option", "value", "hint"),
    [
        ("audit show", "--limit", "-3", "give a whole number, 0 or more"),
        ("audit show", "--limit", "many", "give a whole number, 0 or more"),
        ("audit show", "--since", "999999999d", A_TIME),
        ("audit show", "--since", "9999999999d", A_TIME),
        ("audit show", "--since", "5x", A_TIME),
        ("audit show", "--until", "", A_TIME),
        ("audit show", "--until", "9999-12-31T23:59:59-23:00", A_TIME),
        ("audit show", "--until", "2026-11-23T12:00:00", "the time zone is missing; give"),
        ("keys create", "--expires", "3s", A_TIME),
        ("keys create", "--expires", "999999999d", A_TIME),
    ],
)
def test_an_option_is_refused_with_a_hint(run: Run, command: str, option: str, value: str, hint: str) -> None:
    code, _, complaint = run(*command.split(), f"{option}={value}")
    assert code == 2
    assert f"error: argument {option}: {hint}" in complaint


def test_times_count_back_or_forward() -> None:
    now = datetime.now(UTC)
    for text, span in (("15m", timedelta(minutes=15)), ("6h", timedelta(hours=6)), ("7d", timedelta(days=7))):
        assert abs(now - span - past(text)) < timedelta(minutes=1)
        assert abs(now + span - future(text)) < timedelta(minutes=1)
    assert past("2026-11-23T12:00:00+02:00") == future("2026-11-23T10:00:00Z") == datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_policy_check_tries_the_guards_too(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("guards: {tools: {arguments: {f: {pattern: '(?=a)'}}}}")
    code, _, complaint = run("policy", "check", str(file))
    assert code == 2
    assert "guards.tools.arguments.f" in complaint


def test_policy_check_prints_a_line_for_each_fault(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("surprise: 1\nlimits: [{name: a, amount: 0, window_seconds: 60}, 7]")
    code, printed, complaint = run("policy", "check", str(file))
    assert (code, printed) == (2, "")
    assert [line.removeprefix(f"wardgate: {file}: ").partition(":")[0] for line in complaint.splitlines()] == [
        "surprise",
        "limits[0].amount",
        "limits[1]",
    ]


def test_dead_letters_are_listed_without_what_they_hold_and_delivered_again(run: Run, home: Path) -> None:
    home.mkdir()
    spool = home / "spool.db"
    bus = SpoolBus(spool)
    bus.publish(Event("chain/\x1b[31m1", "//wardgate/guard", "test", "2026-11-23T00:00:00Z", b"data-marker"))
    with sink() as refusing, SteppedDeliverer(spool, {"audit_archive": refusing.url}) as deliverer:
        assert run("audit", "dead-letters", "list") == (0, "There are no dead letters.\n", "")
        refusing.answer = lambda received: 400
        refusing.body = b'{"error": {"code": "malformed_event"}}'
        deliverer.deliver_once()
        code, printed, _ = run("audit", "dead-letters", "list")
        assert code == 1
        assert "HTTP 400 malformed_event" in printed
        assert "marker" not in printed
        assert "\x1b" not in printed
        code, printed, _ = run("audit", "dead-letters", "list", "--json")
        (row,) = json.loads(printed)
        assert (code, row["sink"], row["attempts"], row["event"]) == (1, "audit_archive", 1, "chain/?[31m1")
        assert run("audit", "dead-letters", "redrive") == (0, "1 dead letter will be delivered again.\n", "")
        refusing.answer = lambda received: 204
        deliverer.deliver_once()
        assert deliverer.pending() == 0
    assert run("audit", "dead-letters", "redrive", "--json") == (0, '{"redriven":0}\n', "")
    bus.close()


def test_a_key_fits_its_column() -> None:
    key = parse_key(new_key(1, Secret(bytes(32))))
    assert key is not None
    record = Record(
        type="wardgate.interaction",
        id="a",
        source="b",
        time="2026-11-23T12:00:00.000000Z",
        chain_uid="0" * 32,
        seq=0,
        prev_event="",
        attributes={KEY_ID: key.id, MODEL: "default"},
        fingerprint="",
    )
    heading, line = table_lines(iter([Entry("c", record, intact=True)]))
    assert heading.index("MODEL") == line.index("default")
