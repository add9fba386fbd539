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


@pytest.mark.parametrize("text", ["{", "a: 1\na: 2", "- 1", "!!python/object/apply:os.system [id]", "3"])
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
