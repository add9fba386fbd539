"""Group commit: what arrives while a commit for the same documents is in flight shares the next one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")

LARGEST_GROUP = 64


class Groups(Generic[Item]):
    """Runs items by key, one group of each key at a time. Thread-safe; has no threads of its own.

    Whoever finds nobody at work runs its own item at once. The others wait, and one of them runs all
    that have gathered, so that a group costs nobody more than the commit before it and its own.

    Args:
        run: Handles a group whole, notes each item's outcome in the item, and never raises.
    """

    def __init__(self, run: Callable[[Hashable, Sequence[Item]], None]) -> None:
        self._run = run
        self._waiting: dict[Hashable, deque[_Turn[Item]]] = {}
        self._lock = threading.Lock()

    def submit(self, key: Hashable, item: Item) -> None:
        """Have the item run; returns when it has been."""
        turn = _Turn(item)
        with self._lock:
            waiting = self._waiting.get(key)
            if waiting is None:
                self._waiting[key] = deque()
                turn.leads = [turn]
            else:
                turn.woken = threading.Event()
                waiting.append(turn)
        if turn.woken is not None:
            turn.woken.wait()
        if turn.leads is None:
            return
        try:
            self._run(key, [each.item for each in turn.leads])
        finally:
            self._pass_on(key, turn.leads)

    def _pass_on(self, key: Hashable, done: Sequence[_Turn[Item]]) -> None:
        """Wake those that are done, and the one that leads the next group."""
        leader = None
        with self._lock:
            waiting = self._waiting[key]
            if waiting:
                group = [waiting.popleft() for _ in range(min(len(waiting), LARGEST_GROUP))]
                leader = group[0]
                leader.leads = group
            else:
                del self._waiting[key]
        for turn in done[1:] if leader is None else [leader, *done[1:]]:
            if turn.woken is not None:
                turn.woken.set()


class _Turn(Generic[Item]):
    """An item in the queue."""

    __slots__ = ("item", "leads", "woken")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.leads: Sequence[_Turn[Item]] | None = None
        """The group that its thread runs; itself the first."""
        self.woken: threading.Event | None = None
