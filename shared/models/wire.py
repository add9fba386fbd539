"""OpenAI's chat-completions wire format, as far as Wardgate serves it.

A request field that is not here is refused by name: a parameter that Wardgate does not know could
carry text past the guards (``logprobs``, for one, repeats the answer token by token). An answer's
unknown fields are dropped for the same reason.
"""

# Annotations are objects here and no text, which msgspec would have to evaluate one by one at every start.
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

MAX_MESSAGES = 1000
MAX_TOOLS = 128

Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$(?!\n)")]
"""To Python, other than to JSON Schema, ``$`` also stands before a last line break; hence the look ahead."""

CallId = Annotated[str, Meta(pattern=r"^[!-~]{1,128}$(?!\n)")]
"""Plain, so that nothing is cut from it: what is left could be empty, or another call's."""

Penalty = Annotated[float, Meta(ge=-2, le=2)]
TokenId = Annotated[str, Meta(pattern=r"^[0-9]{1,9}$(?!\n)")]
TokenCount = Annotated[int, Meta(ge=1, le=1_000_000)]


class Strict(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Base of everything read from a caller."""


# --- messages -----------------------------------------------------------------------------------


class TextPart(Strict, tag_field="type", tag="text"):
    text: str


class RefusalPart(Strict, tag_field="type", tag="refusal"):
    refusal: str


class ImageUrl(Strict):
    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(Strict, tag_field="type", tag="image_url"):
    """An image; no guard can read it."""

    image_url: ImageUrl


class InputAudio(Strict):
    data: str
    format: Literal["wav", "mp3"]


class AudioPart(Strict, tag_field="type", tag="input_audio"):
    """A recording; no guard can read it."""

    input_audio: InputAudio


class File(Strict):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(Strict, tag_field="type", tag="file"):
    """A file; no guard can read it."""

    file: File


UserPart = TextPart | ImagePart | AudioPart | FilePart


class SoleTextPart(Strict):
    """A text part where no other kind may stand. A tag is asked for in unions only, and ``type`` always."""

    text: str
    type: Literal["text"]


TextParts = Annotated[list[SoleTextPart], Meta(min_length=1)]


class FunctionCall(Strict):
    name: Name
    arguments: str


class ToolCall(Strict):
    id: CallId
    function: FunctionCall
    type: Literal["function"]


class SystemMessage(Strict, tag_field="role", tag="system"):
    content: str | TextParts
    name: Name | None = None


class DeveloperMessage(Strict, tag_field="role", tag="developer"):
    content: str | TextParts
    name: Name | None = None


class UserMessage(Strict, tag_field="role", tag="user"):
    content: str | Annotated[list[UserPart], Meta(min_length=1)]
    name: Name | None = None


class AssistantMessage(Strict, tag_field="role", tag="assistant"):
    content: str | Annotated[list[TextPart | RefusalPart], Meta(min_length=1)] | None = None
    name: Name | None = None
    refusal: str | None = None
    tool_calls: Annotated[list[ToolCall], Meta(min_length=1, max_length=MAX_TOOLS)] | None = None


class ToolMessage(Strict, tag_field="role", tag="tool"):
    content: str | TextParts
    tool_call_id: CallId


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


# --- request ------------------------------------------------------------------------------------


class FunctionDefinition(Strict):
    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Strict):
    function: FunctionDefinition
    type: Literal["function"]


class NamedFunction(Strict):
    name: Name


class NamedTool(Strict):
    function: NamedFunction
    type: Literal["function"]


class TextFormat(Strict, tag_field="type", tag="text"):
    pass


class JsonObjectFormat(Strict, tag_field="type", tag="json_object"):
    pass


class JsonSchema(Strict):
    name: Name
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class JsonSchemaFormat(Strict, tag_field="type", tag="json_schema"):
    json_schema: JsonSchema


class StreamOptions(Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(Strict):
    """The body of ``POST /v1/chat/completions``."""

    model: Annotated[str, Meta(min_length=1, max_length=256)]
    messages: Annotated[list[Message], Meta(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: TokenCount | None = None
    max_completion_tokens: TokenCount | None = None
    n: Annotated[int, Meta(ge=1, le=8)] | None = None
    stop: (
        Annotated[str, Meta(max_length=256)]
        | Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(min_length=1, max_length=4)]
        | None
    ) = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: Annotated[dict[TokenId, Annotated[int, Meta(ge=-100, le=100)]], Meta(max_length=1024)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    tools: Annotated[list[Tool], Meta(min_length=1, max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    user: Annotated[str, Meta(max_length=256)] | None = None
    """The end user, as a key of scope ``asserts_user`` states it; never sent upstream."""


# --- answer -------------------------------------------------------------------------------------

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class TokenUsage(Struct, omit_defaults=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: dict[str, int | None] | None = None
    completion_tokens_details: dict[str, int | None] | None = None


class AnswerFunction(Struct):
    name: str
    arguments: str


Approval = Literal["required"]
"""On a tool call: somebody has to agree before the tool is run. Wardgate's own addition."""


class AnswerToolCall(Struct, rename={"approval": "wardgate_approval"}):
    id: str
    function: AnswerFunction
    type: str = "function"
    approval: Approval | UnsetType = UNSET


class AnswerMessage(Struct):
    role: str = "assistant"
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[AnswerToolCall] | UnsetType | None = UNSET


Filtered = Literal[
    "blocklist",
    "hate",
    "jailbreak",
    "language",
    "personal_data",
    "profanity",
    "prohibited",
    "protected_material",
    "recitation",
    "safety",
    "self_harm",
    "sexual",
    "violence",
]
"""What a provider's filter found, by Wardgate's names: no text of the provider's can pass for one."""


class Choice(Struct, rename={"filtered": "wardgate_filtered"}):
    index: int
    message: AnswerMessage
    finish_reason: FinishReason | None = None
    logprobs: None = None
    """Always null: token texts would pass the guards by."""

    filtered: list[Filtered] | UnsetType = UNSET


class ChatCompletion(Struct, rename={"notice": "wardgate_notice"}):
    """The answer of ``POST /v1/chat/completions`` without ``stream``."""

    id: str
    choices: list[Choice]
    created: int
    model: str
    object: Literal["chat.completion"] = "chat.completion"
    usage: TokenUsage | UnsetType | None = UNSET
    system_fingerprint: str | UnsetType | None = UNSET
    notice: str | UnsetType = UNSET
    """The policy's, for whoever reads the answer."""


class FunctionDelta(Struct, omit_defaults=True):
    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(Struct, omit_defaults=True, rename={"approval": "wardgate_approval"}):
    index: int
    id: str | None = None
    type: str | None = None
    function: FunctionDelta | None = None
    approval: Approval | None = None


class Delta(Struct, omit_defaults=True):
    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChunkChoice(Struct, rename={"filtered": "wardgate_filtered"}):
    index: int
    delta: Delta
    finish_reason: FinishReason | None = None
    logprobs: None = None
    filtered: list[Filtered] | UnsetType = UNSET


class ChatChunk(Struct, rename={"notice": "wardgate_notice"}):
    """One event of a streamed answer."""

    id: str
    choices: list[ChunkChoice]
    created: int
    model: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    usage: TokenUsage | UnsetType | None = UNSET
    system_fingerprint: str | UnsetType | None = UNSET
    notice: str | UnsetType = UNSET
    """The policy's, for whoever reads the answer; on the first chunk."""
