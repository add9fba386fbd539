"""What a refusal may look like: OpenAI's shape, a known code, a request id, and nothing of the machinery."""

from __future__ import annotations

from typing import Final

from tests.support.raw_http import Answer

STATUS_OF: Final = {
    "conflict": 409,
    "content_filter": 400,
    "duplicate_key": 400,
    "expired_token": 401,
    "idempotency_in_progress": 409,
    "idempotency_key_reuse": 422,
    "incomplete_body": 400,
    "insufficient_scope": 403,
    "invalid_api_key": 401,
    "invalid_credentials": 401,
    "invalid_idempotency_key": 400,
    "invalid_json": 400,
    "invalid_request": 400,
    "invalid_token": 401,
    "invalid_unicode": 400,
    "invalid_utf8": 400,
    "invalid_value": 400,
    "method_not_allowed": 405,
    "missing_credentials": 401,
    "missing_required_parameter": 400,
    "model_not_found": 404,
    "nested_too_deep": 400,
    "not_found": 404,
    "payload_too_large": 413,
    "premature_token": 401,
    "prompt_too_large": 413,
    "rate_limit_exceeded": 429,
    "request_timeout": 408,
    "revoked_api_key": 401,
    "token_too_large": 401,
    "too_many_messages": 400,
    "too_many_parts": 400,
    "unknown_issuer": 401,
    "unscannable_content": 400,
    "unsupported_media_type": 415,
    "unsupported_parameter": 400,
    "wrong_audience": 401,
}
"""Every code that a request of any kind may be refused with, and the one status that goes with it."""

_MACHINERY = (b"traceback", b"<html", b"<!doctype", b"werkzeug", b"gunicorn", b"flask", b"functions-framework", b'.py"')


def assert_refused(answer: Answer | None, *codes: str) -> Answer:
    """See that an answer is a well-formed refusal, with one of ``codes`` where any are given; return it."""
    assert answer is not None, "the connection was closed without an answer"
    assert_shows_no_machinery(answer)
    assert 400 <= answer.status < 500, (answer.status, answer.body)
    assert answer.headers["content-type"] == "application/json", (answer.status, answer.body)
    assert answer.headers["x-request-id"], "no request id"
    assert answer.json.keys() == {"error"}
    error = answer.json["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"].endswith(".")
    assert isinstance(error["param"], str | None)
    assert STATUS_OF.get(error["code"]) == answer.status, (answer.status, answer.body)
    assert not codes or error["code"] in codes, answer.body
    return answer


def assert_shows_no_machinery(answer: Answer) -> None:
    """See that an answer tells nothing of the framework under it, least of all a traceback."""
    shown = answer.body.lower()
    assert not [word for word in _MACHINERY if word in shown], answer.body[:500]
