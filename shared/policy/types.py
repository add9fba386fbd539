"""The types of ``policy.yaml``. Its published JSON Schema is made from them.

Every field has a safe default; unknown fields are refused with their path.
"""

# Annotations are objects here and no text, which msgspec would have to evaluate one by one at every start.
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, cast, get_args

from msgspec import Meta, Struct, field

from shared.policy.sensitive import DEFAULTS, HIDE, AnswerAction, PiiKind, PromptAction, SecretKind

# ``$(?!\n)``: Python's ``$`` also stands before a last line break, and the published schema knows no ``\Z``.
Slug = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$(?!\n)")]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Bytes = Annotated[int, Meta(ge=1, le=32 * 1024 * 1024)]
Url = Annotated[str, Meta(pattern=r"""^https?://[!"$-.0->A-~]+(/[!"$->@-~]*)?$(?!\n)""", max_length=2048)]
"""In visible ASCII (RFC 3986), without user, query or fragment."""

Origin = Annotated[str, Meta(pattern=r"^https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$(?!\n)", max_length=255)]
"""As browsers send it, so in lower case."""


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every part of the policy."""


# --- models -------------------------------------------------------------------------------------


class BuiltinUpstream(Section, frozen=True, tag_field="kind", tag="builtin"):
    """The stand-in model that ships with Wardgate and says so in every answer."""


class TokenExchange(Section, frozen=True):
    """Where a Google ID token is exchanged for a token of the upstream's own (RFC 8693), as OpenAI does it."""

    identity_provider: Annotated[str, Meta(min_length=1, max_length=255)]
    """Id of the workload identity provider that was set up there for Google."""

    service_account: Annotated[str, Meta(min_length=1, max_length=255)]
    """Id of the upstream's service account that Wardgate acts as."""

    url: Url = "https://auth.openai.com/oauth/token"


class GoogleIdToken(Section, frozen=True, tag_field="kind", tag="google_id_token"):
    """Signs in with an ID token of the model function's own service account: no key to keep or to rotate."""

    audience: Annotated[str, Meta(min_length=1, max_length=255)]
    """Whom the token is for: the URL of a Cloud Run service, or what the identity provider there was told."""

    exchange: TokenExchange | None = None
    """None: the upstream takes the ID token itself, as Cloud Run does."""


class OpenAIUpstream(Section, frozen=True, tag_field="kind", tag="openai"):
    """Any server with OpenAI's chat-completions API: OpenAI, vLLM, Ollama."""

    base_url: Url
    """As the SDKs take it, such as ``https://api.openai.com/v1``."""

    secret: Slug | None = None
    """Name of the secret that holds the API key; None where the server asks for none."""

    auth: GoogleIdToken | None = None
    """Signs in without a key, in place of ``secret``."""


class VertexUpstream(Section, frozen=True, tag_field="kind", tag="vertex"):
    """Vertex AI through its OpenAI-compatible endpoint, by application default credentials: no key to rotate."""

    project: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$(?!\n)")]
    location: Annotated[str, Meta(pattern=r"^(global|[a-z]+(-[a-z]+)+[0-9])$(?!\n)")] = "global"
    base_url: Url | None = None
    """Another address for the same API, such as a Private Service Connect endpoint."""

    safety: Literal["BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE"] = (
        "BLOCK_MEDIUM_AND_ABOVE"
    )
    """Threshold of Vertex's own safety filters for every harm category; set here, never by the caller."""


Upstream = BuiltinUpstream | OpenAIUpstream | VertexUpstream


class Target(Section, frozen=True):
    """One model on one upstream."""

    upstream: Slug
    """A name under ``upstreams``."""

    model: Annotated[str, Meta(min_length=1, max_length=256)]
    """The upstream's own name of the model, pinned to a version where it has versions."""


class Price(Section, frozen=True):
    """What a model costs, in millionths of ``admission.currency`` for a million tokens: 2.50 USD is 2500000."""

    input: Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
    output: Annotated[int, Meta(ge=0, le=1_000_000_000_000)]


