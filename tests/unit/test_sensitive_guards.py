"""Secrets and personal data: what is found, what is done about it, and what comes back."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ContentFiltered
from shared.guards import pii, pii_checks, secret_rules
from shared.guards.inspection import Armed, Scan
from shared.guards.masking import Masks, is_placeholder
from shared.guards.pii import pii_guard
from shared.guards.pipeline import Pipeline
from shared.guards.port import Background, Context, Finding, bounded
from shared.guards.secrets import secrets_guard
from shared.guards.sensitive import SensitiveRule
from shared.guards.unmasking import unmask, unmask_json
from shared.identity.key_format import new_key
from shared.models.wire import ChatRequest
from shared.policy.sensitive import DEFAULTS
from shared.policy.types import GuardRule, Guards, KindRule, PiiRule, SecretsRule, SuspiciousRule, Unmasking
from shared.stores.secrets import Secret
from shared.text.canonical import canonicalise
from tests.support.chats import answer, chat, tool

RULES = secret_rules.RULES + pii.RULES
TELLING = KindRule(prompts="flag", answers="flag")
GUARDS = {"secrets": secrets_guard(SecretsRule()), "pii": pii_guard(PiiRule())}
DEFAULT = Pipeline(Guards())
REDACTING = Pipeline(
    Guards(
        injection=GuardRule(mode="off"),
        suspicious=SuspiciousRule(mode="off"),
        secrets=SecretsRule(prompts="redact"),
        pii=PiiRule(prompts="redact"),
    )
)
MAIL, KEY = "ann@corp.com", "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def masking(**rules: Any) -> Pipeline:
    return Pipeline(Guards(pii=PiiRule(prompts="mask", answers="flag"), **rules))


def found(rule: SensitiveRule, text: str) -> list[Finding]:
    guard = GUARDS[rule.id.partition(".")[0]]
    canonical = canonicalise(text)
    findings = list(guard.inspect(canonical, Context("input")))
    assert not (findings and guard.clears(text))
    return [finding for finding in findings if finding.kind == rule.kind]


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule in RULES for text in rule.matches])
def test_rule_finds_its_examples(rule: SensitiveRule, text: str) -> None:
    assert found(rule, text)


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule in RULES for text in rule.passes])
def test_rule_passes_its_counterexamples(rule: SensitiveRule, text: str) -> None:
    assert found(rule, text) == []


def test_every_kind_has_a_rule_and_every_rule_examples() -> None:
    assert {rule.kind for rule in secret_rules.RULES} == set(SecretsRule.EVERY_KIND)
    assert {rule.kind for rule in pii.RULES} == set(PiiRule.EVERY_KIND)
    assert set(DEFAULTS) < set(SecretsRule.EVERY_KIND + PiiRule.EVERY_KIND)
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.matches for rule in RULES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"use {KEY}, please", KEY),
        ("postgres://app:s3cr3tpw@db/x", "s3cr3tpw"),
        ("My password is 'Sup3rS3cret!'.", "Sup3rS3cret!"),
        ("Pay to DE89 3704 0044 0532 0130 00 BIC COBADEFF", "DE89 3704 0044 0532 0130 00"),
        ("é 4111 1111 1111 1111 12/27", "4111 1111 1111 1111"),
        ("Ring +33 1 42 68 53 00 12", "+33 1 42 68 53 00"),
        ("(ann@corp.com)", MAIL),
        (
            "-----BEGIN PRIVATE KEY-----\nQUJDREVGR0hJSktMTU5PUA==\n-----END PRIVATE KEY-----\nand so",
            "-----BEGIN PRIVATE KEY-----\nQUJDREVGR0hJSktMTU5PUA==\n-----END PRIVATE KEY-----",
        ),
        (
            "'-----BEGIN RSA PRIVATE KEY-----\\nQUJDREVGR0hJSktMTU5PUA==\\nQQ==\\n-----END RSA PRIVATE KEY-----\\n'",
            "-----BEGIN RSA PRIVATE KEY-----\\nQUJDREVGR0hJSktMTU5PUA==\\nQQ==\\n-----END RSA PRIVATE KEY-----",
        ),
        (
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nQUJDREVGR0hJSktMTU5PUA==\nThat is all of it.",
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nQUJDREVGR0hJSktMTU5PUA==\n",
        ),
    ],
)
def test_spans_are_those_of_the_value(text: str, value: str) -> None:
    spans = {
        text[slice(*finding.span)]
        for guard in GUARDS.values()
        for finding in guard.inspect(canonicalise(text), Context("input"))
    }
    assert spans == {value}


def test_our_own_keys_are_found() -> None:
    key = new_key(1, Secret(b"a pepper for tests"))
    (finding,) = GUARDS["secrets"].inspect(canonicalise(f"curl -H 'x: {key}'"), Context("output"))
    assert (finding.kind, finding.action) == ("wardgate_key", "redact")


def test_the_surest_of_several_findings_at_one_place_is_told() -> None:
    (finding,) = GUARDS["secrets"].inspect(canonicalise(f"api_token = {KEY}"), Context("input"))
    assert (finding.kind, finding.score) == ("github_token", 0.99)


def test_each_kind_has_its_action_in_each_direction() -> None:
    rule = SecretsRule(prompts="redact", kinds={"jwt": KindRule(prompts="block"), "password": KindRule(answers="off")})
    assert rule.action("jwt", "input") == "block"
    assert rule.action("jwt", "output") == "redact"
    assert rule.action("password", "input") == "redact"
    assert rule.actions("input") == {"redact", "block"}
    assert rule.actions("output") == {"redact", "flag"}
    guard = secrets_guard(rule)
    assert guard.inspect(canonicalise("password: hunter2x"), Context("output")) == []
    assert Armed("secrets", SecretsRule(answers="flag"), guard.directions, guard).acts("output") is False


def test_the_libraries_are_imported_with_the_first_candidate() -> None:
    program = (
        "import sys; from shared.guards.pipeline import Pipeline; from shared.policy.types import Guards\n"
        "Pipeline(Guards()).inspect_text('Nothing in 2024 but words.', 'input')\n"
        "print(sorted({'stdnum', 'phonenumbers'} & set(sys.modules)))\n"
        "Pipeline(Guards()).inspect_text('+49 30 901820, DE89 3704 0044 0532 0130 00', 'input')\n"
        "print(sorted({'stdnum', 'phonenumbers'} & set(sys.modules)))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["[]", "['phonenumbers', 'stdnum']"]


def looks_of(monkeypatch: pytest.MonkeyPatch, rules: PiiRule, text: str, direction: Any) -> tuple[int, int]:
    """Findings in a text, and how often a library was asked for them."""
    looks = Counter[str]()

    def counted(name: str) -> Any:
        original = getattr(pii_checks, name)

        def call(*arguments: Any) -> Any:
            looks[name] += 1
            return original(*arguments)

        return call

    for name in ("_is_valid", "_is_phone"):
        monkeypatch.setattr(pii_checks, name, counted(name))
    return len(pii_guard(rules).inspect(canonicalise(text), Context(direction))), looks.total()


@pytest.mark.parametrize(
    "line",
    ["tel 000 {0}", "+49 30 9 0 1 {0}", "DNI 1{0}A", "BSN 12{0}", "CPF 3905{0}", "AHV 75692{0}1"],
)
def test_what_comes_after_so_much_work_counts_as_what_it_looks_like(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = ("\n".join(line.format(f"{number:07}") for number in range(count)) for count in (12, 800))
    masking = PiiRule(prompts="mask")
    really, all_looks = looks_of(monkeypatch, masking, few, "output")
    assert looks_of(monkeypatch, masking, few, "input") == (really, all_looks)
    found, looks = looks_of(monkeypatch, masking, many, "input")
    assert looks <= 600
    assert found >= 800 - looks  # nothing is let pass that was not looked at
    told, _ = looks_of(monkeypatch, PiiRule(prompts="flag"), many, "input")
    assert told <= 100


@pytest.mark.parametrize(
    ("name", "value", "most"), [("secrets", "pwd: a1b2c3d4, ", 1000), ("pii", "4242424242424242, ", 3000)]
)
def test_after_so_many_candidates_all_that_follows_is_one_finding(name: str, value: str, most: int) -> None:
    text = value * (most + 50) + "and so on"
    findings = GUARDS[name].inspect(canonicalise(text), Context("input"))
    assert len(findings) == most + 1
    assert findings[-1].span[1] == len(text)
    assert len(GUARDS[name].inspect(canonicalise(text), Context("output"))) == most + 50


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.text(max_size=12), st.sampled_from([t for r in RULES for t in r.matches])), max_size=5).map(
        "".join
    )
)
def test_no_text_makes_a_guard_raise_or_stray(text: str) -> None:
    read = canonicalise(text)
    for guard in GUARDS.values():
        for finding in guard.inspect(read, Context("input")):
            assert 0 <= finding.span[0] < finding.span[1] <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        "+1 2" * 8000,
        "a@b." * 8000,
        "AB12 " * 6400,
        "4111 " * 6400,
        "sk-" * 10_000,
        "-----BEGIN PRIVATE KEY-----\n" * 1100,
        "eyJ" * 10_000,
        "://a:b" * 5000,
        "password=" * 3500,
        "1.2.3.4 " * 4000,
        "-----BEGIN " * 2900,
        "tel 030 90182 " * 2300,
    ],
)
def test_hostile_texts_are_got_through(text: str) -> None:
    for guard in GUARDS.values():
        guard.inspect(canonicalise(text), Context("input"))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(st.sampled_from("aé的 \n1-@."), st.sampled_from([t for r in RULES for t in r.matches])), max_size=6
    )
)
def test_nothing_but_what_was_found_is_taken_out(pieces: list[str]) -> None:
    text = "".join(pieces)
    inspection = REDACTING.inspect_request(chat(text))
    left, at = [], 0
    for start, end in sorted(finding.span for finding in inspection.findings):
        if start >= at:
            left.append(text[at:start])
        at = max(at, end)
    left.append(text[at:])
    assert inspection.request.messages[0].content == "[FILTERED]".join(left)
    assert inspection.bytes_forwarded == sum(len(piece.encode()) for piece in left)


# --- masking --------------------------------------------------------------------------------------


def test_a_value_is_masked_before_the_model_and_turned_back_in_the_answer() -> None:
    pipeline = masking()
    inspection = pipeline.inspect_request(chat(f"Write to {MAIL}.", f"{MAIL} or bob@corp.com?"))
    first, second = (message.content for message in inspection.request.messages)
    assert inspection.masks is not None
    nonce = inspection.masks.nonce
    assert first == f"Write to EMAIL1{nonce}."
    assert second == f"EMAIL1{nonce} or EMAIL2{nonce}?"
    assert (inspection.verdict, [finding.action for finding in inspection.findings]) == ("mask", ["mask"] * 3)
    assert inspection.kept == "Write to [EMAIL].\x1e[EMAIL] or [EMAIL]?"
    assert MAIL in inspection.text
    assert MAIL not in repr(inspection) + repr(inspection.masks)
    completed = pipeline.inspect_answer(
        answer(f"Dear EMAIL2{nonce}, …"), inspection.request, Background(inspection.request, masks=inspection.masks)
    )
    assert completed.completion.choices[0].message.content == "Dear bob@corp.com, …"
    assert (completed.verdict, completed.findings) == ("allow", ())
    assert completed.kept == f"Dear EMAIL2{nonce}, …"
    assert completed.bytes_forwarded == len(completed.kept.encode())


def tool_result(content: str) -> list[dict[str, Any]]:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c1", "content": content}]


@pytest.mark.parametrize(
    ("messages", "roles", "comes_back"),
    [
        ([{"role": "system", "content": f"The key is {KEY}."}], None, False),
        ([{"role": "system", "content": f"The key is {KEY}."}], ["user", "system"], True),
        (tool_result(KEY), None, False),
        (tool_result(KEY), ["tool"], True),
        ([*tool_result(KEY), {"role": "user", "content": f"It is {KEY}!"}], None, True),
        ([{"role": "assistant", "content": f"I said {KEY}."}], None, True),
        ([{"role": "user", "content": [{"type": "text", "text": KEY}]}], None, True),
    ],
)
def test_only_who_wrote_a_value_has_it_back(messages: list[Any], roles: Any, comes_back: bool) -> None:
    pipeline = Pipeline(Guards(unmask=Unmasking() if roles is None else Unmasking(roles=roles)))
    inspection = pipeline.inspect_request(chat(messages=[*messages, {"role": "user", "content": "What is the key?"}]))
    assert inspection.masks is not None
    said = f"It is GITHUBTOKEN1{inspection.masks.nonce}."
    background = Background(inspection.request, masks=inspection.masks)
    answered = pipeline.inspect_answer(answer(said), inspection.request, background).completion
    assert answered.choices[0].message.content == (f"It is {KEY}." if comes_back else said)


def test_placeholders_of_another_request_mean_nothing() -> None:
    first, second = (masking().inspect_request(chat(MAIL)) for _ in range(2))
    assert first.masks is not None
    assert second.masks is not None
    assert first.masks.nonce != second.masks.nonce
    foreign = f"Hello EMAIL1{first.masks.nonce} and EMAIL9{second.masks.nonce}"
    completed = masking().inspect_answer(
        answer(foreign), second.request, Background(second.request, masks=second.masks)
    )
    assert completed.completion.choices[0].message.content == foreign


def test_a_nonce_is_not_one_that_the_prompt_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["BBBBBBBB", "CCCCCCCC"])
    monkeypatch.setattr("shared.guards.masking._fresh", lambda: next(drawn))
    assert Masks("EMAIL1BBBBBBBB is mine").nonce == "CCCCCCCC"


def test_placeholders_are_taken_for_no_secret() -> None:
    placeholder = Masks("").placeholder("openai_key", "x")
    assert is_placeholder(placeholder)
    for text in (
        f"password: {placeholder}",
        f"api_key = '{placeholder}'",
        f"Bearer {placeholder}",
        f"redis://:{placeholder}@h",
    ):
        assert DEFAULT.inspect_text(text, "output").verdict in ("allow", "flag")
        assert not [f for f in DEFAULT.inspect_text(text, "output").findings if f.guard != "suspicious"]


def test_a_cut_wins_over_a_mask_that_it_overlaps() -> None:
    pipeline = masking(secrets=SecretsRule(prompts="redact"))
    inspection = pipeline.inspect_request(chat("postgres://app:s3cr3tpw@db.corp.com/x"))
    assert inspection.request.messages[0].content == "postgres://app:[FILTERED]/x"
    assert inspection.bytes_forwarded == len("postgres://app:/x")


def test_json_is_masked_inside_its_strings_and_blocked_elsewhere() -> None:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "f", "arguments": '{"to": "ann\\u0040corp.com", "n": 1}'},
    }
    again = {"role": "user", "content": f"to {MAIL} again"}
    request = chat(messages=[{"role": "assistant", "tool_calls": [call]}, again])
    inspection = masking().inspect_request(request)
    assert inspection.masks is not None
    placeholder = f"EMAIL1{inspection.masks.nonce}"
    assert inspection.request.messages[0].tool_calls[0].function.arguments == f'{{"to": "{placeholder}", "n": 1}}'
    assert inspection.masks.value(placeholder) == MAIL
    call["function"]["arguments"] = '{"ann@corp.com": 1}'
    refused = masking().inspect_request(chat(messages=[{"role": "assistant", "tool_calls": [call]}]))
    with pytest.raises(ContentFiltered, match="pii"):
        refused.raise_if_blocked()


def test_schemas_of_tools_are_masked_too() -> None:
    request = chat("x", tools=[tool("f", parameters={"type": "object", "description": f"ask {MAIL}"})])
    inspection = masking().inspect_request(request)
    assert inspection.request.tools[0].function.parameters["description"].startswith("ask EMAIL1")


def test_tool_arguments_are_turned_back_only_where_the_policy_says_so() -> None:
    for told in (False, True):
        pipeline = masking(unmask=Unmasking(tool_arguments=told))
        inspection = pipeline.inspect_request(chat(f'Mail "{MAIL}"', tools=[tool("send")]))
        assert inspection.masks is not None
        arguments = f'{{"to": "EMAIL1{inspection.masks.nonce}"}}'
        done = pipeline.inspect_answer(
            answer(None, calls=[("send", arguments)]),
            inspection.request,
            Background(inspection.request, masks=inspection.masks),
        )
        passed = done.completion.choices[0].message.tool_calls[0].function.arguments
        assert passed == ('{"to": "ann@corp.com"}' if told else arguments)


MASKS = Masks("")
P = MASKS.placeholder("email", MAIL)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "To {}.",
        "({})",
        "Mail {}, now",
        '"{}"',
        "a {}'s b",
        "- {}\n- {}",
        "|{}|{}|",
        "Is it {}?",
        "请联系{}。好",
        "[{}](https://x.org)",
        "**{}**",
        "`{}`",
        "x\n{}\ny",
        "<b>bold</b> {}",
        "1 < 2 {}",
        "see [x](http://y.org) {}",
        '{{"email": "{}"}}',
        "{}: hi",
        "{}…",
    ],
)
def test_placeholders_in_plain_text_are_turned_back(text: str) -> None:
    assert unmask(text.replace("{}", P), MASKS, links=False) == text.replace("{}", MAIL)


@pytest.mark.parametrize(
    "text",
    [
        "http://evil/?q={}",
        "http://evil/é{}",
        "![x](http://evil/ '{}')",
        "![x](<http://evil/ {}>)",
        "[x]( {} )",
        "<img src='{}'>",
        '<img alt="a>b" src="{}">',
        "<a\nhref={}>",
        "www.evil.com?{}",
        "evil.com?q={}",
        "{}.evil.com",
        "{}/x",
        "{}@evil.com",
        "mailto:{}",
        "x={}",
        "{}:8080/",
        "<script>x = '{}'",
        "<STYLE>\n {}",
        "x{}",
        "{}x",
        "{}-a.evil.com",
        "\\\\evil\\{}",
        "{}。evil",
        "<{}>",
        "&{}",
    ],
)
def test_placeholders_that_could_be_sent_somewhere_stay(text: str) -> None:
    written = text.replace("{}", P)
    assert unmask(written, MASKS, links=False) == written
    assert unmask(written, MASKS, links=True) == text.replace("{}", MAIL)


def test_values_are_escaped_where_they_stand_in_json() -> None:
    masks = Masks("")
    placeholder = masks.placeholder("password", 'a"b\\c\n1')
    assert unmask_json(f'{{"{placeholder}": "x {placeholder}"}}', masks, links=False) == (
        f'{{"{placeholder}": "x a\\"b\\\\c\\n1"}}'
    )


# --- what guards saw, and what went on ------------------------------------------------------------


class Sees:
    """A guard that finds nothing."""

    name, directions, reach = "sees", frozenset({"input", "output"}), bounded(1)

    def clears(self, joined: str) -> bool:
        return True

    def inspect(self, text: Any, context: Context) -> list[Finding]:
        return []


@pytest.mark.parametrize(
    ("fail", "status", "refused"), [("closed", "failed_closed", True), ("open", "failed_open", False)]
)
def test_a_guard_that_saw_less_than_went_on_has_failed(fail: Any, status: str, refused: bool) -> None:
    armed = Armed("sees", GuardRule(fail=fail), Sees.directions, Sees())
    scan = Scan("input", [armed])
    scan.saw([armed], 10)
    scan.forwarded(10)
    assert (scan.runs()[0].status, scan.runs()[0].bytes_seen) == ("ran", 10)
    scan.forwarded(11)
    assert (scan.runs()[0].status, scan.runs()[0].bytes_seen, scan.refused) == (status, 0, refused)


def test_a_text_that_the_guards_did_not_see_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    saw = Scan.saw
    monkeypatch.setattr(Scan, "saw", lambda scan, guards, count: saw(scan, guards, count - 1))
    with pytest.raises(ContentFiltered, match="could not inspect"):
        DEFAULT.inspect_request(chat("hello")).raise_if_blocked()
    checked = DEFAULT.inspect_answer(answer("hello"), chat("x"))
    assert checked.completion.choices[0].message.content is None
    assert checked.verdict == "block"


TEXTS = st.lists(
    st.one_of(st.text(max_size=20), st.sampled_from([t for r in RULES for t in r.matches])), max_size=3
).map("".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3), TEXTS, st.booleans())
def test_no_guard_ever_sees_less_than_goes_on(prompts: list[str], described: str, masked: bool) -> None:
    pipeline = masking() if masked else DEFAULT
    request: ChatRequest = chat(
        *prompts, tools=[tool("f", description=described, parameters={"description": described})]
    )
    inspection = pipeline.inspect_request(request)
    assert "SawLess" not in inspection.faults.values()
    assert all(run.bytes_seen >= inspection.bytes_forwarded for run in inspection.runs if run.status == "ran")
    completed = pipeline.inspect_answer(
        answer(described, calls=[("f", '{"a": 1}')]), request, Background(request, masks=inspection.masks)
    )
    assert "SawLess" not in completed.faults.values()
    assert all(run.bytes_seen >= completed.bytes_forwarded for run in completed.runs if run.status == "ran")
