"""The kill switch: what a process knows of it, when it reads, what it does while it cannot, and who turned it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.audit.port import Operation, Operator, Recorded
from shared.errors import BadRequest, StoreUnavailable, Unrecorded
from shared.policy.types import AdmissionPolicy
from shared.stores.documents import Document, Write
from shared.stores.sqlite_documents import SqliteDocuments
from shared.switch import state
from shared.switch.document import PATH, scopes_on
from shared.switch.operate import MAX_ENTRIES, MAX_TIMED_ENTRIES, SwitchOperator
from shared.switch.state import (
    HOLD,
    RENEW_AFTER,
    RETRY_AFTER,
    USED_FOR,
    Refusal,
    View,
    decide,
    failed,
    need,
    parse_scope,
    seen,
)
from shared.switch.switch import CallKilled, KillSwitch
from shared.web.http_wire import PULSE_SECONDS
from tests.support.virtual_time import ManualClock

SECOND = 1_000_000_000
NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
"""Four hours after the tests' clock begins."""

CALL = state.scopes_of("acme", "k1", "fast", ["lookup"])


# --- scopes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["all", "tenant:acme", "model:gpt 4.1:mini", "tool:look_up-2", "key:abc234", "model:é"]
)
def test_a_scope_is_read_as_it_is_written(text: str) -> None:
    assert parse_scope(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "All",
        "all:",
        "all:x",
        "tenant",
        "tenant:",
        "tenant: ",
        "tenant:a\n",
        "tenant: a",
        "user:u",
        "tool:" + "a" * 257,
    ],
)
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_scope(text)


def test_a_whole_key_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadRequest) as refused:
        parse_scope("key:wg_abc_secret")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("scope", CALL)
def test_each_scope_of_a_call_stops_it(scope: str) -> None:
    assert decide(seen({scope}, 0), CALL, 0) == Refusal(scope)


def test_the_scopes_of_others_do_not_stop_it() -> None:
    others = {"tenant:other", "key:k2", "model:slow", "tool:delete", "tool:look", "tenant:k1", "key:acme"}
    assert decide(seen(others, 0), CALL, 0) is None


# --- what is known, against a plain model of it ---------------------------------------------------


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 4 * SECOND) | st.integers(200 * SECOND, 400 * SECOND),
            st.sampled_from(["ask", "ask", "ask", "on", "off", "break", "mend"]),
        ),
        max_size=60,
    )
)
def test_any_schedule_keeps_the_promises(steps: list[tuple[int, str]]) -> None:
    """Asked at any times, of a switch that is turned and a store that fails at any times."""
    now, is_on, broken = 0, False, False
    view, read_value, read_time = View(), False, None
    changes: list[tuple[int, bool]] = [(0, False)]
    for pause, step in steps:
        now += pause
        if step in ("on", "off"):
            is_on = step == "on"
            changes.append((now, is_on))
        elif step in ("break", "mend"):
            broken = step == "break"
        else:
            if need(view, now) != "nothing":
                if broken:
                    view = failed(view, now)
                else:
                    view, read_value, read_time = seen({"all"} if is_on else (), now), is_on, now
            refusal = decide(view, CALL, now)
            if read_time is None:
                assert refusal == Refusal(None), "never read means closed"
            elif read_value:
                assert refusal == Refusal("all"), "an on once seen stays on"
            else:
                assert refusal == (None if now < read_time + HOLD else Refusal(None)), "an off holds, but not for ever"
            if not broken and view.failed_at is None:
                recent = {value for at, value in changes if at > now - USED_FOR}
                settled = [value for at, value in changes if at <= now - USED_FOR][-1:]
                assert (refusal == Refusal("all")) in recent | set(settled), "what was so within two seconds"


def test_a_call_that_waits_asks_often_enough_to_keep_the_promise() -> None:
    """A read may be missed by a whole pulse, and take its whole deadline."""
    assert RENEW_AFTER + PULSE_SECONDS * SECOND + AdmissionPolicy().deadline_ms * SECOND // 1000 < USED_FOR


