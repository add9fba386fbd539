"""The kill switch as pure functions: what a process knows of it, when it must read again, what a call gets.

Times are nanoseconds on a clock that only goes forward.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from shared.errors import BadRequest

_SECOND = 1_000_000_000

RENEW_AFTER = 1 * _SECOND
"""From this age on the next call reads again, while others go on with what is known. So early that a
read that takes its whole deadline still ends before ``USED_FOR``."""

USED_FOR = 2 * _SECOND
"""From this age on nothing goes on before it has been read again: the promise to the operator."""

RETRY_AFTER = _SECOND // 2
"""The least time between a failed read and the next one."""

HOLD = 300 * _SECOND
"""While the store cannot be read, how long what was read last is good for."""

ALL = "all"
KINDS = ("tenant", "model", "tool", "key")
_VALUE = re.compile(r"[^\x00-\x20\x7f-\xa0](?:[^\x00-\x1f\x7f-\xa0]{0,254}[^\x00-\x20\x7f-\xa0])?")

Need = Literal["nothing", "renew", "wait"]
"""To read: not now; one caller does, others go on; one caller does, others wait for it."""


class View(Struct, frozen=True):
    """What a process knows of the switch."""

    on: frozenset[str] = frozenset()
    """The scopes that are off limits, as ``scope_of`` writes them."""

    read_at: int | None = None
    """When the newest read that succeeded began; None: there was none."""

    failed_at: int | None = None
    """When a read failed, if none has succeeded since."""


class Refusal(Struct, frozen=True):
    """Why a call may not go on."""

    scope: str | None
    """The scope that is on; None: it is not known whether one is."""


def parse_scope(text: str) -> str:
    """The scope that an operator names: ``all`` or ``tenant:…``, ``model:…``, ``tool:…``, ``key:…``.

    Raises:
        BadRequest: It is none of these.
    """
    kind, colon, value = text.partition(":")
    if kind == "key" and value.startswith("wg_"):
        # The whole key would be kept in the switch and in the trail.
        raise BadRequest("Give the key's id, as `wardgate keys list` shows it, not the key.", param="scope")
    if text != ALL and not (colon and kind in KINDS and _VALUE.fullmatch(value)):
        names = ", ".join(f"{kind}:NAME" for kind in KINDS)
        raise BadRequest(f"A scope is {ALL} or one of {names}.", param="scope")
    return text


def scopes_of(tenant: str, key_id: str, model: str | None = None, tools: Iterable[str] = ()) -> tuple[str, ...]:
    """Every scope that a call is in, the widest first."""
    scopes = [ALL, f"tenant:{tenant}", f"key:{key_id}"]
    if model is not None:
        scopes.append(f"model:{model}")
    return (*scopes, *(f"tool:{tool}" for tool in tools))


def seen(on: Iterable[str], began: int) -> View:
    """What is known after a read that began then."""
    return View(frozenset(on), began)


def failed(view: View, now: int) -> View:
    """What is known after a read has failed: no more than before."""
    return replace(view, failed_at=now)


def need(view: View, now: int) -> Need:
    """Whether to read before a decision."""
    if view.failed_at is not None:
        # The store is in trouble: that must not hold up every call for a deadline each.
        return "nothing" if now < view.failed_at + RETRY_AFTER else "renew"
    if view.read_at is None or now >= view.read_at + USED_FOR:
        return "wait"
    return "renew" if now >= view.read_at + RENEW_AFTER else "nothing"


def decide(view: View, scopes: Iterable[str], now: int) -> Refusal | None:
    """What a call in these scopes gets, by what is known: a refusal, or None to go on.

    A scope once seen on stays on until a read says otherwise, however long none succeeds.
    """
    if view.on:
        for scope in scopes:
            if scope in view.on:
                return Refusal(scope)
    if view.read_at is None or now >= view.read_at + HOLD:
        return Refusal(None)
    return None
