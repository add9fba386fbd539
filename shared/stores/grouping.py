"""Group commit: what arrives while a call to a store is in flight shares the next one."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, Literal, TypeVar

Item = TypeVar("Item")

LARGEST_GROUP = 64

Ending = Literal["done", "withdrawn", "running"]
"""How a wait for an item ended: it was run; it never will be; or its group is still at it."""


class Groups(Generic[Item]):
    """Runs items by key, one group of each key at a time. Thread-safe; has no threads of its own.

    Whoever finds nobody at work runs its own item at once. The others wait, and one of them runs all
    that have gathered, so that a group costs nobody more than the call before it and its own. The newest
    of a group runs it, since its own time is up last.
    """

    def __init__(
        self,
        run: Callable[[Hashable, Sequence[Item]], None],
        *,
        largest: int = LARGEST_GROUP,
        weigh: Callable[[Item], int] = lambda item: 0,
        heaviest: int = 0,
    ) -> None:
        """
        Args:
            run: Handles a group whole, notes each item's outcome in the item, and never raises. It runs in the
                thread that submitted the last of them.
            largest: Most items of a group.
            weigh: What an item adds to its group's weight.
            heaviest: Bound on a group's weight; an item that is heavier makes a group of its own.
        """
        self._run = run
        self._largest = largest
        self._weigh = weigh
        self._heaviest = heaviest
        self._waiting: dict[Hashable, deque[_Turn[Item]]] = {}
        self._lock = threading.Lock()

    def submit(self, key: Hashable, item: Item, *, until: float | None = None) -> Ending:
        """Have the item run; returns when it has been, or when the time is up.

        Args:
            key: Items of one key run one group after another.
            item: What to run.
            until: When to stop waiting for others (``time.monotonic()``); None: never. An item that runs in
                this very thread takes as long as ``run`` does.
        """
        turn = _Turn(item)
        with self._lock:
            waiting = self._waiting.get(key)
            if waiting is None:
                self._waiting[key] = deque()
                turn.leads = [turn]
            else:
                turn.woken = threading.Event()
                waiting.append(turn)
        if turn.woken is not None and not turn.woken.wait(_left(until)):
            ending = self._give_up(key, turn, turn.woken)
            if ending is not None:
                return ending
        if turn.leads is None:
            return "done"
        try:
            self._run(key, [each.item for each in turn.leads])
        finally:
            self._pass_on(key, turn)
        return "done"

    def _give_up(self, key: Hashable, turn: _Turn[Item], woken: threading.Event) -> Ending | None:
        """What became of a turn whose time was up; None: it was made a leader meanwhile, and others wait for it."""
        with self._lock:
            waiting = self._waiting.get(key)
            if turn.leads is not None:
                return None
            if waiting is not None and turn in waiting:
                waiting.remove(turn)
                return "withdrawn"
        return "done" if woken.is_set() else "running"

    def _pass_on(self, key: Hashable, led: _Turn[Item]) -> None:
        """Wake those that are done, and the one that leads the next group."""
        done = [turn for turn in led.leads or () if turn is not led]
        with self._lock:
            waiting = self._waiting[key]
            if waiting:
                group = self._next_group(waiting)
                group[-1].leads = group
                done.append(group[-1])
            else:
                del self._waiting[key]
        for turn in done:
            if turn.woken is not None:
                turn.woken.set()

    def _next_group(self, waiting: deque[_Turn[Item]]) -> Sequence[_Turn[Item]]:
        group = [waiting.popleft()]
        weight = self._weigh(group[0].item)
        while waiting and len(group) < self._largest:
            weight += self._weigh(waiting[0].item)
            if weight > self._heaviest:
                break
            group.append(waiting.popleft())
        return group


class _Turn(Generic[Item]):
    """An item in the queue."""

    __slots__ = ("item", "leads", "woken")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.leads: Sequence[_Turn[Item]] | None = None
        """The group that its thread runs; itself the last."""
        self.woken: threading.Event | None = None


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())
