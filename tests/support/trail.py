"""Events of every kind, as a guard would write them."""

from __future__ import annotations

from typing import Any

from shared.audit.record import EventType, seal, timestamp
from shared.stores.events import Event
from tests.support.audit_events import NOW

SOURCE = "//wardgate/guard"


class Chain:
    """Seals events one after the other; any attributes are taken."""

    def __init__(self, uid: str = "a" * 32, source: str = SOURCE) -> None:
        self.uid = uid
        self._source = source
        self._length = 0
        self._head = "0" * 64

    def event(self, type_: EventType, attributes: dict[str, Any], *, time: int = NOW) -> Event:
        """The next event of the chain."""
        place = {"source": self._source, "time": time, "chain_uid": self.uid}
        sealed = seal(type_, attributes, **place, seq=self._length, prev_event=self._head)
        self._length += 1
        self._head = sealed.fingerprint
        return sealed.event

    def interaction(self, *, time: int = NOW, **attributes: Any) -> Event:
        """A chat that was answered, with these attributes by their short ``NAMES``; None leaves one out."""
        usual = {
            "wardgate.request.id": f"req_{self._length}",
            "wardgate.route": "/v1/chat/completions",
            "wardgate.tenant": "acme",
            "wardgate.key.id": "key1",
            "wardgate.key.kind": "api_key",
            "wardgate.decision": "answered",
            "gen_ai.request.model": "default",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 50,
            "wardgate.prompt.characters": 400,
            "wardgate.answer.characters": 200,
            "wardgate.duration_us": 1500,
            "wardgate.stream": False,
            "wardgate.findings": [],
            "wardgate.findings.count": 0,
        }
        given = {NAMES[name]: value for name, value in attributes.items()}
        known = {name: value for name, value in {**usual, **given}.items() if value is not None}
        return self.event("wardgate.interaction", known, time=time)

    def denials(self, count: int, *, time: int = NOW, key: str = "key1") -> Event:
        """Denials that were counted in one event."""
        attributes = {
            "wardgate.tenant": "acme",
            "wardgate.key.id": key,
            "wardgate.denials.decision": "denied",
            "wardgate.denials.count": count,
            "wardgate.denials.first_at": timestamp(time - 10**10),
            "wardgate.denials.last_at": timestamp(time),
            "wardgate.denials.limit": "requests-per-minute",
            "wardgate.denials.error": "rate_limit_exceeded",
        }
        return self.event("wardgate.denials", attributes, time=time)


NAMES = {
    "request_id": "wardgate.request.id",
    "tenant": "wardgate.tenant",
    "key": "wardgate.key.id",
    "key_kind": "wardgate.key.kind",
    "user": "wardgate.user.hmac",
    "decision": "wardgate.decision",
    "error": "error.type",
    "model": "gen_ai.request.model",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "prompt": "wardgate.prompt.hmac",
    "prompt_characters": "wardgate.prompt.characters",
    "answer_characters": "wardgate.answer.characters",
    "duration_us": "wardgate.duration_us",
    "stream": "wardgate.stream",
    "findings": "wardgate.findings",
    "findings_count": "wardgate.findings.count",
    "limit": "wardgate.limits.exceeded",
    "started_at": "wardgate.started_at",
}


def finding(kind: str = "jailbreak", **changes: Any) -> dict[str, Any]:
    """One finding, as an event lists it."""
    usual = {
        "guard": "injection",
        "kind": kind,
        "owasp": "LLM01:2023",
        "score": "0.8700",
        "action": "block",
        "enforced": True,
        "span": [3, 12],
        "part": "messages[0].content",
    }
    return {**usual, **changes}
