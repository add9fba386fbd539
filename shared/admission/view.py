"""The operator's view: how the limits of a subject stand, and setting them back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shared.admission.cells import Changes, Values, counts_in
from shared.admission.counters import Counter, Rule
from shared.admission.windows import standing
from shared.clock import Clock
from shared.stores.documents import Document, DocumentStore, Write

_SECOND = 1_000_000_000
_SCOPES = ("key", "user", "tenant", "global")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom limits count."""

    scope: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Read ``key:ID``, ``user:TENANT/USER``, ``tenant:TENANT`` or ``global``; an id alone is a key's.

        Raises:
            ValueError: It is none of these.
        """
        scope, colon, name = text.partition(":")
        if not colon:
            return cls("global", "") if text == "global" else cls("key", text)
        if scope not in _SCOPES[:3] or not name:
            raise ValueError("give key:ID, user:TENANT/USER, tenant:TENANT or global")
        if scope == "user":
            tenant, slash, user = name.partition("/")
            if not slash:
                raise ValueError("give a user as user:TENANT/USER")
            name = f"{tenant}\0{user}"
        return cls(scope, name)


@dataclass(frozen=True, slots=True)
class LimitView:
    """How a limit stands for a subject."""

    name: str
    kind: str
    mode: str
    amount: int
    used: int
    remaining: int
    whole_after_seconds: float
    """Until nothing of it is charged, if nothing more is."""


class LimitsView:
    """Reads and resets limits.

    Args:
        documents: Where the counts lie.
        rules: The policy's limits, as the limiter counts them.
        clock: Tells which buckets count now.
    """

    def __init__(self, documents: DocumentStore, rules: Sequence[Rule], clock: Clock) -> None:
        self._documents = documents
        self._rules = rules
        self._clock = clock

    def show(self, subject: Subject) -> list[LimitView]:
        """How every limit stands that counts such subjects."""
        views = []
        now = self._clock.time_ns()
        for rule in self._of(subject):
            changes, counter = Changes(), Counter(rule, subject.name)
            entry = counter.enter(now, 0, changes)
            held = counter.held(entry, self._values(changes))
            stands = standing(rule.limit.amount, held, now)
            views.append(
                LimitView(
                    rule.limit.name,
                    rule.limit.kind,
                    rule.limit.mode,
                    rule.limit.amount,
                    sum(charge.amount for charge in held),
                    stands.remaining,
                    stands.whole_after / _SECOND,
                )
            )
        return views

    def reset(self, subject: Subject) -> int:
        """Forget what is charged, but not the numbers, nor what is held for calls that run.

        Returns:
            How many limits were reset.
        """
        now = self._clock.time_ns()
        writes: dict[str, dict[str, int]] = {}
        count = 0
        for rule in self._of(subject):
            if rule.limit.kind == "concurrency":
                continue
            count += 1
            changes = Changes()
            entry = Counter(rule, subject.name).enter(now, 0, changes)
            values = self._values(changes)
            for part in entry.reads:
                for field in part.fields:
                    if value := values[part.path][field]:
                        writes.setdefault(part.path, {})[field] = -value
        if writes:
            self._documents.commit([Write(path, increments=fields, exists=True) for path, fields in writes.items()])
        return count

    def _of(self, subject: Subject) -> Iterator[Rule]:
        for rule in self._rules:
            limit = rule.limit
            other_key = subject.scope == "key" and limit.key not in (None, subject.name)
            other_tenant = subject.scope == "tenant" and limit.tenant not in (None, subject.name)
            if limit.per == subject.scope and not other_key and not other_tenant:
                yield rule

    def _values(self, changes: Changes) -> Values:
        return {path: _counts(self._documents.get(path), write.increments) for path, write in changes.writes().items()}


def _counts(found: Document | None, fields: Iterable[str]) -> dict[str, int]:
    """The fields' values, by their paths."""
    counts = {} if found is None else counts_in(found.fields)
    return {field: counts.get(field, 0) for field in fields}
