"""Moderation (LLM02): prompts and answers judged, within a time, by a server with OpenAI's moderations endpoint."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from shared.errors import ConfigurationError, Fault, StoreUnavailable
from shared.guards.owasp import INSECURE_OUTPUT_HANDLING
from shared.guards.parts import Part
from shared.guards.port import Direction, Finding, Reach
from shared.guards.reviewer import Reviewer
from shared.policy.types import ModerationRule
from shared.shapes import prepare
from shared.text.canonical import Text
from shared.web.http_client import HttpClient, HttpError

_CONNECT_SECONDS = 1.0
_MAX_ANSWER = 1024 * 1024
_MOST_CATEGORIES = 32


class _Result(msgspec.Struct):
    flagged: bool
    categories: dict[str, bool | None] = {}
    category_scores: dict[str, float | None] = {}


class _Answer(msgspec.Struct):
    results: list[_Result]


prepare(_Answer)


class ModerationGuard(Reviewer):
    """Asks the policy's server. Safe under threads; connects at first use."""

    name = "moderation"
    directions = frozenset({"input", "output"})
    reach = Reach(None)

    def __init__(self, policy: ModerationRule) -> None:
        """
        Raises:
            ConfigurationError: The policy names no server.
        """
        if policy.base_url is None:
            raise ConfigurationError([Fault("guards.moderation.base_url", "is needed, unless 'mode: off' is given.")])
        self._policy = policy
        self._base_url = policy.base_url

    def review(self, parts: Sequence[Part], texts: Sequence[Text], direction: Direction) -> list[tuple[int, Finding]]:
        """See ``Reviewer``.

        Raises:
            StoreUnavailable: There was no answer in time, or none that says something of every text.
        """
        asked = [index for index, text in enumerate(texts) if text.canonical.text.strip()]
        if not asked:
            return []
        results = self._ask([texts[index].canonical.text for index in asked])
        if len(results) != len(asked):
            raise StoreUnavailable("The moderation server did not judge every text.")
        return [
            (index, self._finding(category, score, texts[index]))
            for index, result in zip(asked, results, strict=True)
            for category, score in _found(result)
        ]

    def _ask(self, texts: Sequence[str]) -> list[_Result]:
        body: dict[str, Any] = {"input": list(texts)}
        if self._policy.model is not None:
            body["model"] = self._policy.model
        deadline = time.monotonic() + self._policy.deadline_ms / 1000
        headers = {"content-type": "application/json"}
        encoded = msgspec.json.encode(body)
        try:
            with self._client.send(
                "POST", "/moderations", headers=headers, body=encoded, deadline=deadline
            ) as response:
                status, data = response.status, response.read(_MAX_ANSWER)
        except HttpError as error:
            raise StoreUnavailable(f"The moderation server did not answer: {type(error).__name__}.") from error
        if status != 200:
            raise StoreUnavailable(f"The moderation server answers with status {status}.")
        try:
            return msgspec.json.decode(data, type=_Answer).results
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise StoreUnavailable("The moderation server's answer cannot be read.") from None

    def _finding(self, category: str, score: float, text: Text) -> Finding:
        rule = self._policy
        span = text.canonical.span(0, len(text.canonical.text))
        return Finding(self.name, category, INSECURE_OUTPUT_HANDLING, span, score, rule.action, rule.mode == "enforce")

    @cached_property
    def _client(self) -> HttpClient:
        return HttpClient(self._base_url, connect_timeout=_CONNECT_SECONDS)


def _found(result: _Result) -> list[tuple[str, float]]:
    """The categories that a text falls into, by plain names, with how sure the server is."""
    if not result.flagged:
        return []
    named = [name for name, found in result.categories.items() if found][:_MOST_CATEGORIES]
    scores = result.category_scores
    return [(_plain(name), min(max(scores.get(name) or 0.9, 0.0), 1.0)) for name in named] or [("flagged", 0.9)]


def _plain(name: str) -> str:
    """A category's name as a kind: ``self-harm/intent`` is ``self_harm_intent``."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in name.lower())[:64]
