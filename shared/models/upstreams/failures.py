"""Turns what went wrong at an upstream into what the caller is told, and whether another try may help.

A provider's own message is read to class the error and then dropped: it may repeat the prompt.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from shared.errors import ApiError, BadRequest, ContentFiltered, ServiceUnavailable
from shared.models.upstreams.port import UpstreamFailure
from shared.web.http_client import AnswerTooLarge, ConnectFailed, DeadlineExceeded, HttpError

_CALLERS = frozenset({400, 413, 422})
"""Refusals that are the caller's to mend. The other 4xx speak of the upstream's configuration or load."""
_PASSING = frozenset({408, 409, 429})

_FILTERED = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_TOO_LONG_TEXT = re.compile(
    r"maximum context length|context (size|window|length)|prompt is too long|exceeds the maximum number of tokens",
    re.IGNORECASE,
)
"""How vLLM, llama.cpp, Gemini and others say it, which have no code for it."""

_UNKNOWN_KEY = "API_KEY_INVALID"
"""Of ``google.api.ErrorReason``."""

_MAX_RETRY_AFTER = 86_400.0

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What ``msgspec`` raises for bytes that are not the JSON that was expected."""


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> ApiError | UpstreamFailure:
    """The error for an answer whose status is not 200."""
    facts = _facts(body)
    if status in _CALLERS:
        return _callers_fault(facts)
    retry_after = _retry_after(headers)
    if status == 429:
        error = ServiceUnavailable(
            "The model's provider is limiting requests. Retry later.",
            code="upstream_rate_limited",
            headers={"retry-after": str(max(1, round(retry_after)))} if retry_after is not None else None,
        )
        return UpstreamFailure(error, retry=True, unhealthy=False, retry_after=retry_after)
    if status in (401, 403):
        return auth_failed()
    if status in (408, 504):
        return UpstreamFailure(timed_out(), retry=True, unhealthy=True, retry_after=retry_after)
    if status in (503, 529):
        return UpstreamFailure(unavailable(), retry=True, unhealthy=True, retry_after=retry_after)
    passing = status in _PASSING or status >= 500
    return UpstreamFailure(failed(), retry=passing, unhealthy=status >= 500, final=not passing, retry_after=retry_after)


def is_key_refused(status: int, body: bytes) -> bool:
    """Whether the upstream does not know the key. Google answers 400 to an API key that it does not know."""
    return status == 401 or (status == 400 and _UNKNOWN_KEY in _reasons(body))


def refusal_in_stream(error: Any) -> ApiError | UpstreamFailure:
    """The error for an ``error`` object that came with status 200, as an event of a stream or in its place."""
    facts = _facts(msgspec.json.encode({"error": error}))
    fault = _callers_fault(facts)
    if fault.code != "upstream_rejected" or facts.status in _CALLERS:
        return fault
    if facts.status is not None and facts.status >= 401:
        return refusal(facts.status, {}, b"")
    return broken()


def failure_of(error: HttpError) -> UpstreamFailure:
    """The failure for an error of the connection."""
    match error:
        case ConnectFailed():
            return UpstreamFailure(unavailable(), retry=True, unhealthy=True)
        case DeadlineExceeded():
            return UpstreamFailure(timed_out(), retry=False, unhealthy=True)
        case AnswerTooLarge():
            return UpstreamFailure(failed(), retry=False, unhealthy=False)
    return broken()


def broken() -> UpstreamFailure:
    """The upstream answered with what is no answer, or only with a part of one."""
    return UpstreamFailure(failed(), retry=True, unhealthy=True)


def auth_failed(*, final: bool = True) -> UpstreamFailure:
    """The upstream does not accept Wardgate's credential, or there is none. Not ``final``: it cannot be had now."""
    error = ServiceUnavailable(
        "Wardgate could not sign in to the model's provider.", status=502, code="upstream_auth_failed"
    )
    return UpstreamFailure(error, retry=False, unhealthy=False, final=final)


def failed() -> ServiceUnavailable:
    """What the caller is told of an upstream that answers wrongly."""
    return ServiceUnavailable("The model's provider did not answer properly.", status=502, code="upstream_error")


def unavailable() -> ServiceUnavailable:
    """What the caller is told of an upstream that cannot be reached."""
    return ServiceUnavailable("The model's provider cannot be reached now.", code="upstream_unavailable")


def timed_out() -> ServiceUnavailable:
    """What the caller is told of an upstream that is too slow."""
    return ServiceUnavailable("The model did not answer in time.", status=504, code="upstream_timeout")


class _Facts(msgspec.Struct):
    """What an error object says, without its text."""

    codes: frozenset[str]
    status: int | None
    too_long: bool


def _facts(body: bytes) -> _Facts:
    try:
        tree = msgspec.json.decode(body)
    except UNREADABLE:  # a proxy's page, or nothing
        tree = None
    objects = list(_error_objects(tree))
    named = [value for item in objects for value in (item.get("code"), item.get("type"), item.get("status"))]
    numbers = [value for value in named if type(value) is int]
    message = next((item["message"] for item in objects if isinstance(item.get("message"), str)), "")
    return _Facts(
        frozenset(value.lower() for value in named if isinstance(value, str)),
        numbers[0] if numbers else None,
        _TOO_LONG_TEXT.search(message[:2000]) is not None,
    )


def _reasons(body: bytes) -> Iterator[object]:
    """The reasons that Google gives for an error (https://google.aip.dev/193)."""
    try:
        tree = msgspec.json.decode(body)
    except UNREADABLE:
        return
    for item in _error_objects(tree):
        details = item.get("details")
        yield from (
            detail.get("reason") for detail in (details if isinstance(details, list) else ()) if type(detail) is dict
        )


def _error_objects(tree: Any) -> Iterator[dict[str, Any]]:
    """The error objects in a body: OpenAI's, Google's (also as a list of one), Azure's inner error, old vLLM's."""
    if isinstance(tree, list):
        tree = tree[0] if tree else None
    if not isinstance(tree, dict):
        return
    error = tree.get("error", tree)
    if isinstance(error, dict):
        yield error
        inner = error.get("innererror")
        if isinstance(inner, dict):
            yield inner


def _callers_fault(facts: _Facts) -> ApiError:
    if facts.codes & _FILTERED:
        return ContentFiltered("The provider's filter stopped the prompt.")
    if facts.codes & _TOO_LONG or facts.too_long:
        return BadRequest(
            "The messages and the answer's length together exceed what the model can take.",
            code="context_length_exceeded",
            param="messages",
        )
    return BadRequest("The model's provider refused the request as invalid.", code="upstream_rejected")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from ``retry-after-ms`` or ``retry-after`` (RFC 9110, 10.2.3)."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            seconds = float(milliseconds) / 1000
        elif (given := headers.get("retry-after", "")).replace(".", "", 1).isdigit():
            seconds = float(given)
        elif given:
            seconds = parsedate_to_datetime(given).timestamp() - time.time()
        else:
            return None
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER)
