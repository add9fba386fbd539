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
    fresh: Callable[[int], dict[str, Way]]
    """The ways that are measured in turns, on documents that only this number has and that have been made."""
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

    def limiter(limits: Sequence[RateLimit]) -> Limiter:
        return Limiter(store, limits, _POLICY, SystemClock())

    one, six, tokens, few = limiter(_ONE), limiter(_SIX), limiter(_TOKENS), limiter(_FEW)
    send_raw, client = _raw(address, project, till), CountedClient(project, till)

    def raw(limiter: Limiter, caller: Caller) -> Way:
        for _ in range(3):  # the first commits of a document say more than those that follow
            limiter.reserve(caller, "m", _USAGE)
        return send_raw(store.last)

    def fresh(number: int) -> dict[str, Way]:
        def caller(key: str) -> Caller:
            return Caller("acme", f"{key}-{number}", "api_key", frozenset(), user=f"{key}-{number}")

        first, second, third = caller("one"), caller("six"), caller("settled")
        naive = Naive(client, str(number))
        one_raw, six_raw = raw(one, first), raw(six, second)
        ways: dict[str, Way] = {
            BARE: lambda: store.commit(_bare_writes(number)),
            ONE: lambda: one.reserve(first, "m", _USAGE),
            ONE_RAW: one_raw,
            SIX: lambda: six.reserve(second, "m", _USAGE),
            SIX_RAW: six_raw,
            SETTLED: lambda: tokens.settle(tokens.reserve(third, "m", _USAGE), _USED),
            NAIVE: naive.read_then_write,
            TRANSACTION: naive.transaction,
        }
        for way in ways.values():
            way()
        return ways

    denied, hot = (Caller("acme", key, "api_key", frozenset(), user="ann") for key in ("few", "hot"))
    few.reserve(denied, "m", _USAGE)
    return Ways(
        till,
        fresh,
        deny=lambda: _denied(few, denied),
        hot=lambda: one.reserve(hot, "m", _USAGE),
        bare=lambda: store.commit(_bare_writes()),
    )


def _bare_writes(number: int = 0) -> list[Write | Delete]:
    return [Write(f"bench/bare-{number}", increments={"n": 1})]


def _raw(address: str, project: str, till: Till) -> Callable[[Sequence[Write | Delete]], Way]:
    """Makes ways that send a commit's bytes and throw the answer's away: what it costs without any of our code."""
    database = f"projects/{project}/databases/(default)"
    commit = open_channel(grpc, FIRESTORE, address).unary_unary(FIRESTORE.methods["Commit"].path)
    carried = (*headers(database), ("authorization", "Bearer owner"))

    def way(writes: Sequence[Write | Delete]) -> Way:
        request, spent = encode_commit(database, writes), Spent(rpc=1, writes=len(writes))

        def send() -> None:
            till.add(spent)
            commit(request, metadata=carried, timeout=5.0)

        return send

    return way


def _denied(limiter: Limiter, caller: Caller) -> None:
    try:
        limiter.reserve(caller, "m", _USAGE)
    except LimitExceeded:
        return
    raise RuntimeError("This request should have been denied.")
