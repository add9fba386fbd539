"""What a caller gets, and what stays charged and recorded, when something behind guard fails."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import openai_server as upstream
from tests.support.chat_target import ChatTarget, Running, running_stack

SOON = 45
"""Seconds to wait for what happens behind the answer; only waited out where a test fails."""

POLICY = """
limits: [{name: requests-per-minute, amount: 50, window_seconds: 60}]
calls: {deadline_seconds: 3, attempts: 1, breaker_failures: 1000}
guards: {suspicious: {action: redact, mode: enforce}}
"""


class Target(ChatTarget):
    """A running stack whose limit and events are looked at."""

    def remaining(self) -> int:
        """What is left of the limit after one more request."""
        return int(self.chat().headers["x-ratelimit-remaining-requests"])

    def event(self, request_id: str) -> dict[str, Any]:
        """The archived event of a request, as soon as it is there."""
        deadline = time.monotonic() + SOON
        while time.monotonic() < deadline:
            lines = self.stack.wardgate("audit", "show", "--json", "--request", request_id).stdout.splitlines()
            ends = [event for event in map(json.loads, lines) if event["type"] == "wardgate.interaction"]
            if ends:
                (event,) = ends
                return dict(event["attributes"])
            time.sleep(0.1)
        raise AssertionError(f"no event of {request_id}")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("failures")
    with running_stack(folder, POLICY) as running:
        yield running


@pytest.fixture
def target(running: Running) -> Target:
    stack, server = running
    server.reset()
    return Target(stack, server, stack.new_key())


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Keep everybody else from writing to a database."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def outcome(response: Any) -> tuple[int, str]:
    return response.status, response.json()["error"]["code"]


def test_an_upstream_error_is_told_charged_and_recorded(target: Target) -> None:
    before = target.remaining()
    target.upstream.script(upstream.error(500))
    failed = target.chat()
    assert outcome(failed) == (502, "upstream_error")
    assert target.remaining() == before - 2
    event = target.event(failed.headers["x-request-id"])
    assert (event["wardgate.decision"], event["error.type"]) == ("failed", "upstream_error")


@pytest.mark.parametrize(("status", "code"), [(401, "upstream_auth_failed"), (404, "upstream_error")])
def test_what_only_the_operator_can_mend_is_not_to_be_tried_again(target: Target, status: int, code: str) -> None:
    target.upstream.script(upstream.error(status), upstream.error(status))  # a refused key is read anew once
    refused = target.chat()
    assert outcome(refused) == (502, code)
    assert refused.headers["x-should-retry"] == "false"


def test_what_may_pass_may_be_tried_again(target: Target) -> None:
    target.upstream.script(upstream.error(503))
    assert "x-should-retry" not in target.chat().headers


def test_an_upstreams_own_words_are_never_passed_on(target: Target) -> None:
    target.upstream.script(upstream.error(400, upstream.error_body("You said: <the prompt>")))
    refused = target.chat()
    assert outcome(refused) == (400, "upstream_rejected")
    assert b"the prompt" not in refused.data


def test_a_silent_upstream_is_not_waited_for_longer_than_the_deadline(target: Target) -> None:
    target.upstream.script(upstream.silence())
    assert outcome(target.chat()) == (504, "upstream_timeout")


def test_a_retry_after_a_failure_is_charged_once(target: Target) -> None:
    headers = {"idempotency-key": "after-a-failure"}
    before = target.remaining()
    target.upstream.script(upstream.error(500))
    assert target.chat(headers=headers).status == 502
    assert target.chat(headers=headers).status == 200
    assert target.remaining() == before - 2


def test_a_retry_while_the_first_one_runs_is_told_to_wait(target: Target) -> None:
    headers = {"idempotency-key": "still-running"}
    target.upstream.script(upstream.stream(pace=0.3))
    first = target.chat(headers=headers, stream=True, preload_content=False)
    second = target.chat("Hello", headers=headers, stream=True)
    assert second.status == 409
    assert b"[DONE]" in first.read()


def test_a_stream_that_breaks_ends_with_an_error_and_without_done(target: Target) -> None:
    target.upstream.script(upstream.stream(done=False, end=False))
    broken = target.chat(stream=True)
    events = broken.data.decode().split("\n\n")
    assert "[DONE]" not in broken.data.decode()
    assert json.loads(events[-2].removeprefix("data: "))["error"]["code"] == "upstream_error"
    event = target.event(broken.headers["x-request-id"])
    assert event["wardgate.decision"] == "failed"


def test_a_word_is_redacted_across_the_chunks_of_a_stream(target: Target) -> None:
    pieces = ["The pass", "wor", "d is swordfish, said the ad", "min of old."]
    target.upstream.script(upstream.stream(upstream.text_events(pieces)))
    response = target.chat(stream=True)
    chunks = [json.loads(line[6:]) for line in response.data.decode().splitlines() if line.startswith("data: {")]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert text == "The [FILTERED] is swordfish, said the [FILTERED] of old."
    assert int(response.headers["wardgate-hold-back"]) > 0


def test_no_answer_without_its_event(target: Target) -> None:
    target.chat()
    with locked(target.stack.home / "spool.db"):
        assert outcome(target.chat()) == (503, "audit_unavailable")
        streamed = target.chat(stream=True)
        assert "audit_unavailable" in streamed.data.decode()
        assert "[DONE]" not in streamed.data.decode()
    deadline = time.monotonic() + SOON
    while target.chat().status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.3)  # as long as the bus is left alone after a failure; each try is charged
    verified = target.stack.wardgate("audit", "verify", "--json")
    assert verified.returncode == 0, verified.stdout


def test_no_answer_while_the_limits_cannot_be_read(target: Target) -> None:
    target.chat()
    with locked(target.stack.home / "documents.db"):
        assert outcome(target.chat()) == (503, "admission_unavailable")
    assert target.chat().status == 200


def test_a_user_is_stated_only_by_a_key_that_may(target: Target) -> None:
    ordinary = target.chat(user="alice")
    target.key = target.stack.new_key("--scopes", "chat,asserts_user")
    asserting = target.chat(user="alice")
    assert "wardgate.user.hmac" not in target.event(ordinary.headers["x-request-id"])
    stated = target.event(asserting.headers["x-request-id"])
    assert "wardgate.user.hmac" in stated
    assert "alice" not in json.dumps(stated)
    assert all("user" not in request.json for request in target.upstream.requests)


def test_scopes_hold(target: Target) -> None:
    target.key = target.stack.new_key("--scopes", "scan")
    assert outcome(target.chat()) == (403, "insufficient_scope")