class ModelAlias(Section, frozen=True):
    """A model name that callers may use."""

    targets: Annotated[list[Target], Meta(min_length=1, max_length=8)]
    """Tried in order: the next one answers where the one before cannot."""

    max_output_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] = 4096
    """Cap on ``max_completion_tokens``; also what a request that names none may use."""

    context_tokens: Annotated[int, Meta(ge=1, le=100_000_000)] = 1_048_576
    """The longest prompt that any target takes; no request is charged for more."""

    price: Price | None = None
    """The dearest target's; needed where a limit counts cost."""

    system_prompt: Annotated[str, Meta(max_length=32_768)] | None = None
    """Put before the caller's messages; trusted, so no guard inspects it."""


class Calls(Section, frozen=True):
    """How the model function calls upstreams."""

    deadline_seconds: Seconds = 120
    """Whole time for one answer, retries and fallbacks included."""

    connect_timeout_seconds: Seconds = 5
    attempts: Annotated[int, Meta(ge=1, le=5)] = 2
    """Tries on one target, before the first byte of an answer only."""

    breaker_failures: Annotated[int, Meta(ge=1, le=1000)] = 5
    """Failures in a row after which a target is left alone …"""

    breaker_seconds: Seconds = 15
    """… for so long."""


# --- limits -------------------------------------------------------------------------------------


class RateLimit(Section, frozen=True):
    """At most ``amount`` of what ``kind`` counts, for each key, user or tenant, or for all."""

    name: Slug
    amount: Annotated[int, Meta(ge=1, le=1_000_000_000_000)]
    """Requests, tokens, calls that run at once, or millionths of ``admission.currency``."""

    window_seconds: Seconds | None = None
    """Length of a window that slides."""

    window: Literal["sliding", "day"] = "sliding"
    """``day``: a budget for each calendar day of ``time_zone``."""

    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    """Name in the IANA database, such as ``Europe/Berlin``."""

    kind: Literal["requests", "tokens", "concurrency", "cost"] = "requests"
    per: Literal["key", "user", "tenant", "global"] = "key"
    mode: Literal["enforce", "monitor"] = "enforce"
    """``monitor`` counts and reports, and denies nobody."""

    tenant: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    """Counts this tenant's requests only."""

    key: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    """Counts this key's requests only, by the key's id."""

    model: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    """Counts requests for this model alias only."""


class AdmissionPolicy(Section, frozen=True):
    """What happens around the limits."""

    fail: Literal["closed", "open", "local"] = "closed"
    """What a request gets while the limits cannot be read: 503, an answer, or what ``local_share`` of
    each limit leaves to it. The event says which applied."""

    local_share: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """The share of each limit, one at least, that every process grants by itself in mode ``local``."""

    deadline_ms: Annotated[int, Meta(ge=10, le=10_000)] = 300
    """How long to wait for the document store."""

    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")] = "USD"
    """The currency of every price and of every limit on cost."""


# --- guards -------------------------------------------------------------------------------------


class GuardMode(Section, frozen=True):
    """Whether a guard runs, and whether it acts."""

    mode: Literal["enforce", "monitor", "off"] = "enforce"
    """``monitor`` reports findings and acts on none; ``off`` does not run."""

    fail: Literal["closed", "open"] = "closed"
    """What a fault of the guard itself means: refuse, or go on and report that it did not run."""

    def actions(self, direction: str) -> frozenset[str]:
        """Everything that may be done about a finding in prompts (``input``) or answers (``output``)."""
        raise NotImplementedError


class GuardRule(GuardMode, frozen=True):
    """What one guard does about its findings."""

    action: Literal["block", "redact", "flag"] = "block"

    def actions(self, direction: str) -> frozenset[str]:
        """See ``GuardMode``."""
        return frozenset({self.action})


Threshold = Annotated[float, Meta(ge=0, le=1)]


