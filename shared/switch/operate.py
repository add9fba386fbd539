"""The operator's side of the kill switch: on, off, and what is on."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.audit.port import Operation, OperationTrail, Operator
from shared.clock import Clock, utc
from shared.errors import BadRequest, PreconditionFailed, StoreUnavailable, Unrecorded
from shared.stores.documents import DocumentStore, Write
from shared.switch.document import PATH, Entry, fields_of, read_entries
from shared.switch.state import ALL, parse_scope

MAX_ENTRIES = 500
"""So that the document, which every process reads every second, stays small."""

MAX_TIMED_ENTRIES = 200
"""Of them, those that go off by themselves: what Wardgate turns on must leave room for what people do."""

_ATTEMPTS = 30
_PAUSE_SECONDS = 0.05
_REASON = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,200}")


@dataclass(frozen=True, slots=True)
class Turned:
    """What turning the switch did."""

    scope: str
    state: Literal["on", "off"]
    changed: bool
    """False: it was so already."""

    still_on: tuple[Entry, ...]
    """Everything that is on now."""


class SwitchOperator:
    """Turns the switch and records who did it.

    Turning on comes before its event, since an emergency must not wait for the trail. Turning off comes
    after it: nothing starts again that the trail does not know of.
    """

    def __init__(self, documents: DocumentStore, trail: OperationTrail, operator: Operator, clock: Clock) -> None:
        self._documents = documents
        self._trail = trail
        self._operator = operator
        self._clock = clock

    def on(self, scope: str, reason: str | None = None, until: datetime | None = None) -> Turned:
        """Stop every call in ``scope``.

        Args:
            scope: As ``parse_scope`` takes it.
            reason: One line.
            until: When it goes off by itself; what is on for longer stays so.

        Raises:
            BadRequest: The scope or the reason is malformed, or too much is on.
            StoreUnavailable: The document store does not answer.
            Unrecorded: It is on, but the trail did not take the event.
        """
        scope = parse_scope(scope)
        if reason is not None and not _REASON.fullmatch(reason):
            raise BadRequest("A reason is one line of at most 200 characters.", param="reason")
        entry = Entry(scope, utc(self._clock), self._operator.name, reason, until)
        turned = self._turn(scope, "on", lambda entries: _with(entries, entry))
        try:
            self._record("kill.on", scope, reason)
        except StoreUnavailable as error:
            raise Unrecorded(f"The switch is ON for {scope}", error) from error
        return turned

    def off(self, scope: str) -> Turned:
        """Let calls in ``scope`` go on, as far as no other scope stops them. Raises as ``on`` does.

        Raises:
            StoreUnavailable: Also where the trail does not take the event; then nothing is changed.
        """
        scope = parse_scope(scope)
        self._entries(for_scope=scope)  # before the event: do not record what cannot be done
        self._record("kill.off", scope, None)
        return self._turn(scope, "off", lambda entries: [entry for entry in entries if entry.scope != scope])

    def status(self) -> list[Entry]:
        """What is on, the oldest first.

        Raises:
            StoreUnavailable: The document store does not answer, or the document is damaged.
        """
        return self._entries(for_scope=None)[0]

    def _turn(self, scope: str, state: Literal["on", "off"], change: Callable[[list[Entry]], list[Entry]]) -> Turned:
        """Change the document by compare-and-set, so that no other operator's change is lost."""
        for _ in range(_ATTEMPTS):
            found, updated_at, damaged = self._entries(for_scope=scope)
            entries = change(found)
            if entries == found and not damaged:
                return Turned(scope, state, False, tuple(found))
            if len(entries) > MAX_ENTRIES:
                raise BadRequest(f"At most {MAX_ENTRIES} scopes can be on; turn on '{ALL}'.", param="scope")
            if len(entries) > len(found) and sum(entry.until is not None for entry in entries) > MAX_TIMED_ENTRIES:
                raise BadRequest(f"At most {MAX_TIMED_ENTRIES} scopes can be on for a time.", param="scope")
            exists = None if updated_at is not None else False
            write = Write(PATH, fields_of(entries), replace=True, exists=exists, updated_at=updated_at)
            try:
                self._documents.commit([write])
            except PreconditionFailed:  # another operator was quicker; do not meet again
                time.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311  # no secret
                continue
            return Turned(scope, state, True, tuple(entries))
        raise StoreUnavailable("Other operators keep changing the kill switch; try again.")

    def _entries(self, for_scope: str | None) -> tuple[list[Entry], int | None, bool]:
        """What is on, the document's update time, and whether it is damaged and may be replaced.

        A damaged document stops all calls; turning on or off ``all`` replaces it.
        """
        document = self._documents.get(PATH)
        updated_at = None if document is None else document.updated_at
        try:
            now = utc(self._clock)
            return [entry for entry in read_entries(document) if entry.lasts(now)], updated_at, False
        except ValueError as error:
            if for_scope == ALL:
                return [], updated_at, True
            raise StoreUnavailable(
                "The kill switch's document is damaged, which stops all calls; `kill off --scope all` clears it."
            ) from error

    def _record(self, action: str, scope: str, reason: str | None) -> None:
        self._trail.record_operation(Operation(action, scope, self._operator, reason))


def _with(entries: list[Entry], new: Entry) -> list[Entry]:
    """The entries with a new one, unless its scope is on for as long already."""
    for entry in entries:
        if entry.scope == new.scope and (entry.until is None or (new.until is not None and new.until <= entry.until)):
            return entries
    return [*(entry for entry in entries if entry.scope != new.scope), new]
