"""Group commit: what waits shares one commit, each gets its own answer, and a fault stays with whose it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Sequence, Sized
from typing import Any

import pytest
from msgspec.structs import replace

from shared.admission.cells import counts_in
from shared.admission.limiter import Limiter
from shared.admission.port import LimitExceeded, Reservation, Usage
from shared.errors import ServiceUnavailable, StoreUnavailable
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from shared.stores.documents import CommitResult, Delete, Write
from shared.stores.grouping import LARGEST_GROUP, Groups
from tests.support.stores import wait_until
from tests.support.virtual_time import ManualClock, VirtualDocuments

CALLER = Caller("acme", "key-1", "api_key", frozenset())


class Slow(VirtualDocuments):
    """A store that takes a moment, and in which two commits at once would be seen."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.lock = threading.Lock()
        self.fail = False
        self.pause = 0.02

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        time.sleep(self.pause)
        with self.lock:
            if self.fail:
                raise StoreUnavailable("Gone.")
            return super().commit(writes)


def together(count: int, work: object) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_step(limiter: Limiter, threads: int, done: Sized) -> None:
    """Let each group run only when every other thread waits or is done, so that it is known who shares a commit."""
    run, waiting = limiter._groups._run, limiter._groups._waiting

    def run_in_step(key: Hashable, group: Sequence[Any]) -> None:
        wait_until(lambda: len(waiting[key]) + len(group) + len(done) >= threads)
        run(key, group)

    limiter._groups._run = run_in_step


def test_threads_on_one_key_share_commits_and_get_numbers_in_order() -> None:
    """The thread that came first is alone in every other group, and all the rest are together in the next one."""
    store = VirtualDocuments(ManualClock())
    limits = [
        RateLimit(name="requests", amount=70, window_seconds=60),
        RateLimit(name="tokens", kind="tokens", amount=10_000, window_seconds=60),
    ]
    limiter = Limiter(store, limits, AdmissionPolicy(), ManualClock())
    admitted: list[int] = []
    denied: list[int | None] = []
    done: list[int] = []

    def work(number: int) -> None:
        for _ in range(3):
            try:
                reservation = limiter.reserve(CALLER, "default", Usage(1, 50, 50))
            except LimitExceeded as error:
                denied.append(error.seq)
            else:
                limiter.settle(reservation, Usage(1, 5, 5))
                admitted.append(reservation.seq)
        done.append(number)

    in_step(limiter, 32, done)
    together(32, work)
    assert len(admitted) == 70
    numbers = sorted(admitted + [seq for seq in denied if seq is not None])
    assert numbers == list(range(1, len(numbers) + 1))
    undone = 1
    assert len(store.commits) == 3 * (2 + 2) + undone
    assert sum(sum(counts_in(fields).values()) for fields, _ in store.documents.values()) == 70 + 70 * 10


def test_each_of_a_group_is_charged_what_it_asked_for() -> None:
    store = VirtualDocuments(ManualClock())
    limits = [RateLimit(name="tokens", kind="tokens", amount=1000, window_seconds=60)]
    limiter = Limiter(store, limits, AdmissionPolicy(), ManualClock())
    reservations: dict[int, Reservation] = {}

    def work(number: int) -> None:
        reservations[number] = limiter.reserve(CALLER, "default", Usage(1, 10 + number, 0))

    def charged() -> int:
        return sum(sum(counts_in(fields).values()) for fields, _ in store.documents.values())

    in_step(limiter, 8, reservations)
    together(8, work)
    assert len(store.commits) == 2
    for number, reservation in reservations.items():
        before = charged()
        limiter.settle(reservation, Usage(0))
        assert before - charged() == 10 + number


def test_a_large_request_in_a_group_is_denied_alone() -> None:
    store = Slow()
    limiter = Limiter(
        store,
        [RateLimit(name="tokens", kind="tokens", amount=100, window_seconds=60)],
        AdmissionPolicy(),
        ManualClock(),
    )
    outcomes: dict[int, bool] = {}

    def work(number: int) -> None:
        try:
            limiter.reserve(CALLER, "default", Usage(1, 95 if number == 3 else 5, 0))
            outcomes[number] = True
        except LimitExceeded:
            outcomes[number] = False

    limiter.reserve(CALLER, "default", Usage(1, 10, 0))
    together(10, work)
    assert outcomes == {number: number != 3 for number in range(10)}


def test_a_lost_group_is_not_charged_again() -> None:
    store = Slow()
    limiter = Limiter(store, [RateLimit(name="r", amount=9, window_seconds=60)], AdmissionPolicy(), ManualClock())
    store.fail = True
    failed: list[bool] = []

    def work(_: int) -> None:
        try:
            limiter.reserve(CALLER, "default", Usage())
        except ServiceUnavailable as error:
            failed.append(error.unknown is not None)

    together(8, work)
    assert failed == [True] * 8