class Thresholds(Section, frozen=True):
    """From which score on a model's suspicion is a finding, by where the text comes from; 1: never."""

    user: Threshold = 0.9
    document: Threshold = 0.9
    """Retrieved text."""

    tool: Threshold = 0.9
    """Results of tools."""


class InjectionPolicy(GuardRule, frozen=True):
    """The guard against prompt injection: rules, and a classifier for what they do not know."""

    thresholds: Thresholds = field(default_factory=Thresholds)

    def always_refuses(self, allow: "Sequence[AllowedPhrase]") -> bool:
        """Whether a request in which it finds something never goes on, nor one that it could not look at."""
        blocks = self.mode == "enforce" and self.action == "block" and self.fail == "closed"
        return blocks and not any("injection" in phrase.guards for phrase in allow)


class UnsureFrom(Section, frozen=True):
    """From which score of the classifier on the second stage is asked, by where the text comes from; 1: never."""

    user: Threshold = 0.5
    document: Threshold = 0.5
    tool: Threshold = 0.5


class SecondStageRule(GuardRule, frozen=True):
    """A larger model, which decides where the injection guard's classifier is unsure; needs packages of its own."""

    action: Literal["block", "flag"] = "block"
    mode: Literal["enforce", "monitor", "off"] = "off"
    unsure_from: UnsureFrom = field(default_factory=UnsureFrom)
    thresholds: Thresholds = field(default_factory=Thresholds)
    """From which score on what both models say together is a finding."""

    deadline_ms: Annotated[int, Meta(ge=50, le=30_000)] = 1000
    """For all texts of one request."""


class SuspiciousRule(GuardRule, frozen=True):
    """The suspicious-terms guard, which reads prompts and answers."""

    action: Literal["block", "redact", "flag"] = "flag"
    terms: list[Annotated[str, Meta(min_length=2, max_length=64)]] | None = None
    """Words to look for; None: the terms that ship with Wardgate."""


class KindRule(Section, frozen=True):
    """What is different for one kind of secret or personal data."""

    prompts: PromptAction | None = None
    answers: AnswerAction | None = None


class KindsRule(GuardMode, frozen=True):
    """A guard that looks for several kinds of things and may treat each differently."""

    prompts: PromptAction | None = None
    """What is done in prompts about kinds that are not under ``kinds``; None: what fits each of them.
    ``mask`` puts a placeholder in place, which is turned back in the answer."""

    answers: AnswerAction | None = None
    """The same in answers."""

    EVERY_KIND: ClassVar[tuple[str, ...]]

    def own(self, kind: str) -> KindRule | None:
        """What the policy says of one kind; None where it says nothing."""
        raise NotImplementedError

    def action(self, kind: str, direction: str) -> PromptAction:
        """What is done about one kind in prompts (``input``) or answers (``output``)."""
        usual = DEFAULTS.get(kind, HIDE)
        own = self.own(kind) or KindRule()
        if direction == "input":
            return own.prompts or self.prompts or usual[0]
        return own.answers or self.answers or usual[1]

    def actions(self, direction: str) -> frozenset[str]:
        """See ``GuardMode``."""
        return frozenset(self.action(kind, direction) for kind in self.EVERY_KIND) - {"off"}


class SecretsRule(KindsRule, frozen=True):
    """The guard against secrets in prompts and answers."""

    EVERY_KIND = get_args(SecretKind)

    kinds: dict[SecretKind, KindRule] = field(default_factory=dict)

    def own(self, kind: str) -> KindRule | None:
        """See ``KindsRule``."""
        return self.kinds.get(cast(SecretKind, kind))


class PiiRule(KindsRule, frozen=True):
    """The guard against personal data in prompts and answers."""

    EVERY_KIND = get_args(PiiKind)

    kinds: dict[PiiKind, KindRule] = field(default_factory=dict)

    def own(self, kind: str) -> KindRule | None:
        """See ``KindsRule``."""
        return self.kinds.get(cast(PiiKind, kind))


