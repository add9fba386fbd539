"""Receipts verify by any JOSE library, and only for the answer and the keys that they were made with."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from shared.guards.answer import answer_digest, assemble, canonical_choices
from shared.guards.port import GuardRun
from shared.guards.receipt import (
    Receipt,
    ReceiptInvalid,
    ReceiptSigner,
    public_key_of,
    verify_receipt,
)
from shared.identity.ed25519 import jwks, thumbprint
from shared.models.wire import AnswerMessage, ChatCompletion, Choice
from tests.support.chats import answer, stream_of

SIGNER = ReceiptSigner(bytes(range(32)))
KEYS = jwks([public_key_of(bytes(range(32, 64))), SIGNER.public_key])
ANSWER = answer("Grüße,\n\t𝒳 \u2028 \"\\/'", calls=[("f", '{"a": 1}')])


def receipt(**changed: Any) -> Receipt:
    runs = (GuardRun("injection", "input", "ran", 30), GuardRun("output", "output", "skipped", 0))
    fields: dict[str, Any] = {
        "issued_at": 1_700_000_000,
        "request_id": "req_1",
        "key_id": "k1",
        "policy_digest": "a" * 64,
        "decision": "answered",
        "verdict": "flag",
        "guards": runs,
        "answer_sha256": answer_digest(ANSWER),
        "chain_uid": "c" * 32,
        "seq": 7,
    }
    return Receipt(**{**fields, **changed})


TOKEN = SIGNER.sign(receipt())


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(claims: Any = None, *, key: bytes = bytes(range(32)), **header: Any) -> str:
    """A token that is signed properly, whatever it says."""
    head = {"alg": "EdDSA", "kid": SIGNER.kid, "typ": "wardgate-receipt+jws", **header}
    claims = json.loads(msgspec.json.encode(receipt())) if claims is None else claims
    signed = f"{b64(json.dumps({k: v for k, v in head.items() if v}).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(Ed25519PrivateKey.from_private_bytes(key).sign(signed.encode()))}"


def test_a_receipt_verifies_and_says_what_was_signed() -> None:
    assert verify_receipt(TOKEN, KEYS) == receipt()
    assert verify_receipt(TOKEN, KEYS, ANSWER).guards[1] == GuardRun("output", "output", "skipped", 0)
    without = receipt(answer_sha256=None, chain_uid=None, seq=None, decision="blocked")
    assert verify_receipt(SIGNER.sign(without), KEYS) == without


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        ({"bytes_sent": 30}, None),
        ({"bytes_sent": 31}, "'injection' saw 30 bytes, but 31 went on"),
        ({"bytes_sent": None, "bytes_returned": 5}, None),
        ({"bytes_sent": 0, "bytes_returned": 0}, None),
    ],
)
def test_a_guard_that_ran_has_seen_what_went_on(counts: dict[str, int | None], problem: str | None) -> None:
    token = SIGNER.sign(receipt(**counts))
    if problem is None:
        assert verify_receipt(token, KEYS).bytes_sent == counts["bytes_sent"]
    else:
        with pytest.raises(ReceiptInvalid, match=problem):
            verify_receipt(token, KEYS)


def test_a_receipt_fits_a_header() -> None:
    assert TOKEN.isascii()
    assert len(TOKEN) < 2048


def test_any_jwt_library_can_verify_it() -> None:
    header = jwt.get_unverified_header(TOKEN)
    assert header == {"alg": "EdDSA", "kid": SIGNER.kid, "typ": "wardgate-receipt+jws"}
    key = jwt.PyJWKSet.from_dict(KEYS)[header["kid"]]
    claims = jwt.decode(TOKEN, key, algorithms=["EdDSA"])
    assert (claims["iss"], claims["jti"], claims["iat"]) == ("wardgate", "req_1", 1_700_000_000)
    assert claims["guards"][0] == {"guard": "injection", "direction": "input", "status": "ran", "bytes_seen": 30}
    assert claims["answer_sha256"] == hashlib.sha256(canonical_choices(ANSWER.choices)).hexdigest()


def test_thumbprint_is_that_of_rfc_8037() -> None:
    key = urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    assert thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_key_set_has_no_private_part_and_the_signer_shows_none() -> None:
    entry = KEYS["keys"][1]
    assert entry == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": b64(SIGNER.public_key),
        "kid": SIGNER.kid,
        "use": "sig",
        "alg": "EdDSA",
    }
    assert repr(SIGNER) == f"ReceiptSigner(kid='{SIGNER.kid}')"


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        ReceiptSigner(b"short")


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("", "three segments"),
        ("a.b", "three segments"),
        (TOKEN + ".x", "three segments"),
        ("x" * 20_000, "longer than"),
        ("é.é.é", "not base64url"),
        (TOKEN + "=", "not base64url"),
        (TOKEN.replace(".", "\n.", 1), "not base64url"),
        ("W10." + TOKEN.split(".", 1)[1], "not a JSON object"),
        (forged(alg="none"), "another algorithm"),
        (forged(alg="HS256"), "another algorithm"),
        (forged(typ="JWT"), "not that of a receipt"),
        (forged(crit=["b64"]), "extension"),
        (forged(kid=None), "names no key"),
        (forged(kid=7), "names no key"),
        (forged(kid="other"), "not in the key set"),
        (forged(key=b"\1" * 32), "signature does not hold"),
        (forged({}), "claims"),
        (forged([1]), "claims"),
        (forged({**json.loads(msgspec.json.encode(receipt())), "verdict": "fine"}), "claims"),
    ],
)
def test_what_does_not_hold_is_named(token: str, problem: str) -> None:
    with pytest.raises(ReceiptInvalid, match=problem):
        verify_receipt(token, KEYS)


def changed(change: Callable[[Choice], Any]) -> ChatCompletion:
    copy = msgspec.json.decode(msgspec.json.encode(ANSWER), type=ChatCompletion)
    change(copy.choices[0])
    return copy


@pytest.mark.parametrize(
    "other",
    [
        changed(lambda choice: setattr(choice.message, "content", "no")),
        changed(lambda choice: setattr(choice.message, "refusal", "no")),
        changed(lambda choice: setattr(choice, "finish_reason", "length")),
        changed(lambda choice: setattr(choice, "index", 1)),
        changed(lambda choice: setattr(choice.message.tool_calls[0], "id", "x")),
        changed(lambda choice: setattr(choice.message.tool_calls[0].function, "name", "x")),
        changed(lambda choice: setattr(choice.message.tool_calls[0].function, "arguments", "{}")),
        changed(lambda choice: choice.message.tool_calls.clear()),
        ChatCompletion("id", [], 1, "m"),
    ],
)
def test_another_answer_is_not_the_receipts(other: ChatCompletion) -> None:
    with pytest.raises(ReceiptInvalid, match="not the one"):
        verify_receipt(TOKEN, KEYS, other)


def test_a_receipt_without_an_answer_fits_no_answer() -> None:
    with pytest.raises(ReceiptInvalid, match="got no answer"):
        verify_receipt(SIGNER.sign(receipt(answer_sha256=None)), KEYS, ANSWER)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"keys": None},
        {"keys": ["x", {}, {"kty": "OKP", "crv": "Ed25519", "x": 1}, {"kty": "OKP", "crv": "Ed25519", "x": "AA"}]},
        {"keys": [{**KEYS["keys"][0], "kid": SIGNER.kid}]},
    ],
)
def test_a_key_set_without_the_key_is_not_enough(keys: dict[str, Any]) -> None:
    with pytest.raises(ReceiptInvalid, match="not in the key set"):
        verify_receipt(TOKEN, keys)


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("ABCDabcd0189-_.= é"))
def test_no_character_of_a_receipt_can_be_changed(at: int, character: str) -> None:
    if TOKEN[at] != character:
        with pytest.raises(ReceiptInvalid):
            verify_receipt(TOKEN[:at] + character + TOKEN[at + 1 :], KEYS)


# --- canonical choices ----------------------------------------------------------------------------


def test_canonical_choices_are_as_documented() -> None:
    choices = [Choice(1, AnswerMessage()), *answer('é\n\t"\\\u2028', calls=[("f", "{}")], refusal="r").choices]
    assert canonical_choices(choices).decode() == (
        '[{"content":"é\\n\\t\\"\\\\\u2028","finish_reason":"stop","index":0,"refusal":"r",'
        '"tool_calls":[{"arguments":"{}","id":"call_0","name":"f"}]},'
        '{"content":"","finish_reason":null,"index":1,"refusal":"","tool_calls":[]}]'
    )


def test_metadata_is_not_part_of_the_digest() -> None:
    other = changed(lambda choice: None)
    other.id, other.created, other.model, other.system_fingerprint = "x", 2, "y", "z"
    assert answer_digest(other) == answer_digest(ANSWER)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=5))
def test_a_stream_has_the_digest_of_its_answer(pieces: list[str]) -> None:
    assert answer_digest(assemble(stream_of(pieces))) == answer_digest(answer("".join(pieces)))


def test_the_documented_way_to_compute_the_digest_is_right() -> None:
    page = (Path(__file__).parents[2] / "docs" / "guards" / "receipt.md").read_text()
    names: dict[str, Any] = {}
    exec(page.split("```python\n")[1].split("```")[0], names)  # noqa: S102  # our own page's example
    for completion in (ANSWER, answer(None), answer("é\u2028", refusal="r")):
        assert names["answer_sha256"](json.loads(msgspec.json.encode(completion))) == answer_digest(completion)
