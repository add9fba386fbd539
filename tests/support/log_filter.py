"""Cloud Logging's query language, as far as the metrics of terraform/modules/monitoring use it.

https://cloud.google.com/logging/docs/view/logging-query-language: comparisons of a field with a string, a
number or a list of them, AND, OR, NOT and parentheses; NOT binds tightest, then OR, then AND. Strings are
compared without regard to case. A comparison with a field that is missing does not hold.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

Entry = dict[str, Any]
Predicate = Callable[[Entry], bool]

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|>=|<=|!=|=|>|<|\(|\)|[A-Za-z_][\w.]*|-?\d+(?:\.\d+)?)')
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def log_entry(service: str, line: dict[str, Any]) -> Entry:
    """A function's log line as Cloud Run hands it to Cloud Logging, which takes these fields out of the payload."""
    payload = {key: value for key, value in line.items() if key != "severity" and not key.startswith("logging.")}
    return {
        "resource": {"type": "cloud_run_revision", "labels": {"service_name": service}},
        "severity": line["severity"],
        "jsonPayload": payload,
    }


def log_filter(text: str) -> Predicate:
    """The filter as a function; an AssertionError where it is malformed or uses what is not supported here."""
    tokens, at = [], 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match, f"not understood: {text[at:]}"
        tokens.append(match[1])
        at = match.end()
    parser = _Parser(tokens)
    predicate = parser.all_of()
    assert not parser.tokens, f"not understood: {parser.tokens}"
    return predicate


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    def take(self, *expected: str) -> str:
        assert self.tokens, "the filter breaks off"
        token = self.tokens.pop(0)
        assert not expected or token in expected, f"{token} where {expected} was due"
        return token

    def all_of(self) -> Predicate:
        terms = [self.any_of()]
        while self.tokens[:1] == ["AND"]:
            self.take()
            terms.append(self.any_of())
        return lambda entry: all(term(entry) for term in terms)

    def any_of(self) -> Predicate:
        terms = [self.term()]
        while self.tokens[:1] == ["OR"]:
            self.take()
            terms.append(self.term())
        return lambda entry: any(term(entry) for term in terms)

    def term(self) -> Predicate:
        if self.tokens[:1] == ["NOT"]:
            self.take()
            negated = self.term()
            return lambda entry: not negated(entry)
        if self.tokens[:1] == ["("]:
            self.take()
            inner = self.all_of()
            self.take(")")
            return inner
        path, compare = self.take().split("."), _OPERATORS[self.take(*_OPERATORS)]
        values = self.values()
        return lambda entry: any(_holds(compare, _field(entry, path), value) for value in values)

    def values(self) -> list[str | float]:
        if self.tokens[:1] != ["("]:
            return [_value(self.take())]
        self.take()
        found = [_value(self.take())]
        while self.take("OR", ")") == "OR":
            found.append(_value(self.take()))
        return found


def _field(entry: Entry, path: list[str]) -> Any:
    found: Any = entry
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _value(token: str) -> str | float:
    return token[1:-1].lower() if token.startswith('"') else float(token)


def _holds(compare: Callable[[Any, Any], bool], found: Any, value: str | float) -> bool:
    if isinstance(value, str):
        return isinstance(found, str) and compare(found.lower(), value)
    return isinstance(found, int | float) and compare(found, value)
