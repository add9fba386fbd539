"""However calls are spaced over 30 days, no document of counts grows beyond 4 kB, and none is kept for ever."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.admission.limiter import Limiter
from shared.admission.port import LimitExceeded, Usage
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from tests.support.virtual_time import SECOND, ManualClock, VirtualDocuments

DAYS = 30
CALLER = Caller("acme", "key-1", "api_key", frozenset(), user="ann")
LIMITS = [
    RateLimit(name="second", amount=50, window_seconds=1),
    RateLimit(name="minute", amount=20, window_seconds=60),
    RateLimit(name="tokens", kind="tokens", amount=9000, window_seconds=60),
    RateLimit(name="money", kind="cost", amount=9000, window_seconds=60),
    RateLimit(name="at-once", kind="concurrency", amount=9),
    RateLimit(name="day-tokens", kind="tokens", amount=900_000, window="day"),
    RateLimit(name="day-money", kind="cost", amount=900_000, window="day", time_zone="Asia/Tokyo"),
    RateLimit(name="long", kind="cost", amount=900_000, window_seconds=86_400),
    RateLimit(name="tenant", amount=100, window_seconds=60, per="tenant"),
]


def size(path: str, fields: dict[str, Any]) -> int:
    """Bytes as Firestore counts them: names and strings plus one each, numbers and times 8, and 32 for the document."""
    return 32 + len(path) + 16 + sum(len(name) + 1 + 8 for name in fields)


@settings(max_examples=2, deadline=None)
@given(
    st.lists(st.one_of(st.floats(0.2, 20), st.floats(1, 400), st.floats(60, 40_000)), min_size=1, max_size=6),
    st.floats(0, 30),
)
def test_documents_stay_small_over_thirty_days(gaps: list[float], runs: float) -> None:
    clock = ManualClock()
    store = VirtualDocuments(clock)
    limiter = Limiter(store, LIMITS, AdmissionPolicy(), clock)
    end = clock.now + DAYS * 86_400 * SECOND
    calls, largest, busiest = 0, 0, 200
    while clock.now < end:
        try:
            reservation = limiter.reserve(CALLER, "m", Usage(1, 10, 10, 20))
            clock.advance(runs)
            limiter.settle(reservation, Usage(1, 5, 5, 10))
        except LimitExceeded:
            pass
        clock.advance(gaps[calls % len(gaps)])
        calls += 1
        if calls % busiest == 0:  # skip the rest of the day: it would go on like that
            clock.advance(86_400 - (clock.now // SECOND) % 86_400)
        for path in list(store.documents):
            fields, updated_at = store.documents[path]
            if updated_at >= clock.now - 60 * SECOND:
                largest = max(largest, size(path, fields))
            if fields["expires_at"].timestamp() < clock.now / SECOND:
                del store.documents[path]  # as TTL does
    assert largest <= 4096
    assert len(store.documents) < 60, "documents go when nobody reads them any more"
