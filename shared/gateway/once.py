"""What is kept of a chat for a retry under the same ``Idempotency-Key``; nothing where the request has none."""

from __future__ import annotations

import hashlib

import msgspec
from flask import Request
from msgspec import Struct, field

from shared.admission.idempotency import MAX_ANSWER_BYTES, Handle, Idempotency, Replay, Retry, StoredAnswer
from shared.discreet import Discreet
from shared.errors import ApiError
from shared.identity.caller import Caller
from shared.stores.secrets import Secret
from shared.web.responses import error_body


class Once(Discreet, Struct):
    """One attempt at a request. Ends exactly once: ``answered``, ``refused`` or ``interrupted``."""

    _idempotency: Idempotency
    _handle: Handle | None = None
    paid: bool = False
    """An earlier attempt was charged and gave no answer, so this one is not charged again."""

    _streamed: list[bytes] = field(default_factory=list)
    _streamed_bytes: int = 0

    @classmethod
    def begin(
        cls, idempotency: Idempotency, request: Request, caller: Caller, body: bytes, lease_seconds: float
    ) -> Once | StoredAnswer:
        """Claim the request's key, or find the answer that was given for it.

        Raises:
            BadRequest: The key is malformed.
            Conflict: The key is in use, or was used with another body.
            StoreUnavailable: The store does not answer.
        """
        key = request.headers.get("idempotency-key")
        if key is None:
            return cls(idempotency)
        credential = Secret(request.headers.get("authorization", "").encode())
        attempt = idempotency.begin(caller, key, hashlib.sha256(body).digest(), credential, lease_seconds)
        if isinstance(attempt, Replay):
            return attempt.stored
        return cls(idempotency, attempt.handle, paid=isinstance(attempt, Retry))

    def keep(self, event: bytes) -> None:
        """Remember a part of a streamed answer."""
        if self._handle is not None and self._streamed_bytes <= MAX_ANSWER_BYTES:
            self._streamed.append(event)
            self._streamed_bytes += len(event)

    def streamed(self, content_type: str) -> None:
        """The streamed answer is complete; keep what was remembered of it."""
        self.answered(200, content_type, b"".join(self._streamed))

    def answered(self, status: int, content_type: str, body: bytes, receipt: str = "") -> None:
        """The answer is final; keep it."""
        if self._handle is not None:
            self._idempotency.finish(self._handle, StoredAnswer(status, content_type, body, receipt))

    def refused(self, error: ApiError, *, charged: bool) -> None:
        """No answer came of it. A final error is kept; after any other, a retry is not charged again."""
        if self._handle is None:
            return
        if not (charged or self.paid):
            self._idempotency.abandon(self._handle)
        elif error.status < 500:
            self.answered(error.status, "application/json", msgspec.json.encode(error_body(error)))
        else:
            self._idempotency.fail(self._handle)

    def interrupted(self) -> None:
        """A part of the answer has left: a retry is a new request."""
        if self._handle is not None:
            self._idempotency.finish(self._handle, None)