class Unmasking(Section, frozen=True):
    """Which placeholders of masked values are turned back in an answer, and where beyond plain text."""

    roles: list[Literal["user", "assistant", "system", "developer", "tool"]] = field(
        default_factory=lambda: ["user", "assistant"]
    )
    """Whose messages a value must be in to be turned back: who asks may have back what they wrote and were told, but
    not what the model was given to read."""

    links: bool = False
    """Also within addresses, links' targets and HTML: what stands there may be sent to whoever the model names."""

    tool_arguments: bool = False
    """Also in the arguments of tool calls."""


HostName = Annotated[str, Meta(pattern=r"^(\*\.)?[A-Za-z0-9][A-Za-z0-9._-]{0,252}$(?!\n)")]
"""A host's name, or ``*.`` and a domain for every name under it."""

UrlScheme = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9+.-]{0,31}$(?!\n)")]


class LinksRule(GuardRule, frozen=True):
    """The guard of links in answers."""

    action: Literal["block", "redact", "flag"] = "redact"
    """``redact`` writes a link so that nothing follows it: ``hxxps://host[.]example``."""

    hosts: list[HostName] = field(default_factory=list)
    """Hosts that answers may link to, besides those that trusted input names."""

    schemes: list[UrlScheme] = field(default_factory=lambda: ["https", "http", "mailto"])
    trust: list[Literal["system", "user"]] = field(default_factory=list)
    """Whose messages of the request are trusted input, besides the policy's own system prompt."""

    clickable: Literal["block", "redact", "flag"] | None = None
    """What is done about links that need a click; None: the same as about others."""

    in_code: bool = False
    """Whether links in code blocks and code spans are judged too."""

    tool_arguments: bool = False
    """Whether links in the arguments of tool calls are acted on; otherwise they are flagged."""

    def actions(self, direction: str) -> frozenset[str]:
        """As for every guard."""
        return frozenset({self.action, self.clickable or self.action})


TagName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,63}$(?!\n)")]


class MarkupRule(GuardRule, frozen=True):
    """The guard of HTML in answers."""

    action: Literal["block", "redact", "flag"] = "redact"
    """``redact`` makes text of a tag that is not allowed, and takes the attributes from one that has too many."""

    tags: list[TagName] | None = None
    """Elements that answers may have; None: those that nh3 takes for harmless. Their attributes are nh3's."""

    in_code: bool = False
    """Whether tags in code blocks and code spans are judged too."""

    tool_arguments: bool = False
    """Whether tags in the arguments of tool calls are acted on; otherwise they are flagged."""


class ModelArmorRule(GuardRule, frozen=True):
    """Google's Model Armor, which prompts and answers are sent to; off unless a template is named."""

    action: Literal["block", "flag"] = "block"
    """It cannot say what to cut out."""

    mode: Literal["enforce", "monitor", "off"] = "off"
    template: (
        Annotated[
            str,
            Meta(pattern=r"^projects/[a-z0-9.:-]{1,64}/locations/[a-z0-9-]{1,63}/templates/[A-Za-z0-9_-]{1,63}$(?!\n)"),
        ]
        | None
    ) = None
    """``projects/P/locations/L/templates/T``; what its filters are is said there."""

    deadline_ms: Annotated[int, Meta(ge=50, le=30_000)] = 1500
    """For all that one request, or one answer, has to have screened."""

    chunk_characters: Annotated[int, Meta(ge=200, le=40_000)] = 2000
    """Longest text of one call. Model Armor's injection filter skips what has too many tokens."""

    base_url: Url | None = None
    """Another address for the same API, such as a Private Service Connect endpoint."""


class CanaryRule(GuardRule, frozen=True):
    """The guard of the canary, a random word at the end of the policy's own system prompts."""


class PromptLeakRule(GuardRule, frozen=True):
    """The guard of the policy's own system prompts."""

    action: Literal["block", "flag"] = "flag"
    """Many a prompt holds sentences that answers are meant to repeat, so the default only tells."""

    words: Annotated[int, Meta(ge=5, le=100)] = 20
    """How many words in a row are a leak."""


