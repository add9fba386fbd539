"""Records and their attributes: canonical, fingerprinted, and never with a text in clear."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.audit.compose import attributes_of as compose
from shared.audit.record import (
    GENESIS,
    INTERACTION,
    MAX_RECORD_BYTES,
    MAX_SEQ,
    MalformedRecord,
    Sealed,
    canonical,
    encode,
    is_intact,
    parse_record,
    read_record,
    seal,
    timestamp,
)
from shared.guards.port import GuardRun
from shared.identity.caller import Caller
from shared.stores.secrets import Secret
from tests.support.audit_events import FINDING, NOW, FixedPepper, interaction

UID = "0123456789abcdef" * 2


def attributes_of(*arguments: Any) -> dict[str, Any]:
    """As they are in the record."""
    decoded: dict[str, Any] = json.loads(bytes(encode(compose(*arguments))))
    return decoded


def sealed(attributes: dict[str, Any] | None = None, **changes: Any) -> Sealed:
    place = {"source": "//wardgate/guard", "time": NOW, "chain_uid": UID, "seq": 4, "prev_event": GENESIS, **changes}
    return seal(INTERACTION, {"a": 1} if attributes is None else attributes, **place)


ascii_names = st.text(st.characters(max_codepoint=127), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_SEQ, MAX_SEQ) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ascii_names, inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_canonical_json_is_that_of_rfc_8785(value: Any) -> None:
    """Python's own encoder agrees with RFC 8785 on this subset: literals, escapes, separators and order."""
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert canonical(value) == expected
    assert canonical(json.loads(expected)) == expected


@pytest.mark.parametrize(
    "value",
    [0.5, {"a": math.nan}, MAX_SEQ + 1, -MAX_SEQ - 1, {"é": 1}, {1: 2}, b"bytes", ("tuple",), "\ud800", {"a": [1.0]}],
)
def test_what_would_leave_something_to_interpret_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical(value)


def test_the_fingerprint_can_be_checked_with_nothing_but_json_and_sha256() -> None:
    made = sealed({"text": "é ☃ \U0001f600 \x7f \n", "n": [1, None, True]})
    record = json.loads(made.event.data)
    fingerprint = record.pop("fingerprint")
    assert fingerprint == made.fingerprint
    content = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(content.encode()).hexdigest() == fingerprint


def test_the_envelope_is_the_records() -> None:
    made = sealed()
    record = read_record(made.event.data)
    assert made.event.attributes() == {
        "id": f"{UID}/4",
        "source": record.source,
        "type": "wardgate.interaction",
        "time": "2026-11-18T11:06:40.123456Z",
        "specversion": "1.0",
        "datacontenttype": "application/json",
    }
    assert record.time == made.event.time == timestamp(NOW)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_noticed(place: int, change: int) -> None:
    data = bytearray(sealed({"wardgate.decision": "answered"}).event.data)
    data[place % len(data)] ^= change
    with pytest.raises(MalformedRecord):
        read_record(bytes(data))


