"""Google's Model Armor over its REST API v1: what a template's filters say of a prompt or an answer.

https://cloud.google.com/security-command-center/docs/reference/model-armor/rest/v1/projects.locations.templates

A prompt goes to ``sanitizeUserPrompt`` and an answer to ``sanitizeModelResponse``: they are screened differently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec
from google.auth.exceptions import GoogleAuthError

from shared.errors import StoreUnavailable
from shared.shapes import prepare
from shared.stores.access_token import AccessToken
from shared.stores.secrets import Secret
from shared.web.http_client import HttpClient, HttpError

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_CONNECT_SECONDS = 1.0
_MAX_ANSWER = 256 * 1024
_TEMPLATE = re.compile(r"projects/[^/]+/locations/([a-z0-9-]+)/templates/[^/]+")
_FILTER = re.compile(r"[a-z_]{1,64}")

_encode = msgspec.json.Encoder().encode


class Token(Protocol):
    """Gives access tokens, as ``shared.stores.access_token`` does."""

    def get(self, *, fresh: bool = False) -> Secret: ...


@dataclass(frozen=True, slots=True)
class Match:
    """A filter that found something."""

    filter: str
    """As Model Armor calls it: ``pi_and_jailbreak``, ``malicious_uris``, ``rai``, ``sdp``, ``csam``."""

    confidence: Literal["LOW_AND_ABOVE", "MEDIUM_AND_ABOVE", "HIGH"] | None
    """None where the filter has no levels."""


@dataclass(frozen=True, slots=True)
class Screening:
    """What the filters said."""

    matches: tuple[Match, ...]
    whole: bool
    """Whether every filter of the template ran."""


class _Result(msgspec.Struct, rename="camel"):
    filter_match_state: str = ""
    invocation_result: str = ""
    filter_results: dict[str, dict[str, Any]] = {}


class _Answer(msgspec.Struct, rename="camel"):
    sanitization_result: _Result


prepare(_Answer)


class ModelArmor:
    """One template. Safe under threads; connects at first use, so it may be made before a fork."""

    def __init__(self, template: str, *, base_url: str | None = None, token: Token | None = None) -> None:
        """
        Args:
            template: ``projects/…/locations/…/templates/…``.
            base_url: Where the API is; default: the template's region, as the API demands.
            token: Gives access tokens; default: by application default credentials.

        Raises:
            ValueError: That is no template's name.
        """
        named = _TEMPLATE.fullmatch(template)
        if named is None:
            raise ValueError("a Model Armor template is projects/P/locations/L/templates/T")
        self._path = f"/v1/{template}"
        self._token: Token = token or AccessToken(SCOPE)
        self._client = HttpClient(
            base_url or f"https://modelarmor.{named[1]}.rep.googleapis.com", connect_timeout=_CONNECT_SECONDS
        )

    def screen_prompt(self, text: str, deadline: float) -> Screening:
        """Have a prompt screened.

        Args:
            text: What would go to the model.
            deadline: By when (``time.monotonic()``).

        Raises:
            StoreUnavailable: There was no answer in time, or none that says what the filters found.
        """
        return self._screen("sanitizeUserPrompt", {"userPromptData": {"text": text}}, deadline)

    def screen_answer(self, text: str, deadline: float) -> Screening:
        """Have a model's answer screened; as ``screen_prompt``."""
        return self._screen("sanitizeModelResponse", {"modelResponseData": {"text": text}}, deadline)

    def _screen(self, method: str, asked: Mapping[str, Any], deadline: float) -> Screening:
        body = _encode(asked)
        status, data = self._send(method, body, deadline, fresh=False)
        if status == 401:  # revoked before its time
            status, data = self._send(method, body, deadline, fresh=True)
        if status != 200:
            raise StoreUnavailable(f"Model Armor answers with status {status}.")
        try:
            return _read(msgspec.json.decode(data, type=_Answer).sanitization_result)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise StoreUnavailable("Model Armor's answer cannot be read.") from None

    def _send(self, method: str, body: bytes, deadline: float, *, fresh: bool) -> tuple[int, bytes]:
        try:
            headers = {
                "content-type": "application/json",
                "authorization": f"Bearer {self._token.get(fresh=fresh).reveal().decode()}",
            }
            path = f"{self._path}:{method}"
            with self._client.send("POST", path, headers=headers, body=body, deadline=deadline) as response:
                return response.status, response.read(_MAX_ANSWER)
        except HttpError as error:
            raise StoreUnavailable(f"Model Armor did not answer: {type(error).__name__}.") from error
        except GoogleAuthError as error:
            raise StoreUnavailable("There are no credentials for Model Armor, or they cannot be renewed.") from error


def _read(result: _Result) -> Screening:
    """What was found, and whether all was looked at. A match that no filter owns up to is one all the same."""
    matches = [
        Match(name, _confidence(found))
        for name, found in result.filter_results.items()
        if _FILTER.fullmatch(name) and _matches(found)
    ]
    if not matches and result.filter_match_state == "MATCH_FOUND":
        matches = [Match("unnamed", None)]
    whole = result.invocation_result == "SUCCESS" and result.filter_match_state in ("MATCH_FOUND", "NO_MATCH_FOUND")
    return Screening(tuple(matches), whole)


def _matches(found: Any) -> bool:
    """Whether a filter's result says so anywhere: filters nest it differently (``sdp`` two levels deep)."""
    if not isinstance(found, dict):
        return False
    return found.get("matchState") == "MATCH_FOUND" or any(_matches(each) for each in found.values())


def _confidence(found: Any) -> Literal["LOW_AND_ABOVE", "MEDIUM_AND_ABOVE", "HIGH"] | None:
    """The highest level of anything that matched."""
    levels: list[str] = []

    def collect(each: Any) -> None:
        if isinstance(each, dict):
            if each.get("matchState") == "MATCH_FOUND":
                levels.append(str(each.get("confidenceLevel")))
            for below in each.values():
                collect(below)

    collect(found)
    for level in ("HIGH", "MEDIUM_AND_ABOVE", "LOW_AND_ABOVE"):
        if level in levels:
            return level
    return None
