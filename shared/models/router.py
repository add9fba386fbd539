"""The way from a model alias to the target that answers: caps, retries, breakers, fallbacks.

Everything that is tried twice is tried before the first byte of an answer; after that a failure is
told. A request that is the caller's to mend is never tried again.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shared.errors import ApiError, NotFound, ServiceUnavailable
from shared.models.breaker import CircuitBreaker
from shared.models.upstreams.failures import broken, timed_out, unavailable
from shared.models.upstreams.port import CallContext, Upstream, UpstreamFailure
from shared.models.wire import ChatChunk, ChatCompletion, ChatRequest
from shared.web.http_client import Cancellation
from shared.web.log import log

T = TypeVar("T")

_FIRST_DELAY = 0.2
"""Seconds before the second try, at most; doubled for each one after it."""


class Target(Struct, frozen=True):
    """One model on one upstream, with its breaker."""

    name: str
    """The upstream's name in the policy."""

    upstream: Upstream
    model: str | None
    """The upstream's own name of the model; None: the name the caller used."""

    breaker: CircuitBreaker


class Alias(Struct, frozen=True):
    """A model name that callers may use."""

    targets: Sequence[Target]
    max_output_tokens: int


class Routed(Struct, Generic[T], frozen=True):
    """What came, and where it came from."""

    answer: T
    upstream: str
    """The upstream's name in the policy."""

    upstream_model: str
    """The upstream's own version string of the model that answered."""


class Router:
    """Knows the aliases and finds a target that answers."""

    def __init__(
        self,
        aliases: Mapping[str, Alias],
        *,
        attempts: int,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[Cancellation, float], None] = Cancellation.wait,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """
        Args:
            aliases: By the names that callers use.
            attempts: Tries on one target.
            now: Tells the time that deadlines are given in.
            wait: Sleeps between two tries, unless the request is cancelled.
            chance: Gives a number from 0 up to 1, to jitter the waiting.
        """
        self._aliases = aliases
        self._attempts = attempts
        self._now = now
        self._wait = wait
        self._chance = chance

    @property
    def names(self) -> Sequence[str]:
        """The aliases."""
        return list(self._aliases)

    def complete(self, request: ChatRequest, context: CallContext) -> Routed[ChatCompletion]:
        """The whole answer, under the alias that was asked for.

        Raises:
            ApiError: No target answered, or the request is the caller's to mend.
            CallCancelled: ``context.cancel`` was used.
        """

        def attempt(target: Target, asked: ChatRequest, limits: CallContext) -> ChatCompletion:
            answer = target.upstream.complete(asked, target.model or request.model, limits)
            target.breaker.succeeded()
            return answer

        target, answer = self._first_that_answers(request, context, attempt)
        model, answer.model = answer.model, request.model
        return Routed(answer, target.name, model)

    def stream(self, request: ChatRequest, context: CallContext) -> Routed[ChunkStream]:
        """The answer's chunks, under the alias that was asked for; returns once the first has come.

        The chunks raise what ``complete`` raises. Close them to end the call early.
        """

        def attempt(
            target: Target, asked: ChatRequest, limits: CallContext
        ) -> tuple[ChatChunk, Generator[ChatChunk, None, None]]:
            chunks = target.upstream.stream(asked, target.model or request.model, limits)
            first = next(chunks, None)
            if first is None:
                raise broken()
            return first, chunks

        target, (first, rest) = self._first_that_answers(request, context, attempt)
        return Routed(ChunkStream(first, rest, target, context, request.model), target.name, first.model)

    def _first_that_answers(
        self,
        request: ChatRequest,
        context: CallContext,
        attempt: Callable[[Target, ChatRequest, CallContext], T],
    ) -> tuple[Target, T]:
        alias = self._aliases.get(request.model)
        if alias is None:
            raise NotFound("There is no such model.", code="model_not_found", param="model")
        asked = capped(request, alias.max_output_tokens)
        failure = UpstreamFailure(timed_out(), retry=False, unhealthy=False)
        hopeless = 0
        for position, target in enumerate(alias.targets):
            # Each target may use its equal share of the time left, so that a silent one leaves time for the others.
            now = self._now()
            if now >= context.answer_by:
                break
            limits = replace(context, answer_by=now + (context.answer_by - now) / (len(alias.targets) - position))
            for tried in range(self._attempts):
                closed_for = target.breaker.wait()
                if closed_for > 0:
                    failure = UpstreamFailure(_resting(closed_for), retry=False, unhealthy=False)
                    break
                try:
                    return target, attempt(target, asked, limits)
                except UpstreamFailure as error:
                    failure = error
                    _report(target, error, context, tried)
                except ApiError:
                    target.breaker.succeeded()
                    raise
                delay = self._delay(tried, failure)
                if delay is None or self._now() + delay >= limits.answer_by:
                    break
                self._wait(context.cancel, delay)
            hopeless += failure.final
        if hopeless == len(alias.targets):
            failure.error.headers["x-should-retry"] = "false"
        raise failure.error from failure

    def _delay(self, tried: int, failure: UpstreamFailure) -> float | None:
        """Seconds until the next try on the same target; None where there is to be none."""
        if not failure.retry or tried + 1 >= self._attempts:
            return None
        backoff = _FIRST_DELAY * (1 << tried) * (0.5 + self._chance() / 2)
        return max(backoff, failure.retry_after or 0.0)


class ChunkStream:
    """The chunks of a stream whose first one is here. An iterator with ``close``, which works before it began, too."""

    def __init__(
        self, first: ChatChunk, rest: Generator[ChatChunk, None, None], target: Target, context: CallContext, alias: str
    ) -> None:
        self._first: ChatChunk | None = first
        self._rest = rest
        self._target = target
        self._context = context
        self._alias = alias

    def __iter__(self) -> ChunkStream:
        return self

    def __next__(self) -> ChatChunk:
        chunk, self._first = self._first, None
        if chunk is None:
            try:
                chunk = next(self._rest)
            except StopIteration:
                self._target.breaker.succeeded()
                raise
            except UpstreamFailure as failure:
                _report(self._target, failure, self._context, 0)
                raise failure.error from failure
        chunk.model = self._alias
        return chunk

    def close(self) -> None:
        """End the call."""
        self._rest.close()


def _report(target: Target, failure: UpstreamFailure, context: CallContext, tried: int) -> None:
    """Tell the breaker and the log of a failure."""
    if failure.unhealthy:
        target.breaker.failed()
    else:
        target.breaker.succeeded()
    log(
        "WARNING",
        "upstream.failed",
        trace_id=context.trace_id,
        request_id=context.request_id,
        upstream=target.name,
        code=failure.error.code,
        attempt=tried + 1,
    )


def _resting(seconds: float) -> ServiceUnavailable:
    """What the caller is told while a target's breaker is open."""
    error = unavailable()
    error.headers["retry-after"] = str(max(1, math.ceil(seconds)))
    return error


def capped(request: ChatRequest, cap: int) -> ChatRequest:
    """The request with its output bounded by ``cap`` tokens, under the name it used for that."""
    if request.max_tokens is None and request.max_completion_tokens is None:
        return msgspec.structs.replace(request, max_completion_tokens=cap)
    return msgspec.structs.replace(
        request,
        max_tokens=None if request.max_tokens is None else min(request.max_tokens, cap),
        max_completion_tokens=None
        if request.max_completion_tokens is None
        else min(request.max_completion_tokens, cap),
    )
