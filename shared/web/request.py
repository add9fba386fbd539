"""Reading a request's body: its size, type and JSON, refused with a message that names what is wrong."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn, TypeVar

import msgspec
from flask import Request

from shared.errors import BadRequest, PayloadTooLarge, RequestTimeout, UnsupportedMediaType
from shared.web.read_deadline import ReadDeadline

T = TypeVar("T")

_MAX_INT = 2**63 - 1
_MOST_DIGITS = 21
"""So long that it cannot be within 64 bits; Python takes time and then offence at very long ones."""

_MAX_EXACT = 2**53
"""Above it not every integer is a float."""

_MOST_PLACED = 65_536
"""Characters of a body that are worth reading twice."""

_MOST_SHOWN = 64
"""Characters of a caller's own name for a field."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}\Z")


def read_json_body(request: Request, limit: int, seconds: float) -> bytes:
    """The body of a request whose content type is JSON.

    Args:
        request: Flask's request.
        limit: Most bytes that are taken; a larger body is refused whole.
        seconds: Longest time that the body may take to arrive. A connection that took longer is done with.

    Raises:
        RequestTimeout: The body did not arrive in time.
        UnsupportedMediaType: The content type is not ``application/json``.
        PayloadTooLarge: The body is larger than ``limit``.
        BadRequest: The body is compressed, or shorter than it said.
    """
    media_type, _, parameters = (request.content_type or "").lower().partition(";")
    if media_type.strip() != "application/json":
        raise UnsupportedMediaType("Send the body as JSON, with the header 'content-type: application/json'.")
    if "charset" in parameters and "utf-8" not in parameters and "utf8" not in parameters:
        raise UnsupportedMediaType("JSON is read as UTF-8; send no other charset.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("A compressed body is not read; send it without 'content-encoding'.")
    declared = request.content_length
    if declared is not None and declared > limit:
        raise _too_large(limit)
    arriving = ReadDeadline(request.environ, seconds)
    try:
        with arriving:
            body = request.stream.read(limit + 1)
    except Exception:  # the server's errors of a broken chunk have no base of their own
        if arriving.passed:
            raise _too_slow(seconds) from None
        raise BadRequest("The body breaks off or its framing is broken.", code="incomplete_body") from None
    if arriving.passed:
        raise _too_slow(seconds)
    if len(body) > limit:
        raise _too_large(limit)
    if declared is not None and len(body) < declared:
        raise BadRequest("The body ended before its content-length.", code="incomplete_body")
    request.stream = io.BytesIO()  # read to its end, so nothing is left to discard
    return body


def _too_slow(seconds: float) -> RequestTimeout:
    return RequestTimeout(f"The body did not arrive within {seconds:g} s.")


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than the {limit} bytes that are accepted; it was not read.")


def decode_json(body: bytes, shape: type[T], *, depth: int) -> T:
    """Parse JSON strictly and convert it to ``shape``.

    Refused are what JSON parsers disagree on, since a guard and a model must read the same text:
    duplicate keys, NaN and infinities, invalid UTF-8, lone surrogates, and nesting beyond ``depth``.

    Raises:
        BadRequest: Naming the field in ``param`` where there is one.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8 (byte {error.start}).", code="invalid_utf8") from None
    try:
        tree = _parse(text)
    except json.JSONDecodeError as error:
        raise BadRequest(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).", code="invalid_json"
        ) from None
    except RecursionError:
        raise _too_deep(depth) from None
    except BadRequest as refusal:
        raise _placed(refusal, text) from None
    if body.count(b"[") + body.count(b"{") > depth:
        _check_depth(tree, depth)
    if "\\ud" in text or "\\uD" in text:
        _refuse_surrogates(tree, "")
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        raise _named(error) from None


_Hook = Callable[[Any], Any]


def _parse(text: str, around: Callable[[_Hook], _Hook] = lambda hook: hook) -> Any:
    """The tree of a JSON text; each hook that may refuse a part of it is wrapped by ``around``."""
    return json.loads(
        text,
        object_pairs_hook=around(_unique),
        parse_int=around(_integer),
        parse_float=around(_finite),
        parse_constant=around(_no_constant),
    )


class _Refused:
    """Stands in a tree for a part that was refused."""

    def __init__(self, why: BadRequest) -> None:
        self.why = why


class _FirstMarked:
    """Wraps hooks: the first part that one refuses is marked, and nothing after it is judged."""

    def __init__(self) -> None:
        self._found = False

    def __call__(self, hook: _Hook) -> _Hook:
        def marked(part: Any) -> Any:
            if self._found:
                return dict(reversed(part)) if isinstance(part, list) else 0  # of two alike, the one that was marked
            try:
                return hook(part)
            except BadRequest as why:
                self._found = True
                return _Refused(why)

        return marked


def _placed(refusal: BadRequest, text: str) -> BadRequest:
    """``refusal`` with the field that it is about. Parsers do not tell their hooks, so ``text`` is read once more."""
    if len(text) > _MOST_PLACED:
        return refusal
    try:
        part = _parse(text, _FirstMarked())
    except (json.JSONDecodeError, RecursionError):  # something else is wrong too, further on
        return refusal
    path: list[str] = []
    within = [_steps(part)]
    while not isinstance(part, _Refused):
        while (found := next(within[-1], None)) is None:
            within.pop()
            path.pop()
        step, part = found
        path.append(step)
        within.append(_steps(part))
    if part.why.param is not None:
        path.append(f".{part.why.param}")
    return BadRequest(part.why.message, code=part.why.code, param="".join(path).lstrip(".") or None)


def _steps(value: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a value, each behind what leads to it."""
    if isinstance(value, dict):
        return ((f".{key[:_MOST_SHOWN]}", item) for key, item in value.items())
    return ((f"[{index}]", item) for index, item in enumerate(value)) if isinstance(value, list) else iter(())


def _check_depth(tree: Any, limit: int) -> None:
    level = [tree]
    for _ in range(limit):
        level = [item for value in level for item in _items(value)]
        if not level:
            return
    if any(isinstance(value, list | dict) for value in level):
        raise _too_deep(limit)


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep(limit: int) -> BadRequest:
    return BadRequest(f"The body is nested deeper than {limit} levels.", code="nested_too_deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadRequest("A field is given twice in one object.", code="duplicate_key", param=key[:_MOST_SHOWN])
            seen.add(key)
    return mapping


def _integer(digits: str) -> int | float:
    """Beyond 64 bits as a float, which is what most JSON parsers make of it (RFC 8259, section 6)."""
    number = int(digits) if len(digits) < _MOST_DIGITS else _MAX_INT + 1
    return number if -_MAX_INT - 1 <= number <= _MAX_INT else _finite(digits)


def _finite(digits: str) -> float:
    """To JSON Schema 5.0 is an integer, so it is one here too."""
    number = float(digits)
    if math.isfinite(number):
        return int(number) if number.is_integer() and abs(number) <= _MAX_EXACT else number
    raise BadRequest("A number is too large.", code="invalid_json")


def _no_constant(name: str) -> NoReturn:
    raise BadRequest(f"{name} is not a JSON number.", code="invalid_json")


def _refuse_surrogates(value: Any, path: str) -> None:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise BadRequest(
                "The text holds half of a surrogate pair, which is no character.",
                code="invalid_unicode",
                param=path or None,
            ) from None
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_surrogates(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_surrogates(key, path)
            _refuse_surrogates(item, f"{path}.{key}" if path else key)


_QUOTED_INPUT = re.compile(r"^Invalid (?:enum )?value ('.*'|\".*\"|-?\d+)$", re.DOTALL)


def _named(error: msgspec.ValidationError) -> BadRequest:
    """msgspec's message as an API error. Its one message that repeats the input is put without it."""
    problem, _, place = str(error).partition(" - at `")  # "$.a[0].b`", or for a name "key` in `$.a`"
    param = place.removeprefix("key` in `").rstrip("`").lstrip("$.") or None
    if problem.startswith("Object contains unknown field"):
        unknown = problem.split("`", 1)[1].rstrip("`")[:64]
        where = f"{param}.{unknown}" if param else unknown
        return BadRequest("The field is not supported.", code="unsupported_parameter", param=where)
    if problem.startswith("Object missing required field"):
        missing = problem.split("`")[1]
        where = f"{param}.{missing}" if param else missing
        return BadRequest("The field is required.", code="missing_required_parameter", param=where)
    if _QUOTED_INPUT.match(problem):
        problem = "The value is not one of those allowed"
    return BadRequest(f"{problem}.", code="invalid_value", param=param)


def request_id_of(header: str | None, new: str) -> str:
    """The caller's ``x-request-id`` if it is short and plain, so that it can go into logs, else ``new``."""
    return header if header and _REQUEST_ID.match(header) else new
