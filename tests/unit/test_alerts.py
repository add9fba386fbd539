"""Alerts: what is counted, once; what is suspicious, told once; what is done about it, as far as the policy allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts.alert import Alert
from shared.alerts.observation import length_counter, observe
from shared.alerts.raising import SHARED_KEY, SWITCH_REFUSED, Raiser
from shared.alerts.reading import read_alerts
from shared.alerts.signals import LADDER, Counted, crossings
from shared.alerts.sink import AlertsSink
from shared.audit.port import Operation, Operator, Recorded
from shared.audit.record import read_record
from shared.clock import utc
from shared.errors import StoreUnavailable
from shared.policy.types import Alerts
from shared.stores.documents import DocumentStore
from shared.stores.events import Event
from shared.stores.firestore_documents import FirestoreDocuments
from shared.stores.sqlite_documents import SqliteDocuments
from shared.switch.document import PATH, read_entries
from shared.switch.operate import MAX_TIMED_ENTRIES, SwitchOperator
from tests.support.audit_events import MemoryBus
from tests.support.trail import Chain
from tests.support.virtual_time import ManualClock

HOUR = 3600


class Trail:
    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.down = False

    def record_operation(self, operation: Operation) -> Recorded:
        if self.down:
            raise StoreUnavailable("The audit event was not acknowledged.")
        self.operations.append(operation)
        return Recorded("0" * 32, len(self.operations), "0" * 64, published=True)


class Desk:
    """A sink with everything around it."""

    def __init__(self, documents: DocumentStore) -> None:
        self.documents = documents
        self.clock = ManualClock()
        self.bus = MemoryBus()
        self.trail = Trail()
        self.chain = Chain()
        self.policy({})

    def policy(self, alerts: dict[str, Any]) -> None:
        """Go on under another policy, as a new process would."""
        policy = msgspec.convert(alerts, Alerts)
        switch = SwitchOperator(self.documents, self.trail, Operator("audit_alerts", "function"), self.clock)
        raiser = Raiser(self.documents, self.bus, switch, policy, self.clock)
        self.sink = AlertsSink(self.documents, raiser, policy, self.clock)

    def store(self, *events: Event) -> None:
        for event in events:
            self.sink.store(event.attributes(), event.data)

    def chats(self, count: int, **attributes: Any) -> list[Event]:
        return [self.chain.interaction(time=self.clock.time_ns(), **attributes) for _ in range(count)]

    def told(self) -> list[tuple[str, str, int, int]]:
        alerts = [msgspec.json.decode(event.data, type=Alert) for event in self.bus.events]
        return [(alert.signal, alert.step, alert.level, alert.value) for alert in alerts]

    def alert(self) -> Alert:
        """The newest."""
        return msgspec.json.decode(self.bus.events[-1].data, type=Alert)

    def off(self) -> dict[str, int]:
        """What the switch is on for, and for how many seconds more."""
        now = utc(self.clock)
        entries = read_entries(self.documents.get(PATH))
        return {entry.scope: round((entry.until - now).total_seconds()) for entry in entries if entry.until}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    documents = SqliteDocuments(tmp_path / "documents.db")
    yield Desk(documents)
    documents.close()


# --- counting -----------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "firestore"])
def any_desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "firestore":
        yield Desk(FirestoreDocuments(request.getfixturevalue("firestore_project"), timeout_seconds=30.0))
        return
    yield request.getfixturevalue("desk")


def test_an_alert_is_raised_once_for_subject_signal_and_window(any_desk: Desk) -> None:
    desk = any_desk
    events = desk.chats(12, decision="blocked")
    desk.store(*events, *events)
    assert desk.told() == [("blocks", "flag", 1, 5)]
    assert (desk.alert().key_id, desk.alert().tenant, desk.alert().subject_kind) == ("key1", "acme", "key")
    desk.clock.advance(HOUR)
    desk.store(*desk.chats(5, decision="blocked"))
    assert desk.told() == [("blocks", "flag", 1, 5)] * 2
    assert len({event.id for event in desk.bus.events}) == 2
    assert desk.off() == {}
    assert desk.trail.operations == []


def test_events_that_come_again_are_not_counted_again(desk: Desk) -> None:
    events = desk.chats(4, decision="blocked")
    for _ in range(5):
        desk.store(*events)
    assert desk.told() == []


@pytest.mark.parametrize("workers", [8])
def test_many_at_once_raise_once(any_desk: Desk, workers: int) -> None:
    events = any_desk.chats(30, decision="blocked")
    failed: list[Event] = []

    def deliver(event: Event) -> None:
        try:
            any_desk.store(event)
        except StoreUnavailable:  # Firestore under contention: the bus sends it again
            failed.append(event)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(deliver, [*events, *events[::2]]))
    any_desk.store(*failed)
    assert [(signal, step) for signal, step, _, _ in any_desk.told()] == [("blocks", "flag")]
    counted = [
        window["blocks"]
        for document in any_desk.documents.list("alert_counters")
        for window in document.fields.values()
        if isinstance(window, dict)
    ]
    assert counted == [30]


def test_subjects_have_counters_of_their_own(desk: Desk) -> None:
    for key in ("key1", "key2"):
        desk.store(*desk.chats(4, decision="blocked", key=key))
    for user in ("a" * 64, "b" * 64):
        desk.store(*desk.chats(4, decision="blocked", user=user))
    assert desk.told() == []
    desk.store(*desk.chats(1, decision="blocked", user="a" * 64))
    assert (desk.alert().subject_kind, desk.alert().user_hmac) == ("user", "a" * 64)


def test_a_token_s_caller_is_its_key(desk: Desk) -> None:
    """The key id of a token stands for its one user."""
    desk.store(*desk.chats(5, decision="blocked", user="a" * 64, key_kind="oidc"))
    assert (desk.alert().subject_kind, desk.alert().user_hmac) == ("key", None)


def test_an_event_of_another_day_is_not_counted(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    events = desk.chats(5, decision="blocked")
    desk.clock.advance(25 * HOUR)
    desk.store(*events)
    assert desk.told() == []
    assert "alert.not_counted" in capsys.readouterr().err


def test_what_is_kept_is_bounded_and_expires(desk: Desk) -> None:
    chance = range(1, 128_000, 311)
    for hour in range(48):
        desk.store(*(event for size in chance[hour::48] for event in desk.chats(1, prompt_characters=size)))
        desk.clock.advance(HOUR)
    counters = list(desk.documents.list("alert_counters"))
    assert len(counters) <= 3
    assert all(len(document.fields) <= 24 + 1 for document in counters)
    for collection in ("alert_counters", "alert_seen", "alerts"):
        for document in desk.documents.list(collection):
            assert timedelta(0) < document.fields["expires_at"] - utc(desk.clock) + timedelta(days=2)


@given(st.integers(1, 10**7))
def test_prompts_of_one_length_counter_differ_little(characters: int) -> None:
    counter = length_counter(characters)
    assert length_counter(characters + characters // 7 + 1) != counter
    assert int(counter.removeprefix("length_")) <= int(length_counter(characters + 1).removeprefix("length_"))


# --- signals ------------------------------------------------------------------------------------


def test_denials_are_counted_from_both_kinds_of_event_and_only_flagged(desk: Desk) -> None:
    desk.policy({"denials": {"amount": 100}})
    desk.store(*desk.chats(40, decision="denied"))
    desk.store(desk.chain.denials(59, time=desk.clock.time_ns()))
    assert desk.told() == []
    desk.store(desk.chain.denials(5000, time=desk.clock.time_ns()))
    assert desk.told() == [("denials", "flag", 1, 5099)]
    assert desk.off() == {}


def test_no_step_can_be_asked_for_denials() -> None:
    with pytest.raises(msgspec.ValidationError, match="action"):
        msgspec.convert({"denials": {"action": "quarantine"}}, Alerts)


def use(desk: Desk, tokens: int) -> None:
    desk.store(*desk.chats(10, input_tokens=tokens // 20, output_tokens=tokens // 20))


def test_spend_is_measured_against_the_subject_s_own_mean(desk: Desk) -> None:
    desk.policy({"spend": {"amount": 1000, "factor": 5}})
    for _ in range(4):
        use(desk, 10_000)
        desk.clock.advance(HOUR)
    use(desk, 40_000)
    assert desk.told() == []
    use(desk, 40_000)
    assert desk.told() == [("spend", "flag", 1, 52_000)]
    assert desk.alert().threshold == 50_000


def test_without_a_past_there_is_no_jump_and_little_is_never_one(desk: Desk) -> None:
    desk.policy({"spend": {"amount": 100_000}})
    use(desk, 1_000_000)
    for _ in range(6):
        desk.clock.advance(HOUR)
        use(desk, 100)
    for _ in range(24):
        desk.clock.advance(HOUR)
    for _ in range(3):
        use(desk, 100)
        desk.clock.advance(HOUR)
    use(desk, 90_000)
    assert desk.told() == []


def test_windows_of_the_mean_reach_over_documents(desk: Desk) -> None:
    desk.policy({"spend": {"amount": 1000}, "window_seconds": 60})
    for _ in range(30):
        use(desk, 2000)
        desk.clock.advance(60)
    use(desk, 20_000)
    assert desk.told() == [("spend", "flag", 1, 10_000)]


def test_filled_in_templates_are_seen_by_their_lengths(desk: Desk) -> None:
    desk.policy({"templates": {"amount": 30}})
    for number in range(60):
        desk.store(*desk.chats(1, prompt_characters=100 + number * 37))
    assert desk.told() == [], "lengths as people write them"
    for number in range(100):
        desk.store(*desk.chats(1, prompt_characters=4100 + number % 40))
    assert [told[0] for told in desk.told()] == ["templates"]


def test_much_output_is_told(desk: Desk) -> None:
    desk.policy({"output": {"amount": 10_000}})
    desk.store(*desk.chats(9, output_tokens=1000))
    assert desk.told() == []
    desk.store(*desk.chats(1, output_tokens=1500))
    assert desk.told() == [("output", "flag", 1, 10_500)]


@pytest.mark.parametrize(("scope", "told"), [("key:key1", ["quarantined"]), ("all", []), ("tenant:acme", [])])
def test_a_key_that_is_off_and_goes_on_is_told(desk: Desk, scope: str, told: list[str]) -> None:
    SwitchOperator(desk.documents, desk.trail, Operator("ann", "environment"), desk.clock).on(scope)
    desk.store(*desk.chats(25, decision="killed", error="kill_switch"))
    desk.store(*desk.chats(25, decision="killed", error="kill_switch_unreadable"))
    assert [signal for signal, _, _, _ in desk.told()] == told


def test_a_signal_can_be_off(desk: Desk) -> None:
    desk.policy({"blocks": {"mode": "off"}, "spend": {"mode": "off"}})
    desk.store(*desk.chats(30, decision="blocked"))
    assert desk.told() == []


@pytest.mark.parametrize("type_", ["wardgate.chain.open", "wardgate.interaction.started", "wardgate.operation"])
def test_other_events_say_nothing_of_a_subject(desk: Desk, type_: Any) -> None:
    desk.store(desk.chain.event(type_, {"wardgate.tenant": "acme", "wardgate.key.id": "key1"}))
    assert list(desk.documents.list("alert_seen")) == []


@pytest.mark.parametrize(
    "attributes", [{"wardgate.key.id": 7}, {"wardgate.decision": []}, {"gen_ai.usage.input_tokens": "1"}]
)
def test_odd_attributes_count_for_nothing(attributes: dict[str, Any]) -> None:
    odd = {"wardgate.tenant": "acme", "wardgate.key.id": "key1", "wardgate.decision": "answered", **attributes}
    assert observe(read_record(Chain().event("wardgate.interaction", odd).data)) is None


@given(
    st.lists(st.integers(1, 40), max_size=30),
    st.integers(1, 30),
    st.sampled_from(LADDER),
)
def test_every_level_is_crossed_once(adds: list[int], amount: int, action: str) -> None:
    policy = msgspec.convert({"blocks": {"amount": amount, "action": action}}, Alerts)
    value, levels = 0, []
    for add in adds:
        value += add
        counted = Counted({"blocks": value}, {"blocks": add})
        levels += [crossing.level for crossing in crossings(counted, policy, list)]
    reached = value // amount
    if action == "flag":
        assert set(levels) == ({1} if reached else set())
        return
    if all(add // amount < 16 for add in adds):
        assert levels == list(range(1, reached + 1))
    assert len(levels) == len(set(levels))


# --- steps --------------------------------------------------------------------------------------


def test_the_ladder_is_climbed_as_far_as_the_policy_allows(desk: Desk) -> None:
    desk.policy({"blocks": {"amount": 5, "action": "quarantine"}})
    desk.store(*desk.chats(5, decision="blocked"))
    assert (desk.told(), desk.off()) == ([("blocks", "flag", 1, 5)], {})
    desk.store(*desk.chats(5, decision="blocked"))
    assert (desk.told()[1:], desk.off()) == ([("blocks", "throttle", 2, 10)], {"key:key1": 60})
    desk.store(*desk.chats(5, decision="blocked"))
    assert (desk.told()[2:], desk.off()) == ([("blocks", "quarantine", 3, 15)], {"key:key1": 3600})
    assert [(done.action, done.subject, done.operator.name) for done in desk.trail.operations] == [
        ("kill.on", "key:key1", "audit_alerts")
    ] * 2
    assert all(desk.bus.events[index + 1].id in (done.reason or "") for index, done in enumerate(desk.trail.operations))


def test_a_throttle_is_repeated_and_never_becomes_more(desk: Desk) -> None:
    desk.policy({"blocks": {"amount": 5, "action": "throttle"}, "throttle_seconds": 30})
    desk.store(*desk.chats(10, decision="blocked"))
    desk.clock.advance(31)
    desk.store(*desk.chats(10, decision="blocked"))
    assert [step for _, step, _, _ in desk.told()] == ["flag", "throttle", "throttle", "throttle"]
    assert desk.off() == {"key:key1": 30}


def test_one_user_of_a_shared_key_does_not_stop_the_others(desk: Desk) -> None:
    desk.policy({"blocks": {"amount": 5, "action": "quarantine"}})
    desk.store(*desk.chats(20, decision="blocked", user="a" * 64))
    assert desk.alert().withheld == SHARED_KEY
    assert (desk.off(), desk.trail.operations) == ({}, [])


def test_a_switch_without_room_is_said(desk: Desk) -> None:
    desk.policy({"blocks": {"amount": 1, "action": "throttle"}})
    switch = SwitchOperator(desk.documents, desk.trail, Operator("audit_alerts", "function"), desk.clock)
    for number in range(MAX_TIMED_ENTRIES):
        switch.on(f"key:{number}", until=utc(desk.clock) + timedelta(hours=2))
    desk.store(*desk.chats(2, decision="blocked"))
    assert desk.alert().withheld == SWITCH_REFUSED


# --- failures -----------------------------------------------------------------------------------


def test_an_alert_that_was_counted_but_not_told_is_told_when_its_event_comes_again(desk: Desk) -> None:
    events = desk.chats(6, decision="blocked")
    desk.store(*events[:4])
    desk.bus.down = True
    with pytest.raises(StoreUnavailable):
        desk.store(events[4])
    desk.store(events[5])  # somebody else's task
    desk.bus.down = False
    assert desk.told() == []
    desk.store(events[4])
    assert [(signal, level) for signal, _, level, _ in desk.told()] == [("blocks", 1)]
    desk.store(*events)
    assert len(desk.told()) == 1


def test_a_lost_acknowledgement_tells_twice_under_one_id(desk: Desk) -> None:
    events = desk.chats(5, decision="blocked")
    desk.bus.silent = True
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            desk.store(*events)
    desk.bus.silent = False
    desk.store(*events)
    assert len({event.id for event in desk.bus.events}) == 1


@pytest.mark.parametrize("fails_at", range(1, 8))
def test_a_process_that_dies_anywhere_loses_nothing(tmp_path: Path, fails_at: int) -> None:
    """The store fails at one of its calls, after it did what was asked; then everything comes again."""
    documents = Dying(SqliteDocuments(tmp_path / "documents.db"))
    desk = Desk(documents)
    desk.policy({"blocks": {"amount": 2, "action": "throttle"}})
    events = desk.chats(4, decision="blocked")
    documents.fails_in = fails_at
    for event in events:
        for _ in range(2):
            try:
                desk.store(event)
                break
            except StoreUnavailable:
                continue
    desk.store(*events)
    assert {(signal, step, level) for signal, step, level, _ in desk.told()} == {
        ("blocks", "flag", 1),
        ("blocks", "throttle", 2),
    }
    assert len(list(read_alerts(documents, utc(desk.clock)))) == 2
    assert set(desk.off()) == {"key:key1"}
    documents.store.close()


class Dying:
    """A document store whose n-th commit takes effect and is not answered."""

    def __init__(self, store: SqliteDocuments) -> None:
        self.store = store
        self.fails_in = 0
        self.get, self.list = store.get, store.list

    def commit(self, writes: Any) -> Any:
        result = self.store.commit(writes)
        self.fails_in -= 1
        if self.fails_in == 0:
            raise StoreUnavailable("The answer is lost.")
        return result


def test_a_step_that_the_trail_does_not_take_is_tried_again(desk: Desk) -> None:
    desk.policy({"blocks": {"amount": 1, "action": "throttle"}})
    events = desk.chats(2, decision="blocked")
    desk.trail.down = True
    with pytest.raises(StoreUnavailable):
        desk.store(*events)
    assert set(desk.off()) == {"key:key1"}, "the stop does not wait for the trail"
    desk.trail.down = False
    desk.store(events[1])
    assert [step for _, step, _, _ in desk.told()] == ["flag", "throttle"]
    assert len(desk.trail.operations) == 1


# --- telling ------------------------------------------------------------------------------------


def test_the_log_line_has_what_a_metric_needs(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.store(*desk.chats(5, decision="blocked"))
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "alert.raised" in line]
    assert (line["severity"], line["signal"], line["step"], line["key_id"]) == ("WARNING", "blocks", "flag", "key1")
    assert line["alert_id"] == desk.bus.events[0].id


def test_the_event_is_a_cloud_event_of_its_own_type(desk: Desk) -> None:
    desk.store(*desk.chats(5, decision="blocked"))
    (event,) = desk.bus.events
    assert (event.type, event.source) == ("wardgate.alert", "//wardgate/audit_alerts")
    assert [alert.id for alert in read_alerts(desk.documents, utc(desk.clock))] == [event.id]