ToolPattern = Annotated[str, Meta(pattern=r"^([a-zA-Z0-9_-]{1,64}|[a-zA-Z0-9_-]{0,63}\*)$(?!\n)")]
"""A tool's name, or the beginning of one and ``*``."""


class Topic(Section, frozen=True):
    """A subject to keep away from."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$(?!\n)")]
    """The kind of its findings."""

    phrases: Annotated[list[Annotated[str, Meta(min_length=2, max_length=128)]], Meta(min_length=1, max_length=200)]
    """Looked for as whole words, without regard to case and kind of white space."""

    denied_in: list[Literal["input", "output"]] = field(default_factory=lambda: ["input", "output"])
    """In prompts (``input``), answers (``output``), or both."""


class TopicsRule(GuardRule, frozen=True):
    """The guard of topics; it runs where there are some."""

    topics: Annotated[list[Topic], Meta(max_length=50)] = field(default_factory=list)


class HarmRule(GuardRule, frozen=True):
    """The guard that tells what the provider's own filter said of an answer."""

    action: Literal["block", "flag"] = "flag"
    """``block`` also takes what came before the filter stopped the answer, unless it has left on a stream."""


class ModerationRule(GuardRule, frozen=True):
    """A server with OpenAI's moderations endpoint, which prompts and answers are sent to; off unless it is named."""

    action: Literal["block", "flag"] = "block"
    mode: Literal["enforce", "monitor", "off"] = "off"
    base_url: Url | None = None
    """Before ``/moderations``, such as ``http://moderation.internal/v1``. No key is sent."""

    model: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    """The server's name of the model; None: its own choice."""

    deadline_ms: Annotated[int, Meta(ge=50, le=30_000)] = 1500
    """For all texts of one request, or one answer."""


class GroundingRule(GuardRule, frozen=True):
    """The guard of links and citations that nothing in the conversation holds."""

    action: Literal["flag"] = "flag"
    """It cannot say that an answer is wrong."""


class ToolsRule(GuardRule, frozen=True):
    """The guard of tools: which may be offered to the model and called, with what, and with whose consent."""

    action: Literal["block", "flag"] = "block"
    offer: list[ToolPattern] | None = None
    """Tools that requests may declare; None: any."""

    call: list[ToolPattern] | None = None
    """Tools that answers may call; None: any that the request declares."""

    approve: list[ToolPattern] = field(default_factory=list)
    """Tools whose calls are marked as waiting for somebody's consent."""

    arguments: dict[Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$(?!\n)")], dict[str, Any]] = field(
        default_factory=dict
    )
    """By a tool's name: a JSON Schema for its arguments, whatever the request declares."""

    def actions(self, direction: str) -> frozenset[str]:
        """As for every guard; a call that is to be marked is held until it is whole."""
        return frozenset({self.action, *(("block",) if self.approve else ())})


class SizeLimits(Section, frozen=True):
    """Sizes beyond which a request is refused whole; nothing is ever cut."""

    body_bytes: Bytes = 1024 * 1024
    body_seconds: Annotated[int, Meta(ge=1, le=300)] = 10
    """From the end of a request's headers until its body has arrived."""

    prompt_characters: Annotated[int, Meta(ge=1, le=8_000_000)] = 128_000
    """All text of one request together."""

    messages: Annotated[int, Meta(ge=1, le=1000)] = 256
    parts: Annotated[int, Meta(ge=1, le=10_000)] = 512
    """Content parts of all messages together."""

    depth: Annotated[int, Meta(ge=4, le=128)] = 32
    """Nesting of the JSON body."""

    answer_characters: Annotated[int, Meta(ge=1, le=8_000_000)] = 256_000
    """All text of one answer together."""


