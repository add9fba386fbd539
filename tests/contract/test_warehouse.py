"""What every warehouse must do, tried on each of them, and what BigQuery's does where BigQuery fails."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.audit.port import Operation, Operator
from shared.audit.record import read_record
from shared.audit.writer import ChainWriter
from shared.clock import SystemClock
from shared.errors import BadRequest, ConfigurationError, StoreUnavailable
from shared.policy.types import Audit, ModelAlias, Price, Target
from shared.stores.events import Event
from shared.stores.secrets import Secret
from shared.warehouse.bigquery import BigQueryWarehouse
from shared.warehouse.columns import COLUMNS, COMMON, EVENT, FINDING
from shared.warehouse.connect import connect_warehouse
from shared.warehouse.port import Warehouse
from shared.warehouse.schema import FOLDER, published
from shared.warehouse.sink import WarehouseSink
from shared.warehouse.sqlite import SqliteWarehouse
from tests.support import bigquery_server
from tests.support.audit_events import MemoryBus, Peppers, interaction
from tests.support.bigquery_server import BigQueryServer
from tests.support.trail import Chain, finding

MODELS = {"default": ModelAlias(targets=[Target(upstream="builtin", model="m")], price=Price(2_000_000, 10_000_000))}
QUERIES = sorted((Path(__file__).parents[2] / "docs" / "queries").glob("*.sql"))
NOW = 1_795_000_000_000_000_000
DAY = 86_400 * 10**9


@dataclass
class Kept:
    """A warehouse and a way to ask it."""

    warehouse: Warehouse
    ask: Callable[[str], list[tuple[Any, ...]]]

    def store(self, *events: Event) -> None:
        sink = WarehouseSink(self.warehouse, MODELS)
        for event in events:
            sink.store(event.attributes(), event.data)


class Tokens:
    """Gives ``token-1``, and a new one each time a fresh one is wanted."""

    def __init__(self) -> None:
        self.given = 1

    def get(self, *, fresh: bool = False) -> Secret:
        self.given += fresh
        return Secret(f"token-{self.given}".encode())


@pytest.fixture
def server() -> Iterator[BigQueryServer]:
    with BigQueryServer("token-1") as running:
        yield running


@contextmanager
def bigquery(
    server: BigQueryServer, timeout_seconds: float = 8.0, table: str = bigquery_server.TABLE
) -> Iterator[Kept]:
    place = (bigquery_server.PROJECT, bigquery_server.DATASET, table)
    warehouse = BigQueryWarehouse(*place, Tokens(), base_url=server.origin, timeout_seconds=timeout_seconds)
    yield Kept(warehouse, server.ask)
    warehouse.close()


@pytest.fixture
def on_bigquery(server: BigQueryServer) -> Iterator[Kept]:
    with bigquery(server) as kept:
        yield kept


@pytest.fixture(params=["sqlite", "bigquery"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    if request.param == "bigquery":
        yield request.getfixturevalue("on_bigquery")
        return
    warehouse = SqliteWarehouse(tmp_path / "warehouse.db")
    yield Kept(warehouse, lambda query: ask_file(tmp_path / "warehouse.db", query))
    warehouse.close()


def ask_file(path: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as database:
        found = database.execute(query).fetchall()
    database.close()
    return found


# --- rows ---------------------------------------------------------------------------------------


def test_an_event_is_a_row_with_its_attributes(kept: Kept) -> None:
    kept.store(Chain().interaction(user="f" * 64, prompt="e" * 64))
    columns = "day, type, tenant, key_id, user_hmac, decision, model, input_tokens, cost, stream, duration_us"
    assert kept.ask(f"SELECT {columns} FROM events") == [
        ("2026-11-18", "wardgate.interaction", "acme", "key1", "f" * 64, "answered", "default", 100, 700, 0, 1500)
    ]
    assert kept.ask("SELECT * FROM findings") == []


def test_findings_are_rows_of_their_own_with_their_event_s_columns(kept: Kept) -> None:
    found = [finding(), finding("roleplay", score="0.5000", enforced=False)]
    kept.store(Chain().interaction(decision="blocked", findings=found, findings_count=2))
    assert kept.ask("SELECT finding, kind, score, enforced, decision, key_id FROM findings ORDER BY finding") == [
        (1, "jailbreak", 0.87, 1, "blocked", "key1"),
        (2, "roleplay", 0.5, 0, "blocked", "key1"),
    ]
    assert kept.ask("SELECT findings FROM events") == [(2,)]


def test_every_kind_of_event_is_kept(kept: Kept) -> None:
    chain = Chain()
    kept.store(
        chain.event("wardgate.chain.open", {"wardgate.audit.mode": "fail_close"}),
        chain.event("wardgate.interaction.started", {"wardgate.request.id": "req_1"}),
        chain.denials(40),
        chain.event("wardgate.operation", {"wardgate.operation.action": "kill.on"}),
        chain.event("wardgate.chain.close", {}),
    )
    assert kept.ask("SELECT seq, denials, operation FROM events ORDER BY seq") == [
        (0, None, None), (1, None, None), (2, 40, None), (3, None, "kill.on"), (4, None, None),
    ]  # fmt: skip


def test_an_event_that_comes_again_shows_once(kept: Kept) -> None:
    event = Chain().interaction(findings=[finding()], findings_count=1)
    kept.store(event, event)
    kept.store(event)
    assert kept.ask("SELECT COUNT(*) FROM events") == [(1,)]
    assert kept.ask("SELECT COUNT(*) FROM findings") == [(1,)]


def test_many_at_once_are_all_there(kept: Kept) -> None:
    chain = Chain()
    events = [chain.interaction() for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(kept.store, [*events, *events[::3]]))
    assert kept.ask("SELECT seq FROM events ORDER BY seq") == [(number,) for number in range(40)]


@pytest.mark.parametrize(
    "attributes",
    [
        {"wardgate.decision": 7},
        {"wardgate.decision": "x" * 1025},
        {"wardgate.stream": 1},
        {"gen_ai.usage.input_tokens": True},
        {"wardgate.findings": {}},
        {"wardgate.findings": ["x"]},
        {"wardgate.findings": [{"score": "high"}]},
        {"wardgate.findings": [finding()] * 65},
        {"wardgate.denials.first_at": "yesterday"},
    ],
)
def test_an_attribute_of_another_type_is_refused_and_nothing_is_kept(kept: Kept, attributes: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as refusal:
        kept.store(Chain().event("wardgate.interaction", attributes))
    assert refusal.value.code == "malformed_event"
    kept.store(Chain().interaction())
    assert kept.ask("SELECT COUNT(*) FROM events") == [(1,)]


# --- questions ----------------------------------------------------------------------------------


@pytest.fixture
def asked(kept: Kept) -> Kept:
    """Two days of two tenants, each event delivered twice."""
    chain = Chain()
    events = [chain.interaction(duration_us=number * 1000, user="a" * 64) for number in range(1, 101)]
    events += [
        chain.interaction(time=NOW - DAY, decision="blocked", findings=[finding()], findings_count=1),
        chain.interaction(time=NOW - DAY, tenant="umbrella", key="key2", model="unpriced"),
        chain.interaction(decision="denied", limit="requests-per-minute", input_tokens=None, output_tokens=None),
        chain.denials(99),
        chain.event("wardgate.operation", {"wardgate.operation.action": "kill.on", "wardgate.operator.name": "ann"}),
    ]
    kept.store(*events, *events)
    return kept


ANSWERS = {
    "blocked_per_key_and_day": [("2026-11-17", "acme", "key1", 1, 1)],
    "tokens_and_cost_per_tenant": [
        ("2026-11-18", "acme", "default", 101, 10_000, 5_000, 70_000, 1),
        ("2026-11-17", "acme", "default", 1, 100, 50, 700, 0),
        ("2026-11-17", "umbrella", "unpriced", 1, 100, 50, None, 1),
    ],
    "findings_by_kind": [("injection", "jailbreak", "LLM01:2023", 1, 1, 1, 0.87)],
    "denials": [("2026-11-18", "acme", "key1", "requests-per-minute", 100)],
    "top_users": [("acme", "a" * 64, 100, 0, 15_000)],
    "latency_percentiles": [("default", 0, 100, 50_000, 95_000, 99_000), ("unpriced", 0, 1, 1500, 1500, 1500)],
    "operations": [("2026-11-18T11:06:40.123456Z", "kill.on", None, "ann", "//wardgate/guard")],
}


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_published_question_has_its_answer(asked: Kept, path: Path) -> None:
    assert asked.ask(path.read_text()) == ANSWERS[path.stem]


def test_what_is_published_is_what_the_columns_say() -> None:
    assert {path.name: path.read_text() for path in FOLDER.glob("warehouse*")} == published()


def test_columns_hold_attributes_that_writers_write() -> None:
    bus = MemoryBus()
    writer = ChainWriter(bus, Peppers(), Audit(), SystemClock(), "//wardgate/guard")
    writer.record(interaction(error_code="rate_limit_exceeded", limit_exceeded="few"))
    writer.record_operation(Operation("kill.on", "all", Operator("ann", "environment")))
    written = {name for event in bus.events for name in read_record(event.data).attributes}
    denials = {column.attribute for column in COLUMNS if column.name.startswith("denials")}
    assert {column.attribute for column in (*COMMON, *EVENT) if column.attribute} - denials <= written
    found = read_record(bus.events[1].data).attributes["wardgate.findings"][0]
    assert {column.attribute for column in FINDING} <= found.keys()


# --- BigQuery -----------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", ["UNAVAILABLE", "QUOTA", "PROXY"])
def test_a_failure_of_bigquery_is_told_and_the_next_try_succeeds(
    server: BigQueryServer, on_bigquery: Kept, failure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    event = Chain().interaction()
    server.failures = [getattr(bigquery_server, failure)]
    with pytest.raises(StoreUnavailable) as told:
        on_bigquery.store(event)
    assert "secret" not in str(told.value) + capsys.readouterr().err
    on_bigquery.store(event)
    assert on_bigquery.ask("SELECT COUNT(*) FROM events") == [(1,)]


def test_a_silent_bigquery_is_given_up(server: BigQueryServer) -> None:
    server.failures = [1.5]
    with bigquery(server, timeout_seconds=0.2) as kept, pytest.raises(StoreUnavailable):
        kept.store(Chain().interaction())


@pytest.mark.parametrize("remembers", [True, False])
def test_rows_whose_answer_was_lost_show_once(server: BigQueryServer, on_bigquery: Kept, remembers: bool) -> None:
    """Also where BigQuery does not recognise them: then it holds them twice, and the views show them once."""
    server.remembers = remembers
    server.failures_after = [bigquery_server.UNAVAILABLE]
    event = Chain().interaction(findings=[finding()], findings_count=1)
    with pytest.raises(StoreUnavailable):
        on_bigquery.store(event)
    on_bigquery.store(event)
    assert len(server.rows) == (2 if remembers else 4)
    for view in ("events", "findings"):
        assert on_bigquery.ask(f"SELECT COUNT(*) FROM {view}") == [(1,)]


def test_a_table_that_is_not_ours_is_named_by_its_column(
    server: BigQueryServer, on_bigquery: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    server.schema["tenant"]["type"] = "INTEGER"
    with pytest.raises(StoreUnavailable):
        on_bigquery.store(Chain().interaction(findings=[finding()], findings_count=1))
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["reason"], line["column"]) == ("warehouse.refused", "invalid", "tenant")
    assert server.rows == [], "one bad row, and none is written"


def test_a_token_that_is_good_no_more_is_replaced_once(server: BigQueryServer, on_bigquery: Kept) -> None:
    server.token = "token-2"
    on_bigquery.store(Chain().interaction())
    assert (len(server.rows), server.requests) == (1, 2)
    server.token = "another"
    with pytest.raises(StoreUnavailable):
        on_bigquery.store(Chain().interaction())
    assert server.requests == 4


def test_a_missing_table_is_no_fault_of_the_event(server: BigQueryServer) -> None:
    with bigquery(server, table="other") as kept, pytest.raises(StoreUnavailable, match="notFound"):
        kept.store(Chain().interaction())


def test_no_credentials_are_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    warehouse = connect_warehouse("bigquery://test-project/audit/records")
    with pytest.raises(StoreUnavailable, match="credentials"):
        Kept(warehouse, lambda query: []).store(Chain().interaction())


@pytest.mark.parametrize(
    "uri",
    ["", "sqlite://x.db", "sqlite:///", "bigquery://p", "bigquery://test-project/a/b/c", "bigquery://T/a/b", "csv://x"],
)
def test_a_uri_that_names_no_warehouse_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError):
        connect_warehouse(uri)