@given(st.integers(0, 10 * SECOND), st.none() | st.integers(0, 10 * SECOND), st.integers(0, 20 * SECOND))
def test_a_read_is_never_put_off_for_longer_than_promised(read_at: int, failed_at: int | None, later: int) -> None:
    now = read_at + later
    view = View(frozenset(), read_at, failed_at)
    if failed_at is None:
        assert (need(view, now) == "wait") == (later >= USED_FOR)
    elif now >= failed_at + RETRY_AFTER:
        assert need(view, now) == "renew", "a store in trouble is tried again, and nobody waits for that"


# --- reading --------------------------------------------------------------------------------------


class Source:
    """A store that holds the switch and counts its reads."""

    def __init__(self) -> None:
        self.on: list[str] = []
        self.missing = False
        self.down = False
        self.reads = 0
        self.hold: threading.Event | None = None

    def get(self, path: str) -> Document | None:
        assert path == PATH
        self.reads += 1
        if self.hold is not None:
            assert self.hold.wait(10)
        if self.down:
            raise StoreUnavailable("The store is down.")
        entries = [{"scope": scope, "since": datetime(2026, 1, 1, tzinfo=UTC), "by": "ann"} for scope in self.on]
        return None if self.missing else Document(path, {"on": entries}, 1)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def switch(source: Source, clock: ManualClock) -> KillSwitch:
    return KillSwitch(source, clock.time_ns)  # type: ignore[arg-type]  # it only gets


def code(switch: KillSwitch) -> str | None:
    try:
        switch.check(CALL)
    except CallKilled as refusal:
        return refusal.code
    return None


def test_nothing_is_off_limits_before_anybody_used_it(switch: KillSwitch, source: Source) -> None:
    source.missing = True
    assert code(switch) is None


def test_calls_do_not_read_until_a_second_has_passed(switch: KillSwitch, source: Source, clock: ManualClock) -> None:
    for _ in range(100):
        assert code(switch) is None
        clock.advance(0.0099)
    assert source.reads == 1
    clock.advance(0.02)
    assert (code(switch), source.reads) == (None, 2)


def test_an_idle_process_reads_before_its_next_call(switch: KillSwitch, source: Source, clock: ManualClock) -> None:
    assert code(switch) is None
    source.on = ["all"]
    clock.advance(3600)
    assert code(switch) == "kill_switch"


def test_the_refusal_says_what_a_client_needs(switch: KillSwitch, source: Source) -> None:
    source.on = ["model:fast"]
    with pytest.raises(CallKilled) as refused:
        switch.check(CALL)
    error = refused.value
    assert (error.status, error.code, error.param) == (503, "kill_switch", "model")
    assert error.headers == {"x-should-retry": "false"}


def test_unread_it_lets_nothing_through(switch: KillSwitch, source: Source, clock: ManualClock) -> None:
    source.down = True
    assert code(switch) == "kill_switch_unreadable"
    source.down = False
    clock.advance(0.6)
    assert code(switch) is None


def test_while_it_cannot_be_read_an_off_holds_for_five_minutes(
    switch: KillSwitch, source: Source, clock: ManualClock
) -> None:
    assert code(switch) is None
    source.down = True
    for _ in range(299):
        clock.advance(1)
        assert code(switch) is None
    clock.advance(1)
    assert code(switch) == "kill_switch_unreadable"
    source.down = False
    clock.advance(0.6)
    assert code(switch) is None


def test_while_it_cannot_be_read_an_on_stays(switch: KillSwitch, source: Source, clock: ManualClock) -> None:
    source.on = ["tenant:acme"]
    assert code(switch) == "kill_switch"
    source.down = True
    for _ in range(10):
        clock.advance(3600)
        assert code(switch) == "kill_switch"


