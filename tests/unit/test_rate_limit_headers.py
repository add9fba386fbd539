"""The header fields that tell of limits, read back by a parser of Structured Fields and by the openai package."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.admission.headers import duration, rate_limit_headers
from shared.admission.port import LimitState

MINUTE = LimitState("requests-per-minute", "requests", 20, 60, 19, 64.2, 61.01)
DAY = LimitState("day", "requests", 1000, 86_400, 3, 7000.0, 12.0)


def parse(field: str) -> dict[str, dict[str, int]]:
    """A List of Strings with Integer parameters (RFC 9651), as strictly as this needs."""
    parsed = {}
    for item in field.split(", "):
        match = re.fullmatch(r'"([ !#-\[\]-~]*)"((?:;[a-z*][a-z0-9_.*-]*=-?[0-9]{1,15})*)', item)
        assert match, item
        parsed[match[1]] = {name: int(value) for name, value in re.findall(r";([a-z]+)=(-?[0-9]+)", match[2])}
    return parsed


def test_the_ietf_fields_name_every_limit() -> None:
    headers = rate_limit_headers((MINUTE, DAY))
    assert parse(headers["ratelimit-policy"]) == {
        "requests-per-minute": {"q": 20, "w": 60},
        "day": {"q": 1000, "w": 86_400},
    }
    assert parse(headers["ratelimit"]) == {"requests-per-minute": {"r": 19, "t": 62}, "day": {"r": 3, "t": 12}}
    assert "retry-after" not in headers


def test_the_openai_fields_tell_of_the_tightest_limit() -> None:
    headers = rate_limit_headers((MINUTE, DAY))
    assert headers["x-ratelimit-limit-requests"] == "1000"
    assert headers["x-ratelimit-remaining-requests"] == "3"
    assert headers["x-ratelimit-reset-requests"] == "1h56m40s"


def test_nothing_is_told_where_there_is_nothing_to_tell() -> None:
    assert rate_limit_headers(()) == {}
    untouched = LimitState("whole", "requests", 5, 60, 5, 0.0)
    assert rate_limit_headers((untouched,))["ratelimit"] == '"whole";r=5'


@pytest.mark.parametrize(
    ("wait", "header", "retried"),
    [(0.02, "1", True), (1.0, "1", True), (1.01, "2", True), (60, "60", True), (61, "61", False)],
)
def test_a_denial_says_when_to_come_back(wait: float, header: str, retried: bool) -> None:
    headers = rate_limit_headers((MINUTE,), wait)
    assert headers["retry-after"] == header
    assert headers.get("x-should-retry") == (None if retried else "false")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.02, "20ms"),
        (0.0001, "1ms"),
        (1, "1s"),
        (8.64, "8.64s"),
        (60, "1m0s"),
        (360, "6m0s"),
        (3661.5, "1h1m1.5s"),
    ],
)
def test_durations_are_written_as_openai_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 10**6))
def test_durations_read_back_and_never_promise_too_early(seconds: float) -> None:
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    parts = re.findall(r"([0-9.]+)(ms|h|m|s)", duration(seconds))
    assert -1e-6 <= sum(float(number) * units[unit] for number, unit in parts) - seconds <= 0.0011
