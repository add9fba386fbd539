"""A rotation from end to end: what is done when, what failures lead to, and what is never undone."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from shared.errors import StoreUnavailable
from shared.rotation.attempts import attempt_id
from shared.rotation.drivers.port import KeyNotAccepted, NewKey, ProviderRefused, ProviderUnavailable
from shared.rotation.machine import FOREVER, LONGEST_BACKOFF_SECONDS, MOST_TRIES, Order, Timing, backoff
from shared.rotation.managed import ManagedSecret
from shared.rotation.record import MOST_ATTEMPTS, MOST_DISCARDED, MOST_ENTRIES, SetAside, to_fields
from shared.rotation.rotator import RollbackRefused, Rotator, Tick
from shared.rotation.schedule import read_record
from shared.stores.documents import Write
from shared.stores.secret_pointer import pointer_path
from shared.stores.secret_reader import SecretReader
from shared.stores.secrets import Secret
from tests.support.rotation import (
    HOUR,
    NAME,
    TIMING,
    MemoryProvider,
    MemorySecrets,
    assert_settled,
    is_served,
    managed,
)
from tests.support.virtual_time import SECOND, ManualClock, SkewedClock, VirtualDocuments

DAY = 24 * HOUR
NOW = Order(before=FOREVER)
LEAKED = Order(before=FOREVER, urgent=True)


class World:
    """A secret, its provider and its stores, on one clock."""

    def __init__(self, **provider: Any) -> None:
        self.clock = ManualClock()
        self.documents = VirtualDocuments(self.clock)
        self.store = MemorySecrets(self.clock)
        self.provider = MemoryProvider(**provider)
        self.secret = managed(self.provider)
        self.lines: list[dict[str, Any]] = []
        self.rotator = self.another()

    def another(self, ahead: int = 0) -> Rotator:
        """One more process that rotates, by a clock that is so many seconds ahead."""
        clock = SkewedClock(self.clock, ahead * SECOND)
        return Rotator(self.store, self.documents, clock, self.log, chance=random.Random(7))

    def log(self, severity: str, event: str, **fields: Any) -> None:
        self.lines.append({"severity": severity, "event": event, **fields})

    def events(self) -> list[str]:
        return [line["event"].removeprefix("rotation.") for line in self.lines]

    def tick(self, order: Order = Order(), after: float = 0) -> Tick:  # noqa: B008  # an immutable default
        self.clock.advance(after)
        return self.rotator.tick(self.secret, order)

    def state(self) -> tuple[str, int]:
        record = read_record(self.documents, NAME)
        return record.state, record.generation

    def reader(self) -> SecretReader:
        return SecretReader(self.store, self.documents, "production", {}, monotonic=lambda: self.clock.now / SECOND)

    def served(self) -> bool:
        return is_served(self.reader(), self.provider.accepts)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def running(world: World) -> World:
    """With its first version made."""
    assert world.tick().result == "promoted"
    assert world.state() == ("IDLE", 1)
    return world


def failing(error: BaseException, times: int = 10**6, then: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """A call that fails so often."""
    left = [times]

    def call(*arguments: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return then(*arguments) if then is not None else None

    return call


def test_the_first_tick_makes_the_secret(world: World) -> None:
    assert world.tick().result == "promoted"
    record = assert_settled(world.store, world.documents, world.provider)
    assert (record.generation, record.current.number) == (1, 1)
    assert world.served()
    assert world.tick().result == "not_due"
    assert world.store.labels(NAME) == {"current": 1}


def test_a_rotation_goes_through_its_states_in_its_time(running: World) -> None:
    assert running.tick(after=TIMING.period - 5).result == "not_due"
    done = running.tick(after=10)
    assert (done.result, done.state, done.generation) == ("promoted", "PROMOTED", 2)
    assert running.store.labels(NAME) == {"current": 2, "previous": 1}
    assert running.tick(after=HOUR - 5).result == "in_grace"
    assert len(running.provider.keys) == 2
    assert (running.tick(after=10).result, running.state()) == ("baking", ("DISABLED", 2))
    assert len(running.provider.keys) == 1
    assert [version.state for version in running.store.versions(NAME)] == ["enabled", "disabled"]
    assert running.tick(after=DAY - 5).result == "baking"
    assert running.tick(after=10).result == "not_due"
    assert_settled(running.store, running.documents, running.provider)
    assert running.served()
    history = [entry.event for entry in read_record(running.documents, NAME).history]
    assert history == ["stored", "promoted", "stored", "promoted", "disabled", "put_away"]


def test_an_order_is_carried_out_once_and_in_grace_it_waits(running: World) -> None:
    running.clock.advance(10)
    sent = running.clock.now
    assert running.tick(Order(before=sent), after=5).result == "promoted"
    assert running.tick(NOW).result == "in_grace"
    assert running.tick(Order(before=sent), after=HOUR + 1).result == "baking"  # the same message, delivered again
    assert running.state() == ("DISABLED", 2)
    assert running.tick(NOW).result == "promoted"  # a bake stops nobody
    assert running.state() == ("PROMOTED", 3)
    running.tick(after=HOUR + 1)
    running.tick(after=DAY + 1)
    assert_settled(running.store, running.documents, running.provider)


def test_an_order_from_a_clock_that_is_ahead_rotates_once(running: World) -> None:
    running.clock.advance(10)
    assert running.tick(Order(before=running.clock.now + 5 * SECOND)).result == "promoted"
    assert running.state() == ("PROMOTED", 2)


def test_a_leaked_key_is_revoked_at_once(running: World) -> None:
    (old,) = running.provider.keys
    assert running.tick(LEAKED, after=1).result == "promoted"
    assert running.state() == ("DISABLED", 2)
    assert old not in running.provider.keys
    assert running.served()
    # Whatever is in use when it is said again is revoked, too.
    (newer,) = running.provider.keys
    running.tick(LEAKED, after=1)
    assert newer not in running.provider.keys
    assert running.served()


def test_a_leak_within_a_grace_period_ends_both_keys(running: World) -> None:
    running.tick(NOW, after=1)
    assert running.state() == ("PROMOTED", 2)
    leaked = set(running.provider.keys)
    assert len(leaked) == 2
    assert running.tick(LEAKED, after=1).result == "promoted"
    assert not leaked & set(running.provider.keys)
    assert running.served()
    running.tick(after=DAY + 1)
    assert_settled(running.store, running.documents, running.provider)


def test_a_leak_during_a_rotation_hurries_it(running: World) -> None:
    running.provider.create = failing(ProviderUnavailable("no"), 1, running.provider.create)  # type: ignore[method-assign]
    assert running.tick(NOW, after=1).result == "failed"
    assert running.state() == ("MINTING", 1)
    assert running.tick(LEAKED).result == "promoted"
    assert running.state() == ("DISABLED", 2)


def test_a_provider_that_fails_is_left_alone_for_longer_each_time(running: World) -> None:
    running.provider.create = failing(ProviderUnavailable("no"))  # type: ignore[method-assign]
    waits = []
    tick = running.tick(NOW, after=1)
    for _ in range(MOST_TRIES):
        assert tick.result == "failed"
        assert tick.until is not None
        waits.append((tick.until - running.clock.now) / SECOND)
        assert running.tick().result in ("backoff", "aborted")
        running.clock.now = tick.until
        tick = running.tick()
    assert [30 <= waits[0] <= 60, 60 <= waits[1] <= 120, 120 <= waits[2] <= 240] == [True] * 3
    assert running.state() == ("IDLE", 1)
    assert "aborted" in running.events()
    assert running.served()
    assert read_record(running.documents, NAME).failures == MOST_TRIES


def test_a_backoff_is_bounded_and_spread() -> None:
    chance = random.Random(1)
    waits = [backoff(failures, chance) / SECOND for failures in range(1, 200)]
    assert all(30 <= wait <= LONGEST_BACKOFF_SECONDS for wait in waits)
    assert min(waits[50:]) >= LONGEST_BACKOFF_SECONDS / 2
    assert len(set(waits)) == len(waits)


def test_a_provider_may_ask_for_a_longer_pause(running: World) -> None:
    running.provider.create = failing(ProviderUnavailable("busy", retry_after=5000))  # type: ignore[method-assign]
    tick = running.tick(NOW, after=1)
    assert tick.until is not None
    assert tick.until >= running.clock.now + 5000 * SECOND


def test_a_refusal_ends_the_rotation_and_a_person_may_try_again_at_once(running: World) -> None:
    create = running.provider.create
    running.provider.create = failing(ProviderRefused("quota"))  # type: ignore[method-assign]
    assert running.tick(after=TIMING.period + 1).result == "aborted"
    assert running.state() == ("IDLE", 1)
    assert running.tick().result == "backoff"
    running.provider.create = create  # type: ignore[method-assign]
    assert running.tick(NOW).result == "promoted"


def test_a_new_key_that_never_works_is_given_up(running: World) -> None:
    running.provider.test = failing(KeyNotAccepted("no"))  # type: ignore[method-assign]
    result = running.tick(NOW, after=1).result
    while result in ("failed", "backoff"):
        result = running.tick(after=HOUR + 1).result
    assert result == "aborted"
    assert (running.state(), len(running.provider.keys)) == (("IDLE", 1), 1)
    running.tick(after=DAY + HOUR + 1)
    assert_settled(running.store, running.documents, running.provider)
    assert running.served()


def test_a_new_key_that_works_after_a_while_is_taken(running: World) -> None:
    running.provider.test = failing(KeyNotAccepted("not yet"), 2)  # type: ignore[method-assign]
    running.tick(NOW, after=1)
    assert running.state() == ("STORED", 1)
    running.tick(after=200)
    running.tick(after=400)
    assert running.state() == ("PROMOTED", 2)


def test_a_version_that_is_seen_late_is_waited_for_and_readers_never_notice(running: World) -> None:
    reader = running.reader()
    running.store.seen_after = 20 * SECOND
    assert running.tick(NOW, after=60).result == "failed"
    assert running.state() == ("STORED", 1)
    assert is_served(reader, running.provider.accepts)
    assert running.tick(after=120).result == "promoted"


def test_a_reader_far_away_takes_the_previous_version_until_it_sees_the_new_one(running: World) -> None:
    running.clock.advance(100)
    running.tick(NOW)
    running.store.seen_after = 50 * SECOND
    far = running.reader()
    assert far.current(NAME).number == 1
    running.clock.advance(50)
    assert far.current(NAME).number == 2


def test_a_revocation_that_fails_is_tried_until_it_works(running: World) -> None:
    revoke = running.provider.revoke
    running.tick(NOW, after=1)
    running.provider.revoke = failing(ProviderRefused("no right"), 3, revoke)  # type: ignore[method-assign]
    assert running.tick(after=HOUR + 1).result == "failed"
    assert running.tick().result == "backoff"
    assert running.state() == ("DISABLED", 2)
    for _ in range(3):
        running.tick(after=LONGEST_BACKOFF_SECONDS)
    assert len(running.provider.keys) == 1
    running.tick(after=2 * DAY)
    assert_settled(running.store, running.documents, running.provider)


def test_a_rollback_goes_back_and_the_other_key_gets_its_grace(running: World) -> None:
    running.tick(NOW, after=1)
    tick = running.rotator.rollback(running.secret)
    assert (tick.result, running.state()) == ("promoted", ("PROMOTED", 3))
    assert running.reader().current(NAME).number == 1
    assert running.tick(after=HOUR - 5).result == "in_grace"
    assert len(running.provider.keys) == 2
    assert running.tick(after=10).result == "baking"
    running.tick(after=DAY + 1)
    record = assert_settled(running.store, running.documents, running.provider)
    assert record.current.number == 1
    assert running.served()


def test_a_rollback_can_be_rolled_back(running: World) -> None:
    running.tick(NOW, after=1)
    running.rotator.rollback(running.secret)
    running.rotator.rollback(running.secret)
    assert running.reader().current(NAME).number == 2


def test_after_a_rollback_the_schedule_pauses_for_a_day(running: World) -> None:
    running.tick(after=TIMING.period + 1)
    running.rotator.rollback(running.secret)
    quick = ManagedSecret(NAME, running.provider, Timing(period=1, grace=1, bake=1))
    running.clock.advance(10)
    running.rotator.tick(quick)
    running.clock.advance(10)
    assert running.rotator.tick(quick).result == "backoff"
    running.clock.advance(DAY)
    assert running.rotator.tick(quick).result == "promoted"


@pytest.mark.parametrize("when", ["idle", "over", "unreadable"])
def test_where_there_is_no_way_back_a_rollback_is_refused(running: World, when: str) -> None:
    if when != "idle":
        running.tick(NOW, after=1)
    if when == "over":
        running.clock.advance(HOUR + 1)
    if when == "unreadable":
        running.store.disable(NAME, 1)
    before = running.state()
    with pytest.raises(RollbackRefused):
        running.rotator.rollback(running.secret)
    assert running.state() == before
    assert read_record(running.documents, NAME).lease_owner is None


def test_what_was_there_before_rotation_is_taken_over_and_left_alone(world: World) -> None:
    world.store.create(NAME)
    world.store.add(NAME, b"by hand, forgotten")
    world.store.add(NAME, world.provider.create("by hand").value.reveal())
    assert world.tick().result == "not_due"
    assert world.state() == ("IDLE", 1)
    assert world.reader().current(NAME).number == 2
    world.tick(after=TIMING.period + 1)
    world.tick(after=HOUR + 1)
    world.tick(after=DAY + 1)
    states = {version.number: version.state for version in world.store.versions(NAME)}
    assert states == {1: "enabled", 2: "destroyed", 3: "enabled"}
    assert "not_revoked" in world.events()  # nobody has ever said which of the provider's keys it was
    assert len(world.provider.keys) == 2


def test_what_somebody_disabled_is_not_made_anew_unless_ordered(world: World) -> None:
    world.store.create(NAME)
    world.store.add(NAME, b"v")
    world.store.disable(NAME, 1)
    assert world.tick().result == "nothing_enabled"
    assert world.tick(NOW).result == "promoted"


def test_a_provider_that_cannot_mint_is_never_called(world: World) -> None:
    world.provider.mints = False
    world.provider.list = world.provider.create = failing(AssertionError("called"))  # type: ignore[method-assign]
    world.store.create(NAME)
    world.store.add(NAME, b"by hand")
    assert world.tick().result == "not_due"
    assert world.tick(after=TIMING.period + 1).result == "cannot_mint"
    assert world.tick(NOW).result == "cannot_mint"


def test_without_a_list_a_lost_answer_is_told(world: World) -> None:
    world.provider.lists = False
    world.provider.create = failing(ProviderUnavailable("lost"))  # type: ignore[method-assign]
    world.tick()
    (line,) = [line for line in world.lines if line["event"] == "rotation.orphan_possible"]
    assert line["attempt"].startswith("wg-upstream-key-")


def test_keys_and_versions_that_nobody_knows_are_swept_but_no_stranger_is(running: World) -> None:
    stranger = running.provider.create("somebody's own key").reference
    attempt = read_record(running.documents, NAME).attempts[-1]
    running.provider.create(attempt)  # by a zombie that woke up late
    running.store.add(NAME, b"orphan")
    running.tick()
    assert [version.state for version in running.store.versions(NAME)] == ["disabled", "enabled"]
    assert len(running.provider.keys) == 2
    assert stranger in running.provider.keys
    running.tick(after=DAY + 1)
    assert [version.state for version in running.store.versions(NAME)] == ["destroyed", "enabled"]
    assert {"set_aside", "put_away", "orphan_revoked"} <= set(running.events())


def test_two_at_once_do_one_rotation(running: World) -> None:
    """The second comes while the first is at each of its steps."""
    other = running.another()
    results: list[str] = []

    def meanwhile() -> None:
        running.documents.after = lambda: None
        results.append(other.tick(running.secret, NOW).result)
        running.documents.after = meanwhile

    running.documents.after = meanwhile
    running.clock.advance(1)
    assert running.rotator.tick(running.secret, NOW).result == "promoted"
    assert set(results[:-1]) == {"busy"}
    assert running.state() == ("PROMOTED", 2)


@pytest.mark.parametrize("call", ["create", "add", "access", "revoke", "list", "versions", "disable"])
@pytest.mark.parametrize("order", [NOW, LEAKED], ids=["now", "leaked"])
def test_a_zombie_changes_nothing_after_its_lease(running: World, call: str, order: Order) -> None:
    """The first is paused in one of its calls, past its lease; a second does the whole rotation meanwhile."""
    place = running.store if hasattr(running.store, call) else running.provider
    real = getattr(place, call)
    paused: list[Tick] = []

    def pause(*arguments: Any) -> Any:
        setattr(place, call, real)
        running.clock.advance(1000)
        paused.append(running.another().tick(running.secret, order))
        return real(*arguments)

    setattr(place, call, pause)
    running.clock.advance(1)
    mine = running.rotator.tick(running.secret, order)
    assert [tick.result for tick in paused] in (["promoted"], [])
    assert mine.result in ("busy", "promoted", "in_grace", "baking", "not_due")
    assert running.served()
    for _ in range(3):
        running.tick(after=2 * DAY)
    assert_settled(running.store, running.documents, running.provider)
    assert running.served()


@pytest.mark.parametrize("ahead", [-900, 900, 10 * HOUR])
def test_clocks_that_disagree_shorten_no_grace_period(running: World, ahead: int) -> None:
    wrong = running.another(ahead)
    running.tick(NOW, after=1)
    wrong.tick(running.secret)
    assert len(running.provider.keys) == 2
    assert running.state() == ("PROMOTED", 2)
    running.tick(after=HOUR + 1)
    running.tick(after=DAY + 1)
    assert_settled(running.store, running.documents, running.provider)


def test_while_the_document_store_is_down_nothing_is_done(running: World) -> None:
    running.documents.down = True
    assert running.tick(NOW, after=1).result == "unavailable"
    running.documents.down = False
    assert (len(running.provider.keys), running.state()) == (1, ("IDLE", 1))


def test_a_document_store_that_fails_half_way_stops_at_once(running: World) -> None:
    commits = [0]

    def fail() -> None:
        commits[0] += 1
        running.documents.down = commits[0] == 4

    running.documents.before = fail
    assert running.tick(NOW, after=1).result == "unavailable"
    running.documents.before, running.documents.down = (lambda: None), False
    assert running.tick().result == "busy"  # its lease is still there
    assert running.tick(after=200).result == "promoted"
    for _ in range(3):
        running.tick(after=2 * DAY)
    assert_settled(running.store, running.documents, running.provider)


def test_whoever_is_alone_waits_for_no_lease(running: World) -> None:
    """As when the local stack starts again after a kill."""
    running.provider.create = failing(SystemExit())  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        running.tick(NOW, after=1)
    del running.provider.create
    assert running.tick().result == "busy"
    alone = Rotator(running.store, running.documents, running.clock, running.log, alone=True)
    assert alone.tick(running.secret).result == "promoted"


def test_a_secret_store_that_is_down_is_a_failure_like_others(running: World) -> None:
    add = running.store.add
    running.store.add = failing(StoreUnavailable("down"), 1, add)  # type: ignore[method-assign]
    assert running.tick(NOW, after=1).result == "failed"
    assert running.tick(after=100).result == "promoted"
    running.tick(after=HOUR + 1)
    running.tick(after=DAY + 1)
    assert_settled(running.store, running.documents, running.provider)


CALLS = {
    "store": ("access", "add", "versions", "disable", "destroy", "label"),
    "provider": ("create", "test", "revoke", "list"),
    "documents": ("commit", "get"),
}


@pytest.mark.parametrize("skipped", range(4))
@pytest.mark.parametrize("effective", [False, True], ids=["without effect", "answer lost"])
@pytest.mark.parametrize(("place", "call"), [(place, call) for place, calls in CALLS.items() for call in calls])
def test_any_failure_in_any_call_ends_well(place: str, call: str, effective: bool, skipped: int) -> None:
    """Each call in turn fails throughout three ticks of a rotation that is given up, and of one that is not."""
    for refused in (False, True):
        world = World()
        world.tick()
        if refused:
            world.provider.test = failing(KeyNotAccepted("no"), MOST_TRIES, world.provider.test)  # type: ignore[method-assign]
        target = getattr(world, place)
        real, left = getattr(target, call), [skipped]

        def fail(*arguments: Any, real: Any = real, left: list[int] = left, target: Any = target) -> Any:
            left[0] -= 1
            if left[0] >= 0:
                return real(*arguments)
            if effective:
                real(*arguments)
            if left[0] < -3:
                setattr(target, call, real)
            raise StoreUnavailable("down") if place != "provider" else ProviderUnavailable("down")

        setattr(target, call, fail)
        world.tick(NOW, after=10)
        for _ in range(12):
            world.tick(after=7 * HOUR)
        setattr(target, call, real)
        for _ in range(12):
            assert world.served()
            world.tick(after=DAY + 1)
        assert_settled(world.store, world.documents, world.provider)


def test_giving_up_may_fail_too(running: World) -> None:
    revoke, test = running.provider.revoke, running.provider.test
    running.provider.test = failing(ProviderRefused("no"))  # type: ignore[method-assign]
    running.provider.revoke = failing(ProviderUnavailable("no"))  # type: ignore[method-assign]
    assert running.tick(NOW, after=1).result == "failed"
    assert running.state() == ("ABORTING", 1)
    assert running.tick(after=HOUR).result == "failed"
    running.provider.revoke, running.provider.test = revoke, test  # type: ignore[method-assign]
    assert running.tick(after=HOUR).result == "aborted"
    assert len(running.provider.keys) == 1
    assert running.served()


def test_labels_and_sweeps_that_fail_stop_nothing(running: World) -> None:
    running.store.label = failing(StoreUnavailable("no right"))  # type: ignore[method-assign]
    running.provider.list = failing(ProviderUnavailable("no"))  # type: ignore[method-assign]
    assert running.tick(NOW, after=1).result == "promoted"
    assert {"not_labelled", "sweep_failed"} <= set(running.events())
    assert running.tick().result == "in_grace"
    assert running.events().count("not_labelled") == 1


def test_the_document_stays_small_and_tells_no_value(running: World) -> None:
    values = []
    create = running.provider.create

    def noting(attempt: str) -> NewKey:
        made = create(attempt)
        values.append(made.value.reveal())
        return made

    running.provider.create = noting  # type: ignore[method-assign]
    for _ in range(60):
        running.tick(NOW, after=HOUR + 1)
    record = read_record(running.documents, NAME)
    assert (len(record.history), len(record.attempts)) == (MOST_ENTRIES, MOST_ATTEMPTS)
    told = repr(running.documents.documents) + repr(running.lines)
    assert len(told) < 200_000
    assert not [value for value in values if value.decode() in told]


def test_where_too_many_versions_wait_for_their_end_the_oldest_go_first(running: World) -> None:
    numbers = [running.store.add(NAME, b"v").number for _ in range(MOST_DISCARDED + 5)]
    for number in numbers:
        running.store.disable(NAME, number)
    record = read_record(running.documents, NAME)
    aside = tuple(SetAside(number, running.clock.now) for number in numbers)
    fields = to_fields(msgspec.structs.replace(record, discarded=aside))
    running.documents.commit([Write(pointer_path(NAME), fields, replace=True)])
    running.tick()
    destroyed = [version.number for version in running.store.versions(NAME) if version.state == "destroyed"]
    assert sorted(destroyed) == numbers[:5]
    assert len(read_record(running.documents, NAME).discarded) == MOST_DISCARDED


@pytest.mark.parametrize("name", ["a", "A_very-long_Name" * 15, "-", "___", "OPENAI_API_KEY"])
def test_an_attempts_name_fits_every_provider(name: str) -> None:
    made = {attempt_id(name, 10**6, 10**9) for _ in range(50)}
    assert len(made) == 50
    for each in made:
        assert len(each) <= 63
        assert each[0].isalpha()
        assert each[-1].isalnum()
        assert set(each) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_a_value_does_not_show_in_a_new_key() -> None:
    assert "sk-1" not in repr(NewKey(Secret(b"sk-1"), "ref"))