def test_a_fault_that_is_not_the_stores_stays_with_whose_it_is() -> None:
    limiter = Limiter(
        Picky(), [RateLimit(name="t", kind="tokens", amount=1000, window_seconds=60)], AdmissionPolicy(), ManualClock()
    )
    outcomes: dict[int, str] = {}

    def work(number: int) -> None:
        try:
            limiter.reserve(CALLER, "default", Usage(1, 60 if number == 3 else 1, 0))
            outcomes[number] = "admitted"
        except ValueError:
            outcomes[number] = "failed"

    together(8, work)
    assert outcomes == {number: "failed" if number == 3 else "admitted" for number in range(8)}


def test_a_group_has_a_weight_and_its_newest_runs_it() -> None:
    groups_run: list[list[int]] = []
    runners: list[int] = []
    first = threading.Event()

    def run(_: Hashable, group: Sequence[int]) -> None:
        groups_run.append(list(group))
        runners.append(threading.get_ident())
        first.wait(20)

    groups: Groups[int] = Groups(run, weigh=lambda item: item, heaviest=10)
    submitters: dict[int, int] = {}

    def submit(item: int) -> None:
        submitters[item] = threading.get_ident()
        groups.submit("key", item)

    threads = [threading.Thread(target=submit, args=(item,)) for item in (1, 4, 6, 50, 2)]
    for number, thread in enumerate(threads):
        thread.start()
        wait_until(lambda number=number: len(groups_run) == 1 and len(groups._waiting["key"]) == number)
    first.set()
    for thread in threads:
        thread.join()
    assert groups_run == [[1], [4, 6], [50], [2]]
    assert runners == [submitters[group[-1]] for group in groups_run]


def test_who_cannot_wait_any_longer_leaves() -> None:
    entered, leave = threading.Event(), threading.Event()
    ran: list[int] = []

    def run(_: Hashable, group: Sequence[int]) -> None:
        ran.extend(group)
        entered.set()
        leave.wait(20)

    groups: Groups[int] = Groups(run)
    leader = threading.Thread(target=groups.submit, args=("key", 1))
    leader.start()
    assert entered.wait(20)
    assert groups.submit("key", 2, until=time.monotonic() + 0.05) == "withdrawn"
    leave.set()
    leader.join()
    assert groups.submit("key", 3, until=time.monotonic()) == "done", "nobody to wait for"
    assert ran == [1, 3]
    assert not groups._waiting


class Picky(Slow):
    """Refuses large numbers, as both stores do, if only beyond 64 bits."""

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        if any(abs(amount) >= 60 for write in writes for amount in write.increments.values()):
            raise ValueError("Too much for this store.")
        return super().commit(writes)


def test_a_correction_that_is_refused_is_nobody_elses_fault() -> None:
    """Nor is it one's own: a call that has ended has ended."""
    limits = [RateLimit(name="t", kind="tokens", amount=1000, window_seconds=60)]
    store = Picky()
    limiter = Limiter(store, limits, AdmissionPolicy(), ManualClock())
    reservations = [limiter.reserve(CALLER, "default", Usage(1, 10, 0)) for _ in range(8)]
    outcomes: dict[int, str] = {}

    def work(number: int) -> None:
        if number < 8:
            limiter.settle(reservations[number], Usage(1, 100 if number == 3 else 5, 0))
        else:
            limiter.reserve(CALLER, "default", Usage(1, 1, 0))
        outcomes[number] = "done"

    together(16, work)
    assert len(outcomes) == 16
    assert sum(sum(counts_in(fields).values()) for fields, _ in store.documents.values()) == 7 * 5 + 10 + 8


def test_requests_that_the_store_refuses_take_nothing_from_what_all_share() -> None:
    limits = [
        RateLimit(name="all", amount=160, window_seconds=600, per="global"),
        RateLimit(name="t", kind="tokens", amount=1000, window_seconds=600),
    ]
    store = Picky()
    store.pause = 0
    limiter = Limiter(store, limits, AdmissionPolicy(), ManualClock())
    for _ in range(20):  # from now on a chunk is there
        limiter.reserve(CALLER, "default", Usage(1, 1, 0))
    for _ in range(160):
        with pytest.raises(ValueError, match="Too much"):
            limiter.reserve(CALLER, "default", Usage(1, 60, 0))
    for _ in range(140):
        limiter.reserve(replace(CALLER, tenant="other", key_id="key-2"), "default", Usage(1, 1, 0))


def test_groups_are_bounded_and_nobody_is_forgotten() -> None:
    sizes: list[int] = []
    done: set[int] = set()

    def run(key: Hashable, group: Sequence[int]) -> None:
        if not sizes:
            wait_until(lambda: len(groups._waiting[key]) == 199)
        sizes.append(len(group))
        done.update(group)

    groups: Groups[int] = Groups(run)
    together(200, lambda number: groups.submit("key", number))
    assert done == set(range(200))
    assert sizes == [1, *[LARGEST_GROUP] * (199 // LARGEST_GROUP), 199 % LARGEST_GROUP]
    assert not groups._waiting