class AllowedPhrase(Section, frozen=True):
    """Words that a guard takes for an attack and that are none here, for a time."""

    phrase: Annotated[str, Meta(min_length=8, max_length=256)]
    """Read without regard to case, and with any white space between its words."""

    until: date
    """The last day (UTC) on which it counts, such as 2027-01-31."""

    guards: Annotated[list[Literal["injection", "suspicious"]], Meta(min_length=1)] = field(
        default_factory=lambda: ["injection"]
    )
    """Whose findings within the phrase are reported and not acted on."""

    reason: Annotated[str, Meta(max_length=256)] = ""
    """For whoever reads the policy later."""


class Guards(Section, frozen=True):
    """The guards and what each does about its findings."""

    sizes: SizeLimits = field(default_factory=SizeLimits)
    injection: InjectionPolicy = field(default_factory=InjectionPolicy)
    second_stage: SecondStageRule = field(default_factory=SecondStageRule)
    suspicious: SuspiciousRule = field(default_factory=SuspiciousRule)
    secrets: SecretsRule = field(default_factory=SecretsRule)
    pii: PiiRule = field(default_factory=PiiRule)
    unmask: Unmasking = field(default_factory=Unmasking)
    links: LinksRule = field(default_factory=LinksRule)
    markup: MarkupRule = field(default_factory=MarkupRule)
    canary: CanaryRule = field(default_factory=CanaryRule)
    prompt_leak: PromptLeakRule = field(default_factory=PromptLeakRule)
    topics: TopicsRule = field(default_factory=TopicsRule)
    harm: HarmRule = field(default_factory=HarmRule)
    moderation: ModerationRule = field(default_factory=ModerationRule)
    grounding: GroundingRule = field(default_factory=GroundingRule)
    notice: Annotated[str, Meta(pattern=r"^([!-~]([ -~]{0,198}[!-~])?)?$(?!\n)")] = "Generated by AI; it may be wrong."
    """Told with every answer, in ``wardgate_notice`` and the header ``wardgate-notice``; empty: nothing is told."""

    schema: GuardRule = field(default_factory=GuardRule)
    """Validates answers and tool arguments against the JSON Schemas that the request declares."""

    tools: ToolsRule = field(default_factory=ToolsRule)
    output: GuardRule = field(default_factory=GuardRule)
    """Validates the answer: declared tools only, JSON where JSON was asked for, sound text."""

    model_armor: ModelArmorRule = field(default_factory=ModelArmorRule)
    allow: Annotated[list[AllowedPhrase], Meta(max_length=256)] = field(default_factory=list)
    """Phrases in prompts that are no attack."""

    allow_unscanned_parts: bool = False
    """Whether images, recordings and files, which no guard can read, are let through (and reported)."""


class TenantPolicy(Section, frozen=True):
    """What is different for one tenant."""

    guards: Guards = field(default_factory=Guards)
    """What is given here goes over the policy's own ``guards``, field by field; what is not given stays as there."""


# --- identity and edge --------------------------------------------------------------------------


class Issuer(Section, frozen=True):
    """An OpenID Connect issuer whose tokens are accepted."""

    issuer: Url
    """Exactly the tokens' ``iss``."""

    audience: Annotated[str, Meta(min_length=1, max_length=255)]
    """The tokens' ``aud``, or one of them where it is a list."""

    tenant: Slug
    """The tenant that its callers belong to."""

    jwks_url: Url | None = None
    """Where its keys are; None: found through ``<issuer>/.well-known/openid-configuration``."""

    algorithms: Annotated[
        list[Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]], Meta(min_length=1)
    ] = field(default_factory=lambda: ["RS256"])
    require_verified_email: bool = False
    scopes: list[Literal["chat", "scan", "models"]] = field(default_factory=lambda: ["chat", "scan", "models"])


class Identity(Section, frozen=True):
    """Whose calls are accepted, and how addresses are capped before anybody is known."""

    issuers: list[Issuer] = field(default_factory=list)
    unauthenticated_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] = 600
    """Requests that need no credential, per address and process."""

    failures_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] = 60
    """Failed logins, per address and process."""

    trusted_proxies: Annotated[int, Meta(ge=0, le=10)] = 0
    """How many proxies in front append to ``X-Forwarded-For``: the address is the entry that the
    outermost of them wrote, counted from the right. 0: the header is ignored."""


