"""Sizes of a request (LLM04): beyond the policy's limits it is refused whole; nothing is ever cut."""

from __future__ import annotations

from shared.errors import BadRequest, PayloadTooLarge
from shared.guards.parts import Parts
from shared.models.wire import ChatRequest
from shared.policy.types import SizeLimits


def check_sizes(request: ChatRequest, parts: Parts, limits: SizeLimits) -> None:
    """Refuse a request with too many messages, too many content parts or too much text.

    Raises:
        BadRequest: ``too_many_messages`` or ``too_many_parts``; names the first one too many.
        PayloadTooLarge: ``prompt_too_large``; names the text that crosses the limit.
    """
    if len(request.messages) > limits.messages:
        raise BadRequest(
            f"The request has {len(request.messages)} messages; the policy allows {limits.messages}.",
            code="too_many_messages",
            param="messages",
        )
    _check_parts(request, limits.parts)
    characters = 0
    for part in parts.texts:
        characters += len(part.text)
        if characters > limits.prompt_characters:
            raise PayloadTooLarge(
                f"The request has more than {limits.prompt_characters} characters of text, which is what the policy "
                "allows.",
                code="prompt_too_large",
                param=part.path,
            )


def _check_parts(request: ChatRequest, most: int) -> None:
    count = 0
    for index, message in enumerate(request.messages):
        within = len(message.content) if isinstance(message.content, list) else 1
        if count + within > most:
            many = isinstance(message.content, list)
            raise BadRequest(
                f"The request has more than {most} content parts, which is what the policy allows.",
                code="too_many_parts",
                param=f"messages[{index}].content" + (f"[{most - count}]" if many else ""),
            )
        count += within
