"""Interactions, peppers and a bus for tests of the audit trail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.audit.archive import Archive
from shared.audit.port import Interaction
from shared.errors import StoreUnavailable
from shared.guards.port import Finding, GuardRun
from shared.identity.caller import Caller
from shared.stores.events import Event
from shared.stores.objects import ObjectStore
from shared.stores.secret_reader import CurrentSecret
from shared.stores.secrets import Secret

NOW = 1_795_000_000_123_456_789
CALLER = Caller("acme", "key-1", "api_key", frozenset({"chat"}))
FINDING = Finding("injection", "jailbreak", "LLM01:2023/LLM01:2025", (3, 12), 0.87, "block", part="messages[0].content")


def interaction(**changes: Any) -> Interaction:
    """A chat that was answered, with these changes."""
    plain: dict[str, Any] = {
        "request_id": "req_1",
        "route": "/v1/chat/completions",
        "caller": CALLER,
        "decision": "answered",
        "policy_digest": "d" * 64,
        "started_at": NOW - 2_000_000,
        "ended_at": NOW,
        "prompt": "What is the answer?",
        "answer": "42",
        "user": "ann@example.com",
        "model": "default",
        "upstream": "builtin",
        "upstream_model": "wardgate-builtin-1",
        "finish_reasons": ("stop",),
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "findings": (FINDING,),
        "guards": (GuardRun("injection", "input", "ran", 19),),
        "admission_seq": 7,
        "admission_epoch": "60.12-311631",
        "admission_mode": "normal",
        "limits_charged": ("requests-per-minute",),
        "trace_id": "0" * 31 + "1",
    }
    given = {**plain, **changes}
    return Interaction(**{"kept_prompt": given["prompt"], "kept_answer": given["answer"], **given})


@dataclass(frozen=True)
class FixedPepper:
    """A version of the pepper."""

    number: int = 3
    secret: Secret = field(default_factory=lambda: Secret(b"a pepper for tests"))


class Peppers:
    """Knows one version of the pepper, or fails."""

    def __init__(self, current: FixedPepper | Exception | None = None) -> None:
        self._current = current or FixedPepper()

    def current(self, name: str) -> FixedPepper:
        assert name == "audit-pepper"
        if isinstance(self._current, Exception):
            raise self._current
        return self._current


class ContentKeys:
    """Versions of the secret ``content-key``; the newest is the current one."""

    def __init__(self) -> None:
        self.versions = [Secret(b"a key of thirty-two bytes, first")]

    def current(self, name: str) -> CurrentSecret:
        return CurrentSecret(len(self.versions), self.version(name, len(self.versions)))

    def version(self, name: str, number: int) -> Secret:
        assert name == "content-key"
        return self.versions[number - 1]


class MemoryBus:
    """A bus in memory that can be down: before it takes an event, or after it took it but before it says so."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.down = False
        self.silent = False

    def publish(self, event: Event) -> None:
        if not self.down:
            self.events.append(event)
        if self.down or self.silent:
            raise StoreUnavailable("The bus is down.")


class MemoryObjects:
    """An object store in memory, which a test may tamper with."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def create(self, name: str, data: bytes) -> bool:
        return self.objects.setdefault(name, data) is data

    def read(self, name: str) -> bytes | None:
        return self.objects.get(name)

    def list(self, prefix: str, *, after: str = "") -> Any:
        return iter(sorted(name for name in self.objects if name.startswith(prefix) and name > after))

    def folders(self, prefix: str) -> Any:
        rest = (name.removeprefix(prefix) for name in self.objects if name.startswith(prefix))
        return iter(sorted({name[: name.index("/") + 1] for name in rest if "/" in name}))


def store_all(events: list[Event], objects: ObjectStore) -> None:
    """Archive events as the sink would."""
    archive = Archive(objects)
    for event in events:
        archive.store(event.attributes(), event.data)
