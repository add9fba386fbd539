"""What ``rotate_secrets`` tells the audit trail by itself: renewals, each in the chain of its process."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from shared.clock import SystemClock
from shared.errors import StoreUnavailable
from shared.policy import load_policy
from shared.rotation.machine import FOREVER, Order
from shared.rotation.service import RotationService
from shared.rotation.telling import Telling
from shared.settings import Settings, load_settings
from shared.stores.connect import connect_documents, connect_secrets

SECRET = "audit-pepper"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(environ={"WARDGATE_ENV": "development", "WARDGATE_HOME": str(tmp_path / "home")})


def service(settings: Settings, tell: Callable[[str, str, str], None], log: Callable[..., None]) -> RotationService:
    store, documents = connect_secrets(settings.secrets), connect_documents(settings.documents)
    made = RotationService(store, documents, load_policy(None).file, SystemClock(), log=log, tell=tell, alone=True)
    made.run(name=SECRET)  # made for the first time, which is not told
    return made


def test_a_renewal_is_told_and_the_chain_has_an_end(settings: Settings) -> None:
    with closing(Telling(settings, connect_documents(settings.documents))) as tell:
        rotation = service(settings, tell, lambda *_, **__: None)
        assert not (settings.home / "spool.db").exists()
        report = rotation.run(Order(FOREVER), SECRET)
        assert (report.ticks[0].result, report.unrecorded) == ("promoted", ())
    with closing(sqlite3.connect(settings.home / "spool.db")) as spool:
        events = [json.loads(row[0]) for row in spool.execute("SELECT data FROM events ORDER BY seq")]
    assert [event["type"] for event in events] == ["wardgate.chain.open", "wardgate.operation", "wardgate.chain.close"]
    assert events[1]["attributes"] == {
        "wardgate.operation.action": "rotate.renew",
        "wardgate.operation.reason": "generation 2",
        "wardgate.operation.subject": f"secret:{SECRET}",
        "wardgate.operator.name": "rotate_secrets",
        "wardgate.operator.source": "function",
    }


def test_without_the_trail_it_renews_and_says_so(settings: Settings) -> None:
    lines: list[tuple[str, str, dict[str, Any]]] = []

    def unreachable(action: str, secret: str, detail: str) -> None:
        raise StoreUnavailable("The audit event was not acknowledged.")

    def log(severity: str, event: str, **fields: Any) -> None:
        lines.append((severity, event, fields))

    report = service(settings, unreachable, log).run(Order(FOREVER), SECRET)
    assert (report.ticks[0].result, report.unrecorded) == ("promoted", (SECRET,))
    ((severity, told),) = [(severity, fields) for severity, event, fields in lines if event == "rotation.unrecorded"]
    assert (severity, told["secret"], told["generation"], told["error"]) == ("ERROR", SECRET, 2, "StoreUnavailable")


class Death(BaseException):
    """What kills a process; nothing in the product may catch it."""


@pytest.mark.parametrize("end", [Death, StoreUnavailable])
def test_what_the_trail_does_not_know_of_a_later_run_tells_once(settings: Settings, end: type[BaseException]) -> None:
    told: list[tuple[str, str, str]] = []

    def ends(action: str, secret: str, detail: str) -> None:
        raise end("before the trail has it")

    with suppress(Death):
        service(settings, ends, no_log).run(Order(FOREVER, urgent=True), SECRET)
    later = service(settings, lambda *what: told.append(what), no_log)
    assert told == [("rotate.renew", SECRET, "generation 2, without a grace period")]
    assert later.run(name=SECRET).unrecorded == ()
    assert len(told) == 1


def test_all_that_was_renewed_without_the_trail_is_told_in_order(settings: Settings) -> None:
    told: list[str] = []

    def unreachable(action: str, secret: str, detail: str) -> None:
        raise StoreUnavailable("The audit event was not acknowledged.")

    without = service(settings, unreachable, no_log)
    for _ in range(2):
        assert without.run(Order(FOREVER, urgent=True), SECRET).unrecorded == (SECRET,)
    service(settings, lambda _, __, detail: told.append(detail.partition(",")[0]), no_log)
    assert told == ["generation 2", "generation 3"]


def no_log(*_: object, **__: object) -> None:
    """Nobody reads it."""
