"""The port of a model upstream, and how an adapter says that it could not answer."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

from msgspec import Struct, field

from shared.errors import ServiceUnavailable, WardgateError
from shared.models.wire import ChatChunk, ChatCompletion, ChatRequest
from shared.stores.secrets import Secret
from shared.web.http_client import Cancellation


class CallContext(Struct, frozen=True):
    """What an adapter knows of the request that it serves. Times are of ``time.monotonic()``."""

    request_id: str
    answer_by: float
    """When the answer, or the first chunk of a stream, must be there."""

    end_by: float
    """When a stream must have ended."""

    cancel: Cancellation = field(default_factory=Cancellation)
    trace_id: str | None = None
    """The W3C trace that the request belongs to, for the log."""


class UpstreamFailure(WardgateError):
    """An upstream could not answer, through no fault of the caller. Another try or target may."""

    def __init__(
        self,
        error: ServiceUnavailable,
        *,
        retry: bool,
        unhealthy: bool,
        final: bool = False,
        retry_after: float | None = None,
    ) -> None:
        """
        Args:
            error: What the caller is told where nothing else answers either.
            retry: Whether the same target may answer in a moment.
            unhealthy: Whether this speaks against the target's health, so that its breaker counts it.
            final: Whether the same request will fail here until somebody mends the configuration.
            retry_after: Seconds that the upstream asks to be left alone for.
        """
        super().__init__(error.message)
        self.error = error
        self.retry = retry
        self.unhealthy = unhealthy
        self.final = final
        self.retry_after = retry_after


class Upstream(Protocol):
    """Answers chats. ``model`` of an answer is the upstream's own version string.

    Both methods raise:

    - ``ApiError`` for what is the caller's to mend: a request that the upstream refuses, or content
      that its filter stops.
    - ``UpstreamFailure`` for everything else that goes wrong, a stream that breaks included.
    - ``CallCancelled`` once ``context.cancel`` was used.
    """

    def complete(self, request: ChatRequest, model: str, context: CallContext) -> ChatCompletion:
        """The whole answer."""

    def stream(self, request: ChatRequest, model: str, context: CallContext) -> Generator[ChatChunk, None, None]:
        """The answer's chunks as they come; at least one. Close it to end the call early."""


class Key(Protocol):
    """Gives the credential for an upstream, or None where it asks for none."""

    def __call__(self, *, fresh: bool = False) -> Secret | None:
        """The credential; with ``fresh`` what was remembered is dropped first, since the upstream refused it.

        Raises:
            UpstreamFailure: There is no credential to be had.
        """

    def previous(self) -> Secret | None:
        """The credential before this one, where it may still be good: for when the newest is not accepted yet."""
