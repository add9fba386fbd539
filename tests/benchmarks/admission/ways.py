"""The ways of deciding on a request that are measured, each on documents of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc

from shared.admission.limiter import Limiter
from shared.admission.port import LimitExceeded, Usage
from shared.clock import SystemClock
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from shared.stores.connect import connect_documents
from shared.stores.documents import Delete, Write
from shared.stores.firestore_channel import FIRESTORE, headers
from shared.stores.firestore_wire import encode_commit
from shared.stores.google_channel import open_channel
from tests.benchmarks.admission.counting import Counted, CountedClient, Spent, Till
from tests.benchmarks.admission.naive import Naive

BARE = "bare commit"
ONE, ONE_RAW = "reserve, 1 limit", "the same bytes, sent raw"
SIX, SIX_RAW = "reserve, 6 limits on 2 documents", "the same bytes, sent raw "
SETTLED = "reserve and settle"
NAIVE, TRANSACTION = "naive read, then write", "naive transaction"

_ENOUGH = 1_000_000_000
_POLICY = AdmissionPolicy(deadline_ms=2000)
_ONE = [RateLimit(name="requests", amount=_ENOUGH, window_seconds=60)]
_SIX = [
    RateLimit(name=f"{per}-{kind}-{number}", kind=kind, amount=_ENOUGH, window_seconds=60, per=per)
    for per in ("key", "user")
    for number, kind in enumerate(("requests", "tokens", "tokens"))
]
_TOKENS = [RateLimit(name="tokens", kind="tokens", amount=_ENOUGH, window_seconds=60)]
_FEW = [RateLimit(name="few", amount=1, window_seconds=3600)]
_USAGE = Usage(1, 100, 100)
_USED = Usage(1, 90, 10)

Way = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Ways:
    """Everything that is measured."""

    till: Till
    in_turns: dict[str, Way]
    deny: Way
    """A request that a denial in memory answers."""
    hot: Way
    """A request of a key that many threads use at once."""
    bare: Way


def make_ways(address: str, project: str) -> Ways:
    """Connect to the emulator, and make a first request each way."""
    till = Till()
    documents = connect_documents(f"firestore://{project}", timeout_seconds=5.0)
    store = Counted(documents, till)

    def reserving(key: str, limits: Sequence[RateLimit], *, settles: bool = False) -> Way:
        limiter = Limiter(store, limits, _POLICY, SystemClock())
        caller = Caller("acme", key, "api_key", frozenset(), user="ann")
        if settles:
            return lambda: limiter.settle(limiter.reserve(caller, "m", _USAGE), _USED)
        return lambda: limiter.reserve(caller, "m", _USAGE)

    bare, one, six = (lambda: store.commit(_bare_writes())), reserving("one", _ONE), reserving("six", _SIX)
    one()
    one_raw = _raw(address, project, store.last, till)
    six()
    six_raw = _raw(address, project, store.last, till)
    naive = Naive(CountedClient(project, till))
    few, few_caller = Limiter(store, _FEW, _POLICY, SystemClock()), Caller("acme", "few", "api_key", frozenset())
    few.reserve(few_caller, "m", _USAGE)
    return Ways(
        till,
        {
            BARE: bare,
            ONE: one,
            ONE_RAW: one_raw,
            SIX: six,
            SIX_RAW: six_raw,
            SETTLED: reserving("settled", _TOKENS, settles=True),
            NAIVE: naive.read_then_write,
            TRANSACTION: naive.transaction,
        },
        deny=lambda: _denied(few, few_caller),
        hot=reserving("hot", _ONE),
        bare=bare,
    )


def _bare_writes() -> list[Write | Delete]:
    return [Write("bench/bare", increments={"n": 1})]


def _raw(address: str, project: str, writes: Sequence[Write | Delete], till: Till) -> Way:
    """Send a commit's bytes again and throw the answer's away: what it costs without any of our code."""
    database = f"projects/{project}/databases/(default)"
    request, spent = encode_commit(database, writes), Spent(rpc=1, writes=len(writes))
    commit = open_channel(grpc, FIRESTORE, address).unary_unary(FIRESTORE.methods["Commit"].path)
    carried = (*headers(database), ("authorization", "Bearer owner"))

    def send() -> None:
        till.add(spent)
        commit(request, metadata=carried, timeout=5.0)

    return send


def _denied(limiter: Limiter, caller: Caller) -> None:
    try:
        limiter.reserve(caller, "m", _USAGE)
    except LimitExceeded:
        return
    raise RuntimeError("This request should have been denied.")
