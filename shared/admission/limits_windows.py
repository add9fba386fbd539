"""The windows of the PyPI library ``limits`` on the documents of one collection."""

from __future__ import annotations

from shared.admission.limits_fixed import FixedWindows
from shared.admission.limits_moving import MovingWindows
from shared.admission.limits_sliding import SlidingWindows
from shared.admission.limits_steps import SECOND, Get, Page, Place, Steps
from shared.clock import Clock, SystemClock
from shared.stores.document_fields import check_collection
from shared.stores.documents import Delete


class Windows:
    """All three kinds, each by itself, and what concerns them together."""

    def __init__(self, collection: str, *, memory_seconds: float, clock: Clock | None = None) -> None:
        """Fails on a malformed collection with ValueError.

        Args:
            collection: Where the documents lie.
            memory_seconds: How long what a hit has seen answers questions about its key.
            clock: Tells the time.
        """
        check_collection(collection)
        self._collection = collection
        places = [Place(collection, kind, clock or SystemClock(), int(memory_seconds * SECOND)) for kind in "fms"]
        fixed, moving, sliding = places
        self._fixed_and_moving = (fixed, moving)
        self.fixed = FixedWindows(fixed)
        self.moving = MovingWindows(moving)
        self.sliding = SlidingWindows(sliding)

    def clear(self, key: str) -> Steps[None]:
        """Forget a key's fixed and moving window."""
        yield [Delete(place.path(key)) for place in self._fixed_and_moving]
        self.fixed.memory.drop(key)
        self.moving.memory.drop(key)

    def reset(self) -> Steps[int]:
        """Forget every window in the collection; how many documents there were."""
        count, after = 0, ""
        while documents := (yield Page(self._collection, after)):
            yield [Delete(document.path) for document in documents]
            count += len(documents)
            after = documents[-1].id
        for kind in (self.fixed, self.moving, self.sliding):
            kind.memory.clear()
        return count

    def probe(self) -> Steps[None]:
        """Ask for anything."""
        yield Get(f"{self._collection}/probe")