class Cors(Section, frozen=True):
    """Browsers' cross-origin calls."""

    origins: list[Origin] = field(default_factory=list)
    """Exact origins, such as ``https://app.example.com``; none by default."""

    max_age_seconds: Seconds = 600


class Audit(Section, frozen=True):
    """The audit trail."""

    mode: Literal["fail_close", "best_effort"] = "fail_close"
    """Whether an answer waits until its event is safe, or goes out even if that fails."""

    content: Literal["none", "sealed"] = "none"
    """Whether events hold a copy of prompt and answer, sealed under a key of the subject that can be erased."""


# --- alerts -------------------------------------------------------------------------------------

Amount = Annotated[int, Meta(ge=1, le=1_000_000_000_000)]


class Signal(Section, frozen=True):
    """Something about a subject that is worth an alert."""

    mode: Literal["on", "off"] = "on"


class LadderSignal(Signal, frozen=True):
    """A signal about which something may be done."""

    action: Literal["flag", "throttle", "quarantine"] = "flag"
    """The highest step that may be taken."""


class BlocksSignal(LadderSignal, frozen=True):
    """Requests that guards blocked."""

    amount: Amount = 5


class DenialsSignal(Signal, frozen=True):
    """Requests that limits denied. Nothing is done about denials: they are harmless to all but the caller."""

    amount: Amount = 500


class SpendSignal(LadderSignal, frozen=True):
    """Tokens beyond what the subject uses on the average."""

    factor: Annotated[int, Meta(ge=2, le=1000)] = 5
    """Times the mean of the subject's active windows among the 24 before …"""

    amount: Amount = 200_000
    """… and at least so many tokens."""


class TemplatesSignal(LadderSignal, frozen=True):
    """Prompts of nearly the same length that are at least half of what the subject asks: filled-in templates."""

    amount: Amount = 1000


class OutputSignal(LadderSignal, frozen=True):
    """Tokens of answers."""

    amount: Amount = 2_000_000


class QuarantinedSignal(Signal, frozen=True):
    """Requests of a key that is switched off."""

    amount: Amount = 20


class Alerts(Section, frozen=True):
    """What is suspicious within one window of a subject, and what is done about it."""

    window_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 3600
    blocks: BlocksSignal = field(default_factory=BlocksSignal)
    denials: DenialsSignal = field(default_factory=DenialsSignal)
    spend: SpendSignal = field(default_factory=SpendSignal)
    templates: TemplatesSignal = field(default_factory=TemplatesSignal)
    output: OutputSignal = field(default_factory=OutputSignal)
    quarantined: QuarantinedSignal = field(default_factory=QuarantinedSignal)
    throttle_seconds: Seconds = 60
    """How long a step ``throttle`` stops the key."""

    quarantine_seconds: Annotated[int, Meta(ge=1, le=7 * 86_400)] = 3600
    """How long a step ``quarantine`` stops it."""


# --- secrets ------------------------------------------------------------------------------------

Days = Annotated[int, Meta(ge=1, le=3650)]
Grace = Annotated[int, Meta(ge=1, le=30 * 86_400)]
Bake = Annotated[int, Meta(ge=0, le=365 * 86_400)]


SecretName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,255}$(?!\n)")]


class WardgateKeyDriver(Section, frozen=True, tag_field="kind", tag="wardgate_key"):
    """Secrets of one of Wardgate's own API keys, for a caller that reads them from the secret store."""

    key: Annotated[str, Meta(pattern=r"^[a-z2-7]{24}$(?!\n)")]
    """The key's id; ``wardgate keys create --by-rotation`` makes one."""