def test_a_store_that_fails_is_not_tried_by_every_call(switch: KillSwitch, source: Source, clock: ManualClock) -> None:
    assert code(switch) is None
    source.down = True
    clock.advance(2)
    for _ in range(100):
        assert code(switch) is None
        clock.advance(0.0099)
    assert source.reads == 1 + 2


@pytest.mark.parametrize(
    "fields",
    [{}, {"on": "all"}, {"on": 1}, {"on": ["all"]}, {"on": [{}]}, {"on": [{"scope": 1}]}, {"on": [{"scope": "x:y"}]}],
)
def test_what_cannot_be_understood_stops_everything(fields: dict[str, object]) -> None:
    assert decide(seen(scopes_on(Document(PATH, fields, 1), NOON), 0), CALL, 0) is not None


def test_one_thread_reads_while_others_go_on(switch: KillSwitch, source: Source, clock: ManualClock) -> None:
    assert code(switch) is None
    source.on = ["all"]
    source.hold = threading.Event()
    clock.advance(1.5)
    found: list[str | None] = []
    reader = threading.Thread(target=lambda: found.append(code(switch)))
    reader.start()
    while source.reads < 2:
        pass
    assert code(switch) is None, "what is known is not two seconds old yet"
    clock.advance(0.5)
    waiting = [threading.Thread(target=lambda: found.append(code(switch))) for _ in range(8)]
    for thread in waiting:
        thread.start()
    assert not found, "now it is, so they wait for the read"
    source.hold.set()
    for thread in (reader, *waiting):
        thread.join(10)
    assert found == ["kill_switch"] * 9
    assert source.reads == 2


# --- turning --------------------------------------------------------------------------------------


@dataclass
class Trail:
    operations: list[Operation] = field(default_factory=list)
    down: bool = False

    def record_operation(self, operation: Operation) -> Recorded:
        if self.down:
            raise StoreUnavailable("The audit event was not acknowledged.")
        self.operations.append(operation)
        return Recorded("0" * 32, len(self.operations), "0" * 64, published=True)


ANN = Operator("ann", "environment")


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[SqliteDocuments]:
    store = SqliteDocuments(tmp_path / "documents.db")
    yield store
    store.close()


@pytest.fixture
def trail() -> Trail:
    return Trail()


@pytest.fixture
def operator(documents: SqliteDocuments, trail: Trail, clock: ManualClock) -> SwitchOperator:
    return SwitchOperator(documents, trail, ANN, clock)


def on(documents: SqliteDocuments) -> set[str]:
    return set(scopes_on(documents.get(PATH), NOON))


def test_on_and_off_are_independent_by_scope(operator: SwitchOperator, documents: SqliteDocuments) -> None:
    assert operator.on("tenant:acme", "incident 7").changed
    assert operator.on("all").changed
    assert on(documents) == {"tenant:acme", "all"}
    turned = operator.off("all")
    assert (turned.changed, [entry.scope for entry in turned.still_on]) == (True, ["tenant:acme"])
    assert on(documents) == {"tenant:acme"}
    (entry,) = operator.status()
    assert (entry.by, entry.reason, entry.since) == ("ann", "incident 7", datetime(2027, 1, 15, 8, 0, tzinfo=UTC))


def test_turning_it_again_changes_nothing_but_is_recorded(operator: SwitchOperator, trail: Trail) -> None:
    operator.on("all", "first")
    assert not operator.on("all", "second").changed
    assert [entry.reason for entry in operator.status()] == ["first"]
    operator.off("all")
    assert not operator.off("all").changed
    assert [(done.action, done.subject, done.reason) for done in trail.operations] == [
        ("kill.on", "all", "first"),
        ("kill.on", "all", "second"),
        ("kill.off", "all", None),
        ("kill.off", "all", None),
    ]
    assert {done.operator for done in trail.operations} == {ANN}


