"""The one error tree of Wardgate.

    WardgateError
    ├── ConfigurationError      a setting or the policy is wrong; stops the start, lists every fault
    ├── StoreError              a store could not do what was asked
    │   ├── StoreUnavailable      unreachable or too slow; the outcome of a write may be unknown
    │   │   └── StoreContended        too many writers at once; nothing was changed
    │   ├── PreconditionFailed    the document or object is not in the state the write asked for
    │   └── SecretNotFound        no such secret, or no such version of it
    ├── Unrecorded              something was done, and the audit trail did not take its event
    └── ApiError                answered to the caller in the OpenAI error shape
        ├── BadRequest            400
        │   └── ContentFiltered     400, final: a guard blocked the prompt or the answer
        ├── Unauthenticated       401
        ├── Forbidden             403
        ├── NotFound              404
        ├── MethodNotAllowed      405
        ├── RequestTimeout        408
        ├── Conflict              409
        ├── PayloadTooLarge       413
        ├── UnsupportedMediaType  415
        ├── RateLimited           429
        └── ServiceUnavailable    502, 503 or 504

Messages are written for the person who reads them and never hold a prompt, a key or a token.
Vendor errors are wrapped once, at the adapter's edge, with ``raise … from``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct


class WardgateError(Exception):
    """Base of every error that Wardgate raises on purpose."""


class Fault(Struct, frozen=True):
    """One thing that is wrong with a setting or the policy."""

    path: str
    """Where: an environment variable's name or a path such as ``limits[0].amount``."""

    problem: str
    """What is wrong and how to mend it, as one sentence."""

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class ConfigurationError(WardgateError):
    """Settings or policy are wrong. Carries every fault found, so that one start shows them all."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))


class StoreError(WardgateError):
    """A store could not do what was asked."""


class StoreUnavailable(StoreError):
    """The store is unreachable or too slow. Whether a write took effect is unknown."""


class StoreContended(StoreUnavailable):
    """Too many writers at once. Unlike with any other ``StoreUnavailable``, nothing was changed: try again."""


class PreconditionFailed(StoreError):
    """The document or object is not in the state the write asked for; nothing was changed."""


class SecretNotFound(StoreError):
    """There is no such secret, or no such version of it."""


class Unrecorded(WardgateError):
    """What could not wait for the audit trail was done, and the trail did not take its event."""

    def __init__(self, done: str, why: StoreError) -> None:
        super().__init__(f"{done}, but the audit trail did not take the event: {why}")


class ApiError(WardgateError):
    """An error that the caller is told of.

    Attributes:
        status: HTTP status.
        type: OpenAI's coarse class of the error, such as ``invalid_request_error``.
        code: Stable, machine-readable name of this very error.
        message: One sentence for the developer who reads it.
        param: The offending field of the request, as ``messages[0].content``, if there is one.
        headers: Extra response headers, such as ``Retry-After``.
    """

    status = 500
    type = "api_error"
    code = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.param = param
        self.headers = dict(headers or {})


class BadRequest(ApiError):
    """The request is malformed or asks for something that is not served."""

    status, type, code = 400, "invalid_request_error", "invalid_request"


class ContentFiltered(BadRequest):
    """A guard blocked the prompt or the answer. Final: a retry gets the same answer."""

    code = "content_filter"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message, param=param, headers={"x-should-retry": "false"})


class Unauthenticated(ApiError):
    """No credential, or one that is not accepted."""

    status, type, code = 401, "authentication_error", "invalid_api_key"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code, headers={"www-authenticate": "Bearer"})


class Forbidden(ApiError):
    """The caller is known but may not do this."""

    status, type, code = 403, "permission_error", "insufficient_scope"


class NotFound(ApiError):
    """No such route or model."""

    status, type, code = 404, "invalid_request_error", "not_found"


class MethodNotAllowed(ApiError):
    """The route exists, but not for this method."""

    status, type, code = 405, "invalid_request_error", "method_not_allowed"


class RequestTimeout(ApiError):
    """The request's body did not arrive in time."""

    status, type, code = 408, "invalid_request_error", "request_timeout"


class Conflict(ApiError):
    """The request contradicts one that came before it."""

    status, type, code = 409, "invalid_request_error", "conflict"


class PayloadTooLarge(ApiError):
    """The body is larger than the policy allows; it is refused whole, never cut."""

    status, type, code = 413, "invalid_request_error", "payload_too_large"


class UnsupportedMediaType(ApiError):
    """The body's content type is not one that the route reads."""

    status, type, code = 415, "invalid_request_error", "unsupported_media_type"


class RateLimited(ApiError):
    """A limit of the policy is used up."""

    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"


class ServiceUnavailable(ApiError):
    """Wardgate or the model behind it cannot answer now. ``status`` is 502, 503 or 504."""

    status, type, code = 503, "api_error", "service_unavailable"

    def __init__(
        self,
        message: str,
        *,
        status: int = 503,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code, headers=headers)
        self.status = status
