"""Idempotency-Key: one charge, one answer, nothing readable in the store, and no way to free answers."""

from __future__ import annotations

import base64
import hashlib

import pytest
from msgspec.structs import replace

from shared.admission.idempotency import (
    KEPT_SECONDS,
    MAX_ANSWER_BYTES,
    Fresh,
    Handle,
    Idempotency,
    Replay,
    Retry,
    StoredAnswer,
)
from shared.errors import BadRequest, Conflict, StoreUnavailable
from shared.identity.caller import DEFAULT_SCOPES, Caller
from shared.stores.secrets import Secret
from tests.support.virtual_time import ManualClock, VirtualDocuments

CALLER = Caller("acme", "key-1", "api_key", frozenset(DEFAULT_SCOPES))
CREDENTIAL = Secret(b"wg_key-1_0123456789abcdef")
ANSWER = StoredAnswer(200, "application/json", b'{"choices": ["MARKER-in-the-answer"]}')
LEASE = 30.0


class Desk:
    """A client's and a server's side of one key."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = VirtualDocuments(self.clock)
        self.idempotency = Idempotency(self.store, self.clock)

    def begin(
        self, *, key: str = "order-1", body: bytes = b"{}", credential: Secret = CREDENTIAL, caller: Caller = CALLER
    ) -> Fresh | Retry | Replay:
        return self.idempotency.begin(caller, key, hashlib.sha256(body).digest(), credential, LEASE)

    def fresh(self, **details: object) -> Handle:
        begun = self.begin(**details)  # type: ignore[arg-type]  # passed on as they are
        assert isinstance(begun, Fresh)
        return begun.handle

    def retry(self) -> Handle:
        begun = self.begin()
        assert isinstance(begun, Retry)
        return begun.handle

    def conflict(self, **details: object) -> Conflict:
        with pytest.raises(Conflict) as caught:
            self.begin(**details)  # type: ignore[arg-type]  # passed on as they are
        return caught.value


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_retry_gets_the_same_answer(desk: Desk) -> None:
    desk.idempotency.finish(desk.fresh(), ANSWER)
    for _ in range(3):
        assert desk.begin() == Replay(ANSWER)


def test_errors_that_are_final_are_answers_too(desk: Desk) -> None:
    refusal = StoredAnswer(400, "application/json", b'{"error": {"code": "content_filter"}}')
    desk.idempotency.finish(desk.fresh(), refusal)
    assert desk.begin() == Replay(refusal)


def test_while_the_first_runs_others_are_told_to_wait(desk: Desk) -> None:
    handle = desk.fresh()
    error = desk.conflict()
    assert (error.status, error.code, error.headers) == (409, "idempotency_in_progress", {"retry-after": "1"})
    desk.clock.advance(LEASE)
    assert desk.conflict().code == "idempotency_in_progress", "the lease outlives the deadline a little"
    desk.idempotency.finish(handle, ANSWER)
    assert desk.begin() == Replay(ANSWER)


def test_another_body_under_the_same_key_is_refused_for_good(desk: Desk) -> None:
    handle = desk.fresh()
    for _ in range(2):
        error = desk.conflict(body=b'{"other": 1}')
        assert (error.code, error.headers) == ("idempotency_key_reuse", {"x-should-retry": "false"})
        desk.idempotency.finish(handle, ANSWER)


def test_keys_of_other_callers_and_other_keys_never_meet(desk: Desk) -> None:
    desk.idempotency.finish(desk.fresh(), ANSWER)
    desk.fresh(caller=replace(CALLER, key_id="key-2"))
    desk.fresh(key="order-2")
    # Whose id and key only read the same when put together.
    desk.fresh(caller=replace(CALLER, key_id="key"), key="-1order-1")


def test_an_attempt_that_gave_no_answer_is_not_charged_again(desk: Desk) -> None:
    desk.idempotency.fail(desk.fresh())
    desk.idempotency.finish(desk.retry(), ANSWER)
    assert desk.begin() == Replay(ANSWER)


def test_a_process_that_died_leaves_a_lease_that_ends(desk: Desk) -> None:
    desk.fresh()
    desk.clock.advance(LEASE + 6)
    desk.idempotency.finish(desk.retry(), ANSWER)
    assert desk.begin() == Replay(ANSWER)


def test_free_attempts_are_few(desk: Desk) -> None:
    desk.idempotency.fail(desk.fresh())
    for _ in range(3):
        desk.idempotency.fail(desk.retry())
    desk.idempotency.fail(desk.fresh())
    desk.retry()


def test_what_was_denied_is_not_free_later(desk: Desk) -> None:
    desk.idempotency.abandon(desk.fresh())
    desk.fresh()


def test_answers_that_are_not_kept_are_charged_again(desk: Desk) -> None:
    desk.idempotency.finish(desk.fresh(), None)
    large = StoredAnswer(200, "text/event-stream", b"x" * (MAX_ANSWER_BYTES + 1))
    desk.idempotency.finish(desk.fresh(), large)
    desk.idempotency.finish(desk.fresh(), StoredAnswer(200, large.content_type, large.body[:-1]))
    assert isinstance(desk.begin(), Replay)


def test_answers_are_forgotten_after_ten_minutes(desk: Desk) -> None:
    desk.idempotency.finish(desk.fresh(), ANSWER)
    desk.clock.advance(KEPT_SECONDS - 1)
    assert isinstance(desk.begin(), Replay)
    desk.clock.advance(2)
    handle = desk.fresh(body=b'{"other": 1}')
    desk.idempotency.fail(handle)
    desk.clock.advance(KEPT_SECONDS + 1)
    desk.fresh()


def test_another_credential_of_the_same_caller_neither_reads_nor_continues(desk: Desk) -> None:
    refreshed = Secret(b"wg_key-1_another")
    handle = desk.fresh()
    assert desk.conflict(credential=refreshed).code == "idempotency_in_progress"
    desk.idempotency.finish(handle, ANSWER)
    desk.idempotency.fail(desk.fresh(credential=refreshed))
    desk.fresh()


def test_who_was_overtaken_changes_nothing(desk: Desk) -> None:
    late = desk.fresh()
    desk.clock.advance(LEASE + 6)
    winner = desk.retry()
    desk.idempotency.finish(late, StoredAnswer(200, "application/json", b"late"))
    desk.idempotency.fail(late)
    desk.idempotency.abandon(late)
    desk.idempotency.finish(winner, ANSWER)
    assert desk.begin() == Replay(ANSWER)


def test_the_store_holds_nothing_readable(desk: Desk) -> None:
    body = b'{"messages": "MARKER-in-the-prompt"}'
    desk.idempotency.finish(desk.fresh(key="MARKER-in-the-key", body=body), ANSWER)
    stored = repr(desk.store.documents).encode()
    for secret in (b"MARKER", CREDENTIAL.reveal(), hashlib.sha256(body).digest()):
        for form in (secret, secret.hex().encode(), base64.b64encode(secret), repr(secret)[2:-1].encode()):
            assert form not in stored


def test_an_altered_answer_is_not_given(desk: Desk) -> None:
    desk.idempotency.finish(desk.fresh(), ANSWER)
    ((path, (fields, updated_at)),) = desk.store.documents.items()
    desk.store.documents[path] = ({**fields, "status": 201}, updated_at)
    desk.fresh()


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "tab\t", "café", "new\nline", "del\x7f"])
def test_keys_are_visible_ascii(desk: Desk, key: str) -> None:
    with pytest.raises(BadRequest) as caught:
        desk.begin(key=key)
    assert caught.value.code == "invalid_idempotency_key"
    assert not desk.store.documents


def test_the_longest_key_is_taken(desk: Desk) -> None:
    desk.fresh(key="~" * 255)


def test_ends_never_raise_and_beginnings_do(desk: Desk) -> None:
    handle = desk.fresh()
    desk.store.down = True
    desk.idempotency.finish(handle, ANSWER)
    desk.idempotency.fail(handle)
    desk.idempotency.abandon(handle)
    with pytest.raises(StoreUnavailable):
        desk.begin()


def test_of_two_that_find_the_same_failure_one_retries(desk: Desk) -> None:
    desk.idempotency.fail(desk.fresh())
    rivals: list[Retry] = []

    def overtake() -> None:
        desk.store.before = lambda: None
        # The rival's turn comes between our look and our claim.
        begun = desk.begin()
        assert isinstance(begun, Retry)
        rivals.append(begun)

    looked = desk.store.get

    def look_then_lose(path: str) -> object:
        found = looked(path)
        desk.store.get = looked  # type: ignore[method-assign]
        desk.store.before = overtake
        return found

    desk.store.get = look_then_lose  # type: ignore[assignment,method-assign]
    assert desk.conflict().code == "idempotency_in_progress"
    assert len(rivals) == 1


def test_handles_do_not_show_their_keys(desk: Desk) -> None:
    handle = desk.fresh()
    assert handle.keys.seal.hex() not in repr(handle)
    assert repr(handle.keys.seal) not in repr(handle)
    assert "MARKER" not in repr(Replay(ANSWER))
