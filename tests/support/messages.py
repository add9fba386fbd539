"""Messages that reach a sink: events as the bus sends them, and what is none."""

from __future__ import annotations

import json
from typing import Any

import urllib3

from shared.audit.record import seal
from shared.stores.events import Event
from tests.support.function_process import FunctionProcess

MARKER = "MARKER-xylophone-8713"
"""Stands in everything that is refused, and must not come back."""


def made(**changes: Any) -> Event:
    place = {"source": "//wardgate/guard", "time": 1_795_000_000 * 10**9, "chain_uid": "a" * 32, "seq": 0}
    return seal("wardgate.chain.open", {"n": 1}, **{**place, "prev_event": "0" * 64, **changes}).event


def post(sink: FunctionProcess, body: bytes, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
    sent = {"x-note": MARKER, "connection": "close", **headers}
    return urllib3.request("POST", sink.url, body=body, headers=sent, retries=False, timeout=10)


def binary(event: Event, **changes: str) -> dict[str, str]:
    attributes = {**event.attributes(), **changes}
    return {"content-type": "application/json"} | {f"ce-{name}": value for name, value in attributes.items()}


GOOD = made()
CASES = {
    "no headers": (b"{}", {}),
    "not json": (MARKER.encode(), {"content-type": "application/json"}),
    "not json, binary": (MARKER.encode(), binary(GOOD)),
    "empty": (b"", binary(GOOD)),
    "invalid utf-8": (b"\xff\xfe" + MARKER.encode(), binary(GOOD)),
    "deep": (b"[" * 50_000, binary(GOOD)),
    "deep, structured": (b"[" * 50_000, {"content-type": "application/cloudevents+json"}),
    "long number": (b"9" * 10_000, binary(GOOD)),
    "long number, structured": (b"9" * 10_000, {"content-type": "application/cloudevents+json"}),
    "structured": (
        json.dumps({**GOOD.attributes(), "data": json.loads(GOOD.data), "note": MARKER}).encode(),
        {"content-type": "application/cloudevents+json"},
    ),
    "pub/sub envelope": (
        json.dumps({"subscription": "s", "message": {"data": MARKER, "messageId": "1"}}).encode(),
        {"content-type": "application/json"},
    ),
    "foreign": (json.dumps({"note": MARKER}).encode(), binary(GOOD, type="com.example.other")),
    "wrong version": (GOOD.data, binary(GOOD, specversion="9.9")),
    "altered": (GOOD.data.replace(b'"n":1', b'"n":2'), binary(GOOD)),
    "another's envelope": (GOOD.data, binary(made(seq=1))),
    "another trail": (made(source="//elsewhere/guard").data, binary(made(source="//elsewhere/guard"))),
    "no date": (GOOD.data.replace(b"2026-11-18T", b"2026-13-18T"), binary(GOOD)),
    "too large": (b" " * (257 * 1024), binary(GOOD)),
}


def status_of(case: str) -> int:
    """What a sink answers."""
    return {"too large": 413, "no headers": 415}.get(case, 400)