def test_an_emergency_does_not_wait_for_the_trail_but_its_end_does(
    operator: SwitchOperator, trail: Trail, documents: SqliteDocuments
) -> None:
    trail.down = True
    with pytest.raises(Unrecorded, match="is ON for all"):
        operator.on("all")
    assert on(documents) == {"all"}
    with pytest.raises(StoreUnavailable):
        operator.off("all")
    assert on(documents) == {"all"}


@pytest.mark.parametrize("reason", ["", "two\nlines", "x" * 201])
def test_a_reason_is_one_short_line(operator: SwitchOperator, documents: SqliteDocuments, reason: str) -> None:
    with pytest.raises(BadRequest):
        operator.on("all", reason)
    assert on(documents) == set()


def test_operators_do_not_overwrite_each_other(documents: SqliteDocuments, clock: ManualClock) -> None:
    faults: list[BaseException] = []

    def turn(name: str) -> None:
        mine = SwitchOperator(documents, Trail(), Operator(name, "environment"), clock)
        try:
            for number in range(5):
                mine.on(f"key:{name}{number}")
            mine.off(f"key:{name}0")
        except BaseException as error:  # told in the test's own thread
            faults.append(error)

    threads = [threading.Thread(target=turn, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not faults
    assert on(documents) == {f"key:{name}{number}" for name in "abc" for number in range(1, 5)}


def test_a_damaged_document_is_only_replaced_by_all(operator: SwitchOperator, documents: SqliteDocuments) -> None:
    documents.commit([Write(PATH, {"on": [{"scope": "user:x"}]})])
    assert on(documents) == {"all"}
    for turn in (operator.status, lambda: operator.on("tenant:acme"), lambda: operator.off("tenant:acme")):
        with pytest.raises(StoreUnavailable, match="damaged"):
            turn()
    operator.on("all")
    operator.off("all")
    assert (on(documents), operator.status()) == (set(), [])


def test_the_document_stays_small(operator: SwitchOperator, documents: SqliteDocuments) -> None:
    entries = [
        {"scope": f"key:{number}", "since": datetime(2026, 1, 1, tzinfo=UTC), "by": "ann", "reason": None}
        for number in range(MAX_ENTRIES)
    ]
    documents.commit([Write(PATH, {"on": entries})])
    with pytest.raises(BadRequest):
        operator.on("key:more")
    assert len(on(documents)) == MAX_ENTRIES


# --- for a time -----------------------------------------------------------------------------------


def test_what_is_on_for_a_time_goes_off_by_itself(
    operator: SwitchOperator, documents: SqliteDocuments, clock: ManualClock
) -> None:
    operator.on("key:k1", "alert", until=NOON)
    reader = KillSwitch(documents, clock.time_ns, clock)
    assert code(reader) == "kill_switch"
    clock.advance(4 * 3600)
    assert code(reader) is None
    assert (on(documents), operator.status()) == (set(), [])
    operator.on("tenant:acme")
    assert [entry["scope"] for entry in documents.get(PATH).fields["on"]] == ["tenant:acme"]  # type: ignore[union-attr]


def test_the_longer_time_counts(operator: SwitchOperator) -> None:
    later = NOON.replace(hour=13)
    for until, changed in [(NOON, True), (NOON, False), (later, True), (NOON, False), (None, True), (later, False)]:
        assert operator.on("key:k1", until=until).changed is changed
    assert [entry.until for entry in operator.status()] == [None]


def test_what_goes_off_by_itself_leaves_room_for_what_people_do(
    operator: SwitchOperator, documents: SqliteDocuments
) -> None:
    entries = [
        {"scope": f"key:{number}", "since": NOON, "by": "audit_alerts", "reason": None, "until": NOON}
        for number in range(MAX_TIMED_ENTRIES)
    ]
    documents.commit([Write(PATH, {"on": entries})])
    with pytest.raises(BadRequest):
        operator.on("key:more", until=NOON)
    assert operator.on("key:0", until=NOON.replace(hour=13)).changed
    assert operator.on("key:more").changed
