"""What the policy may say of secrets and of upstreams without one: drivers, and faults with their paths."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from shared.errors import ConfigurationError
from shared.policy.load import load_policy
from shared.policy.secret_rules import operators_secrets, signing_secrets
from shared.policy.types import PolicyFile

WEBHOOK = "kind: webhook, url: 'https://keys.example/wardgate', signing_secret: hook"
OPENAI = "kind: openai_project, project: proj_abc, admin_secret: admin"
URL = "https://a.example/v1"


def faults(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    try:
        load_policy(path)
    except ConfigurationError as error:
        return [fault.path.removeprefix(f"{path}: ") for fault in error.faults]
    return []


def driver(text: str, more: str = "", name: str = "a-key") -> str:
    return f"secrets: {{per_secret: {{{name}: {{driver: {{{text}}}}}{more}}}}}"


@pytest.mark.parametrize(
    "text",
    [
        driver(WEBHOOK),
        driver("kind: webhook, url: 'http://127.0.0.1:8000', signing_secret: hook"),
        driver("kind: webhook, url: 'http://[::1]:8000/keys', signing_secret: hook"),
        driver(WEBHOOK, ", hook: {period_days: 30}"),
        driver(WEBHOOK, ", hook: {driver: {kind: remind}}"),
        driver(OPENAI),
        driver(f"{OPENAI}, service_account: svc_acct_abc, lifetime_days: 92"),
        driver("kind: google_api_key, project: a-project"),
        driver("kind: google_api_key, project: '123456', services: [translate.googleapis.com]"),
        driver("kind: wardgate_key, key: abcdefghijklmnopqrstuvwx"),
        driver("kind: remind"),
        f"upstreams: {{builtin: {{kind: builtin}}, a: {{kind: openai, base_url: '{URL}',"
        " auth: {kind: google_id_token, audience: x}}}",
        f"upstreams: {{builtin: {{kind: builtin}}, a: {{kind: openai, base_url: '{URL}', auth: {{kind: google_id_token,"
        " audience: x, exchange: {identity_provider: idp, service_account: svc}}}}",
    ],
)
def test_what_is_sound_is_taken(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text) == []


DRIVER = "secrets.per_secret.a-key.driver"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (driver("kind: pigeon"), f"{DRIVER}.kind"),
        (driver("kind: remind, key: x"), f"{DRIVER}.key"),
        (driver("kind: webhook, url: 'https://a.example'"), f"{DRIVER}.signing_secret"),
        (driver("kind: webhook, url: 'http://a.example', signing_secret: hook"), f"{DRIVER}.url"),
        (driver("kind: webhook, url: 'https://[abc/', signing_secret: hook"), f"{DRIVER}.url"),
        (driver("kind: webhook, url: 'https://u:p@a.example/', signing_secret: hook"), f"{DRIVER}.url"),
        (driver("kind: webhook, url: 'https://a.example', signing_secret: a-key"), f"{DRIVER}.signing_secret"),
        (driver("kind: webhook, url: 'https://a.example', signing_secret: audit-pepper"), f"{DRIVER}.signing_secret"),
        (driver(WEBHOOK, f", hook: {{driver: {{{OPENAI}}}}}"), f"{DRIVER}.signing_secret"),
        (driver("kind: openai_project, project: 'a/b', admin_secret: admin"), f"{DRIVER}.project"),
        (driver("kind: openai_project, project: a"), f"{DRIVER}.admin_secret"),
        (driver(f"{OPENAI}, lifetime_days: 90"), f"{DRIVER}.lifetime_days"),
        (driver(f"{OPENAI}, base_url: 'http://a.example/v1'"), f"{DRIVER}.base_url"),
        (driver("kind: google_api_key, project: A"), f"{DRIVER}.project"),
        (driver("kind: google_api_key, project: a-project, services: []"), f"{DRIVER}.services"),
        (driver("kind: google_api_key, project: a-project, test_url: 'http://a.example'"), f"{DRIVER}.test_url"),
        (driver("kind: wardgate_key, key: short"), f"{DRIVER}.key"),
        (driver("kind: remind", name="audit-pepper"), "secrets.per_secret.audit-pepper.driver"),
        (driver(WEBHOOK, name="content-key"), "secrets.per_secret.content-key.driver"),
        (
            f"upstreams: {{builtin: {{kind: builtin}}, a: {{kind: openai, base_url: '{URL}', secret: k,"
            " auth: {kind: google_id_token, audience: x}}}",
            "upstreams.a.auth",
        ),
        (
            "upstreams: {builtin: {kind: builtin}, a: {kind: openai, base_url: 'http://a.example',"
            " auth: {kind: google_id_token, audience: x}}}",
            "upstreams.a.base_url",
        ),
        (
            f"upstreams: {{builtin: {{kind: builtin}}, a: {{kind: openai, base_url: '{URL}', auth: {{kind:"
            " google_id_token, audience: x, exchange: {identity_provider: i, service_account: s, url: 'http://a.b'}}}}",
            "upstreams.a.auth.exchange.url",
        ),
        (
            f"upstreams: {{builtin: {{kind: builtin}}, a: {{kind: openai, base_url: '{URL}', auth: {{kind: basic}}}}}}",
            "upstreams.a.auth.kind",
        ),
    ],
)
def test_a_fault_is_named_by_its_path(tmp_path: Path, text: str, path: str) -> None:
    assert faults(tmp_path, text) == [path]


def test_who_makes_which_secret() -> None:
    upstream = {"kind": "openai", "base_url": URL}
    tree = {
        "upstreams": {
            "a": {**upstream, "secret": "a-key"},
            "b": {**upstream, "secret": "b-key"},
            "c": {**upstream, "secret": "c-key"},
            "d": {**upstream, "secret": "hook"},
        },
        "secrets": {
            "per_secret": {
                "a-key": {"driver": {"kind": "openai_project", "project": "p", "admin_secret": "admin"}},
                "c-key": {"driver": {"kind": "webhook", "url": "https://a.example", "signing_secret": "hook"}},
                "d-key": {"driver": {"kind": "webhook", "url": "https://a.example", "signing_secret": "theirs"}},
                "theirs": {"driver": {"kind": "remind"}},
                "other": {"driver": {"kind": "remind"}},
            }
        },
    }
    file = msgspec.convert(tree, PolicyFile)
    assert signing_secrets(file) == ("hook",)
    assert operators_secrets(file) == ("admin", "b-key", "other", "theirs")