class OpenAIProjectDriver(Section, frozen=True, tag_field="kind", tag="openai_project"):
    """Keys of service accounts in a project of OpenAI's, made through its administration API."""

    project: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,128}$(?!\n)")]
    """The project's id, such as ``proj_abc``."""

    admin_secret: SecretName
    """Name of the secret that holds an admin key. People make it; it is reported when it is due."""

    service_account: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,128}$(?!\n)")] | None = None
    """Whose keys they are, such as ``svc_acct_abc``; None: each key has a service account of its own."""

    lifetime_days: Annotated[int, Meta(ge=1, le=365)] | None = None
    """When a key expires by itself, for organizations that ask for it; None: never."""

    base_url: Url = "https://api.openai.com/v1"


class GoogleApiKeyDriver(Section, frozen=True, tag_field="kind", tag="google_api_key"):
    """Google API keys, made through the API Keys API by application default credentials."""

    project: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9-]{4,28}[a-z0-9]|[0-9]{1,20})$(?!\n)")]
    """Id or number of the Google Cloud project that the keys belong to."""

    services: Annotated[
        list[Annotated[str, Meta(pattern=r"^[a-z0-9.-]{1,253}$(?!\n)")]], Meta(min_length=1, max_length=20)
    ] = field(default_factory=lambda: ["generativelanguage.googleapis.com"])
    """What a key may call: it is made with these restrictions."""

    test_url: Url = "https://generativelanguage.googleapis.com/v1beta/models"
    """A GET of this with the key in ``x-goog-api-key`` proves that it works."""

    base_url: Url = "https://apikeys.googleapis.com"


class WebhookDriver(Section, frozen=True, tag_field="kind", tag="webhook"):
    """Keys that a server of one's own makes, asked by signed requests."""

    url: Url
    signing_secret: SecretName
    """Name of the secret that requests are signed with. Wardgate makes and rotates it, unless it is on ``remind``."""


class RemindDriver(Section, frozen=True, tag_field="kind", tag="remind"):
    """Versions that people make: reported when they are due, never touched. What a key without a driver gets."""


Driver = WardgateKeyDriver | OpenAIProjectDriver | GoogleApiKeyDriver | WebhookDriver | RemindDriver


class SecretRule(Section, frozen=True):
    """What is different for one secret."""

    period_days: Days | None = None
    grace_seconds: Grace | None = None
    bake_seconds: Bake | None = None
    driver: Driver | None = None
    """Where new versions come from."""


class SecretPolicy(Section, frozen=True):
    """When secrets are renewed, and how long old versions last."""

    period_days: Days = 90
    grace_seconds: Grace = 3600
    """How long the old version stays valid beside the new one."""

    bake_seconds: Bake = 86_400
    """How long a version that was disabled can still be brought back, before it is destroyed."""

    per_secret: dict[SecretName, SecretRule] = field(default_factory=dict)
    """By the secret's name: what is different for it."""


class PolicyFile(Section, frozen=True):
    """``policy.yaml``, whole."""

    upstreams: dict[Slug, Upstream] = field(default_factory=lambda: {"builtin": BuiltinUpstream()})
    models: Annotated[dict[Annotated[str, Meta(min_length=1, max_length=256)], ModelAlias], Meta(min_length=1)] = field(
        default_factory=lambda: {
            "default": ModelAlias(targets=[Target(upstream="builtin", model="wardgate-builtin-1")])
        }
    )
    calls: Calls = field(default_factory=Calls)
    limits: list[RateLimit] = field(
        default_factory=lambda: [RateLimit(name="requests-per-minute", amount=20, window_seconds=60)]
    )
    admission: AdmissionPolicy = field(default_factory=AdmissionPolicy)
    guards: Guards = field(default_factory=Guards)
    tenants: dict[Slug, TenantPolicy] = field(default_factory=dict)
    """By the tenant's name: what is different for its callers."""

    identity: Identity = field(default_factory=Identity)
    cors: Cors = field(default_factory=Cors)
    audit: Audit = field(default_factory=Audit)
    alerts: Alerts = field(default_factory=Alerts)
    secrets: SecretPolicy = field(default_factory=SecretPolicy)
