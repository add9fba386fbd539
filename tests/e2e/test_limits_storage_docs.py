"""The Flask-Limiter example of docs/limits-storage.md, run as it stands, with its calls to Firestore counted."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from shared.stores.google_channel import Calls

PAGE = (Path(__file__).parents[2] / "docs" / "limits-storage.md").read_text()
STRATEGIES = ["fixed-window", "moving-window", "sliding-window-counter"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each method of Firestore was called."""
    counted: Counter[str] = Counter()
    send = Calls.unary

    def unary(self: Calls, method: str, request: Any, timeout: float) -> Any:
        counted[method] += 1
        return send(self, method, request, max(timeout, 30.0))

    monkeypatch.setattr(Calls, "unary", unary)
    return counted


def example(monkeypatch: pytest.MonkeyPatch, project: str, strategy: str) -> Flask:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", project)
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert '"moving-window"' in source
    names: dict[str, Any] = {"__name__": "example"}
    exec(source.replace('"moving-window"', f'"{strategy}"'), names)  # noqa: S102  # the page's own example
    app: Flask = names["app"]
    return app


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_example_limits_across_instances(
    strategy: str, firestore_project: str, monkeypatch: pytest.MonkeyPatch, calls: Counter[str]
) -> None:
    instances = [example(monkeypatch, firestore_project, strategy).test_client() for _ in range(2)]
    answers = [instances[number % 2].get("/") for number in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert instances[0].get("/", headers={"x-client": "other"}).status_code == 200


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_headers_cost_no_call(
    strategy: str, firestore_project: str, monkeypatch: pytest.MonkeyPatch, calls: Counter[str]
) -> None:
    client = example(monkeypatch, firestore_project, strategy).test_client()
    client.get("/")
    calls.clear()
    answers = [client.get("/"), client.get("/")]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0"]
    assert all(float(answer.headers["x-ratelimit-reset"]) > 0 for answer in answers)
    assert calls == {"Commit": 2}


def test_a_denied_call_is_free_where_the_page_says_so(
    firestore_project: str, monkeypatch: pytest.MonkeyPatch, calls: Counter[str]
) -> None:
    # A sliding window counter denies from memory for a second, which a busy machine may need for one call.
    for strategy, most in (("moving-window", 0), ("sliding-window-counter", 6), ("fixed-window", 3)):
        client = example(monkeypatch, f"{firestore_project}-{strategy[:5]}", strategy).test_client()
        for _ in range(3):
            client.get("/")
        calls.clear()
        assert [client.get("/").status_code for _ in range(3)] == [429] * 3
        assert calls["Commit"] <= most
        assert calls["GetDocument"] == 0
