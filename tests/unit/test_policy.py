"""The policy file: its defaults, its faults, and its digest."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from shared.errors import ConfigurationError
from shared.policy.load import DEFAULT_POLICY, load_policy
from shared.policy.schema import policy_schema


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return path


def test_the_default_policy_is_the_documented_one() -> None:
    policy = load_policy().file
    assert list(policy.models) == ["default"]
    assert [
        (target.upstream, policy.upstreams[target.upstream].__class__.__name__)
        for target in policy.models["default"].targets
    ] == [("builtin", "BuiltinUpstream")]
    assert [(limit.amount, limit.window_seconds, limit.per, limit.kind) for limit in policy.limits] == [
        (20, 60, "key", "requests")
    ]
    assert (policy.guards.injection.action, policy.guards.injection.mode) == ("block", "enforce")
    assert policy.secrets.grace_seconds == 3600
    assert policy.cors.origins == []


def test_an_empty_file_is_the_default_policy(tmp_path: Path) -> None:
    assert load_policy(write(tmp_path, "")).digest == load_policy().digest


def test_the_digest_names_the_meaning_not_the_text(tmp_path: Path) -> None:
    with_comment = write(tmp_path, "# a comment\n" + DEFAULT_POLICY.read_text())
    assert load_policy(with_comment).digest == load_policy().digest
    assert load_policy(write(tmp_path, "guards: {injection: {action: flag}}")).digest != load_policy().digest


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("surprise: 1", "surprise"),
        ("guards: {injection: {action: block, colour: red}}", "guards.injection.colour"),
        ("guards: {injection: {action: explode}}", "guards.injection.action"),
        ("limits: [{name: a, amount: 0, window_seconds: 60}]", "limits[0].amount"),
        (
            "limits: [{name: a, amount: 1, window_seconds: 60}, {name: a, amount: 2, window_seconds: 60}]",
            "limits[1].name",
        ),
        ("models: {a: {targets: [{upstream: nowhere, model: b}]}}", "models.a.targets[0].upstream"),
        ("cors: {origins: ['*']}", "cors.origins[0]"),
        ("cors: {origins: ['https://a.example/path']}", "cors.origins[0]"),
        ("cors: {origins: ['https://App.example']}", "cors.origins[0]"),
        (r'cors: {origins: ["https://a.example\n"]}', "cors.origins[0]"),
        (r'cors: {origins: ["https://a.example\nb"]}', "cors.origins[0]"),
        ("upstreams: {a: {kind: carrier-pigeon}}", "upstreams.a.kind"),
        ("upstreams: {a b: {kind: builtin}}", "upstreams['a b']"),
        ("models: {}", "models"),
        ("calls: off", "calls"),
        (
            "identity: {issuers: [{issuer: 'https://a.example', audience: x, tenant: t, algorithms: [none]}]}",
            "identity.issuers[0].algorithms[0]",
        ),
        (
            "identity: {issuers: [{issuer: 'https://a.example', audience: x, tenant: t, algorithms: [HS256]}]}",
            "identity.issuers[0].algorithms[0]",
        ),
    ],
)
def test_a_fault_is_named_by_its_path(tmp_path: Path, text: str, path: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_policy(write(tmp_path, text))
    (fault,) = caught.value.faults
    assert fault.path.endswith(f": {path}")
    assert "\n" not in str(fault)


def test_every_fault_is_shown_with_its_path(tmp_path: Path) -> None:
    text = """
        surprise: 1
        upstreams:
          gemini: {kind: openai, base_url: 'ftp://a.example', secret: 'A B'}
        models:
          fast: {targets: [{upstream: gemini, model: ''}, {upstream: 3}], max_output_tokens: 0}
        limits:
          - {name: a, amount: 1, window_seconds: 60}
          - {name: a, amount: 0, window_seconds: x}
        guards: {colour: red, suspicious: {terms: [ab, a]}}
        identity:
          issuers:
            - {issuer: 'https://a.example', audience: x, tenant: t}
            - {issuer: 'https://a.example', audience: y, tenant: t}
    """
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_policy(path)
    assert [fault.path.removeprefix(f"{path}: ") for fault in caught.value.faults] == [
        "surprise",
        "upstreams.gemini.base_url",
        "upstreams.gemini.secret",
        "models.fast.targets[0].model",
        "models.fast.targets[1].upstream",
        "models.fast.targets[1].model",
        "models.fast.max_output_tokens",
        "limits[1].amount",
        "limits[1].window_seconds",
        "guards.colour",
        "guards.suspicious.terms[1]",
        "identity.issuers[1].issuer",
    ]


@pytest.mark.parametrize("word", ["off", "'off'"])
def test_off_needs_no_quotes(tmp_path: Path, word: str) -> None:
    assert load_policy(write(tmp_path, f"guards: {{injection: {{mode: {word}}}}}")).file.guards.injection.mode == "off"


def test_only_true_and_false_are_booleans(tmp_path: Path) -> None:
    assert load_policy(write(tmp_path, "guards: {allow_unscanned_parts: true}")).file.guards.allow_unscanned_parts
    alias = "{targets: [{upstream: builtin, model: a}]}"
    assert set(load_policy(write(tmp_path, f"models: {{no: {alias}, y: {alias}}}")).file.models) == {"no", "y"}
    with pytest.raises(ConfigurationError, match="allow_unscanned_parts: Expected `bool`, got `str`"):
        load_policy(write(tmp_path, "guards: {allow_unscanned_parts: yes}"))


def test_a_guard_that_names_no_action_has_the_documented_one(tmp_path: Path) -> None:
    text = "guards: {suspicious: {terms: [secret]}, injection: {mode: monitor}, output: {fail: open}}"
    guards = load_policy(write(tmp_path, text)).file.guards
    assert (guards.suspicious.action, guards.injection.action, guards.output.action) == ("flag", "block", "block")


@pytest.mark.parametrize("origin", ["https://app.example.com", "http://localhost:8080", "https://[::1]:8443"])
def test_an_origin_as_browsers_send_it_is_taken(tmp_path: Path, origin: str) -> None:
    assert load_policy(write(tmp_path, f"cors: {{origins: ['{origin}']}}")).file.cors.origins == [origin]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "a: 1\na: 2",
        "- 1",
        "!!python/object/apply:os.system [id]",
        "3",
        "? [a]\n: 1",
        "? {a: b}\n: 1",
        "2026-13-45: 1",
        "2026-11-23: 1",
    ],
)
def test_what_is_no_policy_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_policy(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml: cannot be read"):
        load_policy(tmp_path / "absent.yaml")


def test_the_published_schema_accepts_the_default_and_refuses_unknown_fields() -> None:
    schema = policy_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    default = yaml.safe_load(DEFAULT_POLICY.read_text())
    jsonschema.validate(default, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**default, "surprise": 1}, schema)
