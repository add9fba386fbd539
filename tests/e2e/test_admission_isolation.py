"""One tenant's giant or failing requests neither fail nor starve another's, nor their neighbours', on either store.

The stores here refuse a commit with a number that only one tenant's requests try to charge, to a limit in mode
``monitor``, which denies nothing: so everything that shares such a commit is refused with it.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from shared.admission.cells import counts_in
from shared.admission.limiter import Limiter
from shared.admission.port import LargerThanLimit, LimitExceeded, Usage
from shared.clock import SystemClock
from shared.errors import ServiceUnavailable
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from shared.stores.documents import CommitResult, Delete, DocumentStore, Write
from shared.stores.firestore_documents import FirestoreDocuments
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.stores import wait_until

TROUBLE = Caller("trouble", "key-trouble", "api_key", frozenset())
QUIET = Caller("quiet", "key-quiet", "api_key", frozenset())
LIMITS = [
    RateLimit(name="requests", amount=40, window_seconds=3600),
    RateLimit(name="all", amount=10_000, window_seconds=3600, per="global"),
    RateLimit(name="tokens", kind="tokens", amount=1_000, window_seconds=3600),
    RateLimit(name="seen", kind="cost", amount=1_000, window_seconds=3600, mode="monitor"),
]
SMALL = Usage(1, 1, 1, cost=1)
FAILING = Usage(1, 1, 1, cost=2**62)
GIANT = Usage(1, 900, 0, cost=1)
LARGER = Usage(1, 1_001, 0, cost=1)


class SqliteThatRefuses(SqliteDocuments):
    """SQLite, but for ``FAILING``."""

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        refuse(writes)
        return super().commit(writes)


class FirestoreThatRefuses(FirestoreDocuments):
    """Firestore, but for ``FAILING``."""

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        refuse(writes)
        return super().commit(writes)


def refuse(writes: Sequence[Write | Delete]) -> None:
    if any(abs(n) >= FAILING.cost for write in writes if isinstance(write, Write) for n in write.increments.values()):
        raise ValueError("Too much for this store.")


@pytest.fixture(params=["sqlite", "firestore"])
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocumentStore]:
    if request.param == "firestore":
        yield FirestoreThatRefuses(request.getfixturevalue("firestore_project"), timeout_seconds=30.0)
        return
    store = SqliteThatRefuses(tmp_path / "documents.db", timeout_seconds=30.0)
    yield store
    store.close()


def outcome(limiter: Limiter, caller: Caller, usage: Usage) -> str:
    try:
        limiter.settle(limiter.reserve(caller, "default", usage), usage)
    except LimitExceeded:
        return "denied"
    except LargerThanLimit:
        return "too large"
    except ServiceUnavailable:
        return "unavailable"
    except ValueError:
        return "failed"
    return "admitted"


def in_threads(count: int, work: object) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_tenant_in_trouble_takes_nothing_from_another(documents: DocumentStore) -> None:
    """Eight threads of one tenant fail, ask for too much or are denied, without a pause; the other asks meanwhile."""
    limiter = Limiter(documents, LIMITS, AdmissionPolicy(deadline_ms=10_000), SystemClock())
    troubled: Counter[str] = Counter()
    failed = threading.Barrier(8)  # all have, before the limits are used up and nothing fails any more
    over = threading.Event()

    def trouble(number: int) -> None:
        troubled[outcome(limiter, TROUBLE, FAILING)] += 1
        failed.wait()
        turn = number
        while not over.is_set():
            turn += 1
            troubled[outcome(limiter, TROUBLE, (FAILING, GIANT, LARGER, SMALL)[turn % 4])] += 1

    outcomes: list[str] = []

    def quiet(_: int) -> None:
        try:
            wait_until(lambda: troubled["failed"] >= 5 and troubled["denied"] >= 5)
            outcomes.extend(outcome(limiter, QUIET, SMALL) for _ in range(30))
        finally:
            over.set()

    in_threads(9, lambda number: quiet(number) if number == 8 else trouble(number))
    assert outcomes == ["admitted"] * 30
    assert troubled.keys() <= {"failed", "denied", "too large", "admitted"}, "and all who cause it are told what it is"
    assert troubled["failed"] >= 5
    assert troubled["admitted"] <= 40


def test_of_those_that_share_a_commit_only_the_culprit_fails(documents: DocumentStore) -> None:
    limiter = Limiter(documents, LIMITS, AdmissionPolicy(deadline_ms=10_000), SystemClock())
    outcomes: dict[int, str] = {}
    barrier = threading.Barrier(12)

    def work(number: int) -> None:
        usage = {3: FAILING, 7: GIANT, 9: LARGER}.get(number, SMALL)
        barrier.wait()
        outcomes[number] = outcome(limiter, QUIET, usage)

    in_threads(12, work)
    assert outcomes == {number: {3: "failed", 9: "too large"}.get(number, "admitted") for number in range(12)}
    # Nothing of those that failed stays charged: 10 requests and as much cost, and 900 and 9 times 2 tokens.
    charged = sorted(n for document in documents.list("admission") for n in counts_in(document.fields).values() if n)
    assert (charged[:2], charged[-1]) == ([10, 10], 918)
    assert len(charged) == 4, "and a chunk of everyone's limit"


def test_the_store_refuses_what_this_test_relies_on(documents: DocumentStore) -> None:
    limiter = Limiter(documents, LIMITS, AdmissionPolicy(deadline_ms=10_000), SystemClock())
    assert outcome(limiter, Caller("t", f"key-{uuid.uuid4().hex}", "api_key", frozenset()), FAILING) == "failed"
