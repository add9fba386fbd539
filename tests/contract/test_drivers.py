"""Every driver does what rotation relies on, against a server that follows its provider's public interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.clock import SystemClock
from shared.identity.api_keys import ApiKeys
from shared.identity.key_rotation import KeyRotation
from shared.policy.types import GoogleApiKeyDriver, OpenAIProjectDriver, WebhookDriver
from shared.rotation.attempts import attempt_id
from shared.rotation.drivers import provider_api
from shared.rotation.drivers.google_api_key import GoogleApiKeys
from shared.rotation.drivers.openai_project import OpenAIAccountKeys, OpenAIServiceAccounts
from shared.rotation.drivers.port import Driver, KeyNotAccepted, ProviderRefused, ProviderUnavailable
from shared.rotation.drivers.random_secret import RandomSecret
from shared.rotation.drivers.wardgate_key import WardgateKey
from shared.rotation.drivers.webhook import Webhook
from shared.rotation.rotator import Rotator
from shared.rotation.schedule import read_record
from shared.stores.secrets import Secret
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.key_store import VersionedPepper
from tests.support.providers import GoogleKeys, KeyWebhook, OpenAIAdmin, ProviderServer
from tests.support.rotation import NAME, TIMING, MemorySecrets, assert_settled, managed
from tests.support.virtual_time import ManualClock, VirtualDocuments

SIGNING = [b"s" * 32]
HTTP = ("openai accounts", "openai keys", "google", "webhook")
MINTING = (*HTTP, "wardgate")
ALL = (*MINTING, "random")


class Made:
    """A driver, and the server that it asks."""

    def __init__(self, kind: str, server: ProviderServer | None, driver: Driver) -> None:
        self.kind = kind
        self.server = server
        self.driver = driver

    @property
    def provider(self) -> ProviderServer:
        assert self.server is not None
        return self.server


def connected(kind: str, server: ProviderServer) -> Driver:
    if kind.startswith("openai"):
        config = OpenAIProjectDriver(project="proj_abc", admin_secret="admin", base_url=f"{server.origin}/v1")
        admin_key = lambda *, fresh=False: Secret(b"sk-admin-1")  # noqa: E731
        if kind == "openai accounts":
            return OpenAIServiceAccounts(config, admin_key)
        return OpenAIAccountKeys(config, "svc_acct_abc", admin_key)
    if kind == "google":
        google = GoogleApiKeyDriver(
            project="a-project", base_url=server.origin, test_url=f"{server.origin}/v1beta/models"
        )
        return GoogleApiKeys(google, lambda *, fresh=False: Secret(b"token-1"), poll_seconds=0.001)
    webhook = WebhookDriver(url=f"{server.origin}/keys", signing_secret="signing")
    return Webhook(webhook, NAME, lambda: [Secret(SIGNING[0])], SystemClock())


def serving(kind: str) -> ProviderServer:
    if kind.startswith("openai"):
        return OpenAIAdmin()
    return GoogleKeys() if kind == "google" else KeyWebhook(SIGNING)


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Made]:
    kind = request.param
    if kind == "random":
        yield Made(kind, None, RandomSecret())
    elif kind == "wardgate":
        documents, peppers = SqliteDocuments(tmp_path / "documents.db"), VersionedPepper()
        keys = ApiKeys(documents, peppers, SystemClock())
        key = keys.reserve("acme", "front end")
        yield Made(kind, None, WardgateKey(key.id, KeyRotation(documents, peppers, SystemClock()), keys))
        documents.close()
    else:
        with serving(kind) as server:
            yield Made(kind, server, connected(kind, server))


def every(*kinds: str) -> Callable[[Any], Any]:
    return pytest.mark.parametrize("made", kinds, indirect=True)


def attempt() -> str:
    return attempt_id(NAME, 1, 1)


@every(*ALL)
def test_a_key_that_was_made_works_until_it_is_revoked(made: Made) -> None:
    new = made.driver.create(attempt())
    made.driver.test(new.value)
    assert new.value.reveal().decode("latin-1") not in repr(new)
    if new.reference is not None:
        made.driver.revoke(new.reference)
        with pytest.raises(KeyNotAccepted):
            made.driver.test(new.value)


@every(*MINTING)
def test_two_keys_work_at_once_and_each_is_listed_by_its_attempt(made: Made) -> None:
    attempts = [attempt(), attempt()]
    keys = [made.driver.create(each) for each in attempts]
    for key in keys:
        made.driver.test(key.value)
    listed = {key.reference: key.attempt_id for key in made.driver.list()}
    assert listed == {key.reference: each for key, each in zip(keys, attempts, strict=True)}
    made.driver.revoke(str(keys[0].reference))
    made.driver.test(keys[1].value)
    assert [key.reference for key in made.driver.list()] == [keys[1].reference]


@every(*MINTING)
def test_what_is_gone_or_never_was_may_be_revoked(made: Made) -> None:
    new = made.driver.create(attempt())
    for reference in (new.reference, new.reference, "never-there"):
        made.driver.revoke(str(reference))
    assert list(made.driver.list()) == []


@every(*ALL)
@pytest.mark.parametrize("value", [b"sk-wrong", b"", b"two\r\nlines", b"\xff\xfe", b"a b", b"x" * 70_000])
def test_what_is_no_key_is_not_accepted_and_not_repeated(made: Made, value: bytes) -> None:
    made.driver.create(attempt())
    with pytest.raises(KeyNotAccepted) as caught:
        made.driver.test(Secret(value))
    assert "wrong" not in repr(caught.value)


@every(*HTTP)
def test_a_list_is_read_over_all_its_pages(made: Made) -> None:
    made.provider.page_size = 2
    made_keys = [made.driver.create(attempt()) for _ in range(5)]
    assert {key.reference for key in made.driver.list()} == {key.reference for key in made_keys}


@every(*HTTP)
def test_a_list_without_an_end_is_given_up(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("openai_project", "google_api_key", "webhook"):
        monkeypatch.setattr(f"shared.rotation.drivers.{module}.MOST_PAGES", 3)
    made.provider.page_size = 1
    for _ in range(5):
        made.driver.create(attempt())
    with pytest.raises(ProviderUnavailable, match="more than"):
        made.driver.list()


CALLS: dict[str, Callable[[Driver], Any]] = {
    "create": lambda driver: driver.create(attempt()),
    "test": lambda driver: driver.test(Secret(b"sk-some")),
    "revoke": lambda driver: driver.revoke("some"),
    "list": lambda driver: driver.list(),
}


@every(*HTTP)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        *((status, ProviderUnavailable) for status in (408, 425, 429, 500, 502, 503, 504)),
        *((status, ProviderRefused) for status in (302, 405, 409, 422)),
        ("lost", ProviderUnavailable),
        ("cut", ProviderUnavailable),
    ],
)
def test_a_failure_says_whether_another_try_may_help(made: Made, call: str, fault: Any, kind: type[Exception]) -> None:
    made.provider.faults.append(fault)
    with pytest.raises(kind) as caught:
        CALLS[call](made.driver)
    assert "leaky" not in repr(caught.value)


@every(*HTTP)
@pytest.mark.parametrize("call", ["create", "list"])
def test_an_answer_that_cannot_be_read_may_have_been_a_key(made: Made, call: str) -> None:
    made.provider.faults.append("garbage")
    with pytest.raises(ProviderUnavailable, match="cannot be read") as caught:
        CALLS[call](made.driver)
    assert caught.value.__cause__ is None


@every(*HTTP)
def test_a_busy_provider_may_ask_for_a_pause(made: Made) -> None:
    for text, seconds in (("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("", None)):
        made.provider.retry_after = text
        made.provider.faults.append(429)
        with pytest.raises(ProviderUnavailable) as caught:
            made.driver.create(attempt())
        assert caught.value.retry_after == seconds


@every(*HTTP)
@pytest.mark.parametrize("call", CALLS)
def test_a_provider_that_hangs_is_left_after_the_deadline(
    made: Made, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_api, "CALL_SECONDS", 0.2)
    made.provider.faults.append("hang")
    with pytest.raises(ProviderUnavailable, match="DeadlineExceeded"):
        CALLS[call](made.driver)
    made.provider.released.set()


@pytest.mark.parametrize("kind", HTTP)
def test_a_provider_that_is_not_there(kind: str) -> None:
    with serving(kind) as server:
        driver = connected(kind, server)
    for call in CALLS.values():
        with pytest.raises(ProviderUnavailable, match="ConnectFailed"):
            call(driver)


@every(*HTTP)
def test_a_key_whose_answer_was_lost_is_found_by_its_attempt(made: Made) -> None:
    lost = attempt()
    made.provider.faults.append("lost")
    with pytest.raises(ProviderUnavailable):
        made.driver.create(lost)
    (found,) = made.driver.list()
    assert found.attempt_id == lost
    made.driver.revoke(found.reference)
    assert list(made.driver.list()) == []


# --- a whole rotation by each --------------------------------------------------------------------


class World:
    """A secret that a driver makes, on virtual time."""

    def __init__(self, made: Made) -> None:
        self.clock = ManualClock()
        self.documents = VirtualDocuments(self.clock)
        self.store = MemorySecrets(self.clock)
        self.secret = managed(made.driver)
        self.lines: list[str] = []

    def tick(self, after: float = 0) -> str:
        self.clock.advance(after)
        rotator = Rotator(
            self.store, self.documents, self.clock, lambda *words, **more: self.lines.append(f"{words}{more}")
        )
        return rotator.tick(self.secret).result

    def rotate(self) -> None:
        """Until nothing is left to do."""
        for _ in range(40):
            result = self.tick(TIMING.grace + 1)
            if result in ("not_due", "baking") and read_record(self.documents, NAME).state == "IDLE":
                return
        raise AssertionError(read_record(self.documents, NAME))


@every(*MINTING)
def test_a_rotation_leaves_one_key(made: Made) -> None:
    world = World(made)
    assert world.tick() == "promoted"
    first = world.store.access(NAME, 1)
    assert world.tick(TIMING.period + 1) == "promoted"
    made.driver.test(first)
    world.rotate()
    assert_settled(world.store, world.documents, made.driver)
    with pytest.raises(KeyNotAccepted):
        made.driver.test(first)


@every(*HTTP)
@pytest.mark.parametrize("fault", [429, 403, "lost"])
def test_a_failure_at_any_request_of_a_rotation_leaves_one_key_and_no_value_anywhere(made: Made, fault: Any) -> None:
    """Each request of the rotation fails in turn; in the end there is one live key, and no orphan."""
    world = World(made)
    assert world.tick() == "promoted"
    server = made.provider
    for skipped in range(12):
        before = read_record(world.documents, NAME).generation
        world.clock.advance(TIMING.period)
        fails_at = len(server.requests) + skipped
        server.later = {fails_at: fault}
        for _ in range(60):
            world.tick(TIMING.grace + 1)
            record = read_record(world.documents, NAME)
            if record.state == "IDLE" and record.generation > before and not record.discarded:
                break
        assert_settled(world.store, world.documents, made.driver)
        assert len(server.requests) > fails_at
        assert len(server.keys) == 1
    told = "".join(world.lines) + repr(read_record(world.documents, NAME))
    assert not [value for value in server.values if value in told]
    assert "sk-admin" not in told
    assert SIGNING[0].decode() not in told
