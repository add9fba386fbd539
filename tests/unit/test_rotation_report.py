"""Wardgate's own secrets: how they come to be, and the report of what is due."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.clock import SystemClock
from shared.policy.types import OpenAIUpstream, PolicyFile, SecretPolicy
from shared.rotation import service
from shared.rotation.inventory import HELD_SECRETS, RECEIPT_SIGNING_KEY, ensure_secrets
from shared.rotation.schedule import due_report
from shared.stores.secrets import SecretStore
from tests.support.stores import file_secrets, secret_manager_secrets

DAY = 86_400 * 10**9


class At:
    """A clock that shows the machine's time plus some days."""

    def __init__(self, days: float) -> None:
        self.days = days

    def time_ns(self) -> int:
        return SystemClock().time_ns() + int(self.days * DAY)


@pytest.fixture(params=[file_secrets, secret_manager_secrets], ids=["files", "secretmanager"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecretStore]:
    with request.param(tmp_path) as secrets:
        yield secrets


def test_missing_secrets_are_made_once(store: SecretStore) -> None:
    everything = ("api-key-pepper", "audit-pepper", "receipt-signing-key", "audit-signing-key")
    assert ensure_secrets(store) == HELD_SECRETS == everything
    assert ensure_secrets(store) == ()
    values = {store.access(name, 1).reveal() for name in HELD_SECRETS}
    assert len(values) == 4
    assert {len(value) for value in values} == {32}


def test_the_signing_key_signs(store: SecretStore) -> None:
    ensure_secrets(store)
    key = Ed25519PrivateKey.from_private_bytes(store.access(RECEIPT_SIGNING_KEY, 1).reveal())
    key.public_key().verify(key.sign(b"receipt"), b"receipt")


def test_a_secret_that_terraform_made_gets_its_first_version(store: SecretStore) -> None:
    store.create("audit-pepper")
    assert "audit-pepper" in ensure_secrets(store)
    assert store.versions("audit-pepper")[0].number == 1


def test_a_bootstrap_that_was_cut_short_goes_on(store: SecretStore) -> None:
    store.create("api-key-pepper")
    store.add("api-key-pepper", b"x" * 32)
    assert ensure_secrets(store) == ("audit-pepper", "receipt-signing-key", "audit-signing-key")
    assert store.access("api-key-pepper", 1).reveal() == b"x" * 32


def test_what_somebody_disabled_is_not_made_anew(store: SecretStore) -> None:
    ensure_secrets(store)
    store.disable("audit-pepper", 1)
    assert ensure_secrets(store) == ()
    assert [each.status for each in due_report(store, PolicyFile(), At(0))] == ["ok", "missing", "ok", "ok"]


def test_two_bootstraps_at_once_leave_every_secret_readable(store: SecretStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: ensure_secrets(store), range(4)))
    assert {name for names in made for name in names} == set(HELD_SECRETS)
    for name in HELD_SECRETS:
        versions = store.versions(name)
        assert 1 <= len(versions) <= 4
        assert all(len(store.access(name, version.number).reveal()) == 32 for version in versions)


def test_a_report_tells_age_and_due_date(store: SecretStore) -> None:
    ensure_secrets(store)
    store.add("audit-pepper", b"y" * 32)
    policy = PolicyFile(secrets=SecretPolicy(period_days=30))
    first, second, third, _ = due_report(store, policy, At(29.9))
    assert (first.name, first.owner, first.status, first.version) == ("api-key-pepper", "wardgate", "ok", 1)
    assert (second.name, second.version) == ("audit-pepper", 2)
    assert third.name == "receipt-signing-key"
    assert first.age_seconds == pytest.approx(29.9 * 86_400, abs=60)
    assert first.due_at is not None
    assert first.due_at.timestamp() == pytest.approx(At(30).time_ns() / 1e9, abs=60)
    assert {each.status for each in due_report(store, policy, At(30.1))} == {"due"}


def test_a_report_names_the_upstreams_keys(store: SecretStore) -> None:
    url = "https://api.example.com/v1"
    policy = PolicyFile(
        upstreams={
            "b": OpenAIUpstream(base_url=url, secret="second-key"),
            "a": OpenAIUpstream(base_url=url, secret="first-key"),
            "again": OpenAIUpstream(base_url=url, secret="first-key"),
            "open": OpenAIUpstream(base_url=url),
            "odd": OpenAIUpstream(base_url=url, secret="with.dot"),
        }
    )
    store.create("second-key")
    store.add("second-key", b"sk")
    theirs = due_report(store, policy, At(0))[4:]
    assert [(each.name, each.owner, each.status) for each in theirs] == [
        ("first-key", "operator", "missing"),
        ("second-key", "operator", "ok"),
        ("with.dot", "operator", "missing"),
    ]


def test_a_run_makes_and_reports_and_says_that_it_does_not_rotate(store: SecretStore) -> None:
    assert [each.status for each in service.status(store, PolicyFile(), At(0)).secrets] == ["missing"] * 4
    report = service.run(store, PolicyFile(), At(0))
    assert report.made == HELD_SECRETS
    again = msgspec.to_builtins(service.run(store, PolicyFile(), At(91)))
    assert again["rotation"] == "reports only"
    assert again["made"] == ()
    assert [(each["status"], each["version"]) for each in again["secrets"]] == [("due", 1)] * 4