def test_another_way_to_write_the_same_record_is_not_the_record() -> None:
    record = json.loads(sealed().event.data)
    assert is_intact(parse_record(canonical(record)), canonical(record))
    spaced = json.dumps(record, sort_keys=True).encode()
    assert not is_intact(parse_record(spaced), spaced)
    doubled = canonical(record).replace(b'"attributes":{"a":1}', b'"attributes":{"a":2,"a":1}')
    assert not is_intact(parse_record(doubled), doubled)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"type":"other"}',
        b"9" * 5000,
        b" " * (MAX_RECORD_BYTES + 1),
    ],
)
def test_what_is_no_record_is_refused_in_a_few_words(data: bytes) -> None:
    with pytest.raises(MalformedRecord) as caught:
        read_record(data)
    assert len(str(caught.value)) < 80


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chain_uid", "../../../etc/passwd"),
        ("chain_uid", UID + "\n"),
        ("chain_uid", UID.upper()),
        ("seq", -1),
        ("seq", MAX_SEQ + 1),
        ("seq", True),
        ("time", "2026-11-18T10:26:40Z"),
        ("type", "wardgate.other"),
        ("id", "other/4"),
        ("source", ""),
        ("more", 1),
    ],
)
def test_forged_fields_are_refused_even_with_a_right_fingerprint(field: str, value: Any) -> None:
    record = json.loads(sealed().event.data)
    del record["fingerprint"]
    record[field] = value
    record["fingerprint"] = hashlib.sha256(
        json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()
    with pytest.raises(MalformedRecord):
        read_record(json.dumps(record, sort_keys=True, separators=(",", ":")).encode())


def test_an_interactions_attributes() -> None:
    attributes = attributes_of(interaction(), FixedPepper())
    hashes = {name: attributes.pop(name) for name in list(attributes) if name.endswith(".hmac")}
    assert set(hashes) == {"wardgate.prompt.hmac", "wardgate.answer.hmac", "wardgate.user.hmac"}
    assert all(len(value) == 64 for value in hashes.values())
    assert len(set(hashes.values())) == 3
    assert attributes == {
        "wardgate.request.id": "req_1",
        "wardgate.route": "/v1/chat/completions",
        "wardgate.tenant": "acme",
        "wardgate.key.id": "key-1",
        "wardgate.key.kind": "api_key",
        "wardgate.decision": "answered",
        "wardgate.policy.digest": "d" * 64,
        "wardgate.started_at": "2026-11-18T11:06:40.121456Z",
        "wardgate.duration_us": 2000,
        "wardgate.stream": False,
        "wardgate.pepper.version": 3,
        "wardgate.prompt.characters": 19,
        "wardgate.answer.characters": 2,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "default",
        "gen_ai.response.model": "wardgate-builtin-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2,
        "wardgate.upstream": "builtin",
        "wardgate.findings": [
            {
                "guard": "injection",
                "kind": "jailbreak",
                "owasp": "LLM01:2023/LLM01:2025",
                "score": "0.8700",
                "action": "block",
                "enforced": True,
                "span": [3, 12],
                "part": "messages[0].content",
            }
        ],
        "wardgate.findings.count": 1,
        "wardgate.guards": [{"guard": "injection", "direction": "input", "status": "ran", "bytes_seen": 19}],
        "wardgate.guards.count": 1,
        "wardgate.unscanned_parts": 0,
        "wardgate.admission.seq": 7,
        "wardgate.admission.epoch": "60.12-311631",
        "wardgate.admission.mode": "normal",
        "wardgate.limits.charged": ["requests-per-minute"],
        "wardgate.trace.id": "0" * 31 + "1",
    }


def test_hashes_meet_only_for_the_same_text_tenant_purpose_and_pepper() -> None:
    def hashed(pepper: bytes = b"one", **changes: Any) -> dict[str, Any]:
        return attributes_of(interaction(**changes), FixedPepper(secret=Secret(pepper)))

    prompt = "wardgate.prompt.hmac"
    assert hashed()[prompt] == hashed(request_id="other")[prompt]
    assert hashed()[prompt] != hashed(prompt="What is the answer")[prompt]
    assert hashed()[prompt] != hashed(caller=Caller("other", "key-1", "api_key", frozenset()))[prompt]
    assert hashed()[prompt] != hashed(pepper=b"two")[prompt]
    same = hashed(prompt="x", answer="x", user="x")
    assert len({same[prompt], same["wardgate.answer.hmac"], same["wardgate.user.hmac"]}) == 3
    known = hashed(user=None, caller=replace(interaction().caller, user="ann@example.com"))
    assert known["wardgate.user.hmac"] == hashed()["wardgate.user.hmac"]


def test_what_is_unknown_is_left_out() -> None:
    bare = attributes_of(
        interaction(prompt=None, answer=None, user=None, model=None, finish_reasons=(), prompt_tokens=None),
        FixedPepper(),
    )
    assert not {"wardgate.prompt.hmac", "wardgate.prompt.characters", "gen_ai.request.model"} & set(bare)
    assert "gen_ai.response.finish_reasons" not in bare
    assert None not in bare.values()


def test_any_text_can_be_hashed() -> None:
    lone = attributes_of(interaction(prompt="\ud800", answer="\x00\U0010ffff", user=""), FixedPepper())
    assert (
        lone["wardgate.prompt.hmac"]
        != attributes_of(interaction(prompt="\ud801"), FixedPepper())["wardgate.prompt.hmac"]
    )
    canonical(lone)


def test_names_from_outside_carry_no_text_and_lists_stay_short() -> None:
    attributes = attributes_of(
        interaction(
            model="ignore all\n\x1b[31m\ud800" + "x" * 1000,
            upstream_model="é" * 500,
            findings=(FINDING,) * 1000,
            guards=(GuardRun("g" * 500, "input", "ran", 1),) * 1000,
        ),
        FixedPepper(),
    )
    assert attributes["gen_ai.request.model"].startswith("ignore_all__[31m_xxx")
    assert len(attributes["gen_ai.request.model"]) == len(attributes["gen_ai.response.model"]) == 128
    assert len(attributes["wardgate.findings"]) == len(attributes["wardgate.guards"]) == 64
    assert attributes["wardgate.findings.count"] == 1000
    assert len(canonical(attributes)) < MAX_RECORD_BYTES / 4


@given(st.text(max_size=40))
def test_no_form_of_a_text_is_in_the_record(text: str) -> None:
    marker = f"☃{text}☃"  # so that it is none of the words that every record has
    attributes = attributes_of(interaction(prompt=marker, answer=marker, user=marker), FixedPepper())
    data = sealed(attributes).event.data
    raw = marker.encode("utf-8", "surrogatepass")
    for form in (raw, raw.hex().encode(), base64.b64encode(raw), hashlib.sha256(raw).hexdigest().encode()):
        assert form not in data
