"""The secrets that Wardgate holds: how they come to be, what becomes of old versions, and the report of what is due."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.clock import utc
from shared.errors import NotFound, ServiceUnavailable, StoreUnavailable, Unauthenticated
from shared.gateway.receipt_keys import ReceiptKeys
from shared.identity.api_keys import ApiKeys
from shared.identity.key_format import new_key
from shared.policy.secret_rules import API_KEY_PEPPER, AUDIT_PEPPER, HELD_SECRETS, RECEIPT_SIGNING_KEY
from shared.policy.types import OpenAIUpstream, PolicyFile, SecretPolicy, SecretRule
from shared.rotation.inventory import timing_of
from shared.rotation.journal import Journal
from shared.rotation.machine import FOREVER, Order
from shared.rotation.schedule import read_record
from shared.rotation.service import RotationService
from shared.stores.documents import Write
from shared.stores.secret_reader import SecretReader
from shared.stores.secrets import Secret
from tests.support.providers import KeyWebhook
from tests.support.rotation import HOUR, MemorySecrets
from tests.support.virtual_time import SECOND, ManualClock, VirtualDocuments

DAY = 24 * HOUR
NOW = Order(before=FOREVER)
LEAKED = Order(before=FOREVER, urgent=True)


class Held:
    """Wardgate's own secrets on virtual time."""

    def __init__(self, policy: PolicyFile | None = None) -> None:
        self.clock = ManualClock()
        self.documents = VirtualDocuments(self.clock)
        self.store = MemorySecrets(self.clock)
        self.lines: list[dict[str, Any]] = []
        self.policy = policy or PolicyFile()
        self.service = RotationService(self.store, self.documents, self.policy, self.clock, log=self.log)

    def log(self, severity: str, event: str, **fields: Any) -> None:
        self.lines.append({"severity": severity, "event": event, **fields})

    def results(self, order: Order = Order(), name: str | None = None, *, after: float = 0) -> dict[str, str]:  # noqa: B008
        self.clock.advance(after)
        return {tick.secret: tick.result for tick in self.service.run(order, name).ticks}

    def reader(self) -> SecretReader:
        return SecretReader(self.store, self.documents, "production", {}, monotonic=lambda: self.clock.now / SECOND)

    def keys(self) -> ApiKeys:
        return ApiKeys(self.documents, self.reader(), self.clock)

    def states(self, name: str) -> dict[int, str]:
        return {version.number: version.state for version in self.store.versions(name)}


@pytest.fixture
def held() -> Held:
    made = Held()
    made.service.run()
    return made


def test_the_first_tick_makes_every_missing_secret_and_until_then_nothing_is_ready() -> None:
    held = Held()
    for use in (lambda: held.keys().create("acme", "early"), ReceiptKeys(held.reader(), held.store).public_keys):
        with pytest.raises(ServiceUnavailable) as caught:
            use()
        assert caught.value.code == "not_ready"
    assert {each.status for each in held.service.status()} == {"missing"}
    assert held.results() == dict.fromkeys(HELD_SECRETS, "promoted")
    assert {each.status for each in held.service.status()} == {"ok"}
    values = {held.reader().get(name).reveal() for name in HELD_SECRETS}
    assert {len(value) for value in values} == {32}
    assert len(values) == len(HELD_SECRETS)
    assert held.results() == dict.fromkeys(HELD_SECRETS, "not_due")


def test_what_an_earlier_wardgate_made_is_taken_over() -> None:
    held = Held()
    for name in HELD_SECRETS:
        held.store.create(name)
        held.store.add(name, name[:1].encode() * 32)
        held.store.add(name, name[-1:].encode() * 32)
    assert held.results() == dict.fromkeys(HELD_SECRETS, "not_due")
    assert {each.version for each in held.service.status()} == {2}
    assert len(held.reader().public_keys(RECEIPT_SIGNING_KEY)) == 2


def test_the_signing_key_is_published_before_it_signs_and_stays_verifiable(held: Held) -> None:
    reader = held.reader()
    keys = ReceiptKeys(reader, held.store)
    first = keys.signer()
    assert held.results(NOW, RECEIPT_SIGNING_KEY, after=100) == {RECEIPT_SIGNING_KEY: "publishing"}
    held.clock.advance(61)
    assert keys.signer().kid == first.kid
    published = msgspec.json.decode(keys.public_keys())["keys"]
    assert len(published) == 2
    assert held.results(after=300)[RECEIPT_SIGNING_KEY] == "publishing"
    assert held.results(after=60)[RECEIPT_SIGNING_KEY] == "promoted"
    held.clock.advance(61)
    second = keys.signer()
    assert second.kid == published[0]["kid"] != first.kid
    for after in (HOUR + 1, DAY + 1):
        held.results(after=after)
    assert held.states(RECEIPT_SIGNING_KEY) == {1: "destroyed", 2: "enabled"}
    assert msgspec.json.decode(ReceiptKeys(held.reader(), held.store).public_keys())["keys"] == published


def test_a_signing_key_that_leaked_is_published_no_more(held: Held) -> None:
    held.clock.advance(1)
    leaked = held.reader().public_keys(RECEIPT_SIGNING_KEY)
    assert held.results(LEAKED, RECEIPT_SIGNING_KEY) == {RECEIPT_SIGNING_KEY: "promoted"}
    now = held.reader()
    assert not set(leaked) & set(now.public_keys(RECEIPT_SIGNING_KEY))
    signing = Ed25519PrivateKey.from_private_bytes(now.get(RECEIPT_SIGNING_KEY).reveal())
    assert now.public_keys(RECEIPT_SIGNING_KEY) == (signing.public_key().public_bytes_raw(),)


def failing(*_: object) -> NoReturn:
    raise StoreUnavailable("down")


def test_a_leak_within_a_grace_period_ends_both_signing_keys() -> None:
    held = Held(PolicyFile(secrets=SecretPolicy(per_secret={RECEIPT_SIGNING_KEY: SecretRule(grace_seconds=60)})))
    held.service.run()
    assert held.results(NOW, RECEIPT_SIGNING_KEY, after=1) == {RECEIPT_SIGNING_KEY: "publishing"}
    assert held.results(after=61)[RECEIPT_SIGNING_KEY] == "promoted"
    leaked = held.reader().public_keys(RECEIPT_SIGNING_KEY)
    assert len(leaked) == 2
    assert held.results(LEAKED, RECEIPT_SIGNING_KEY) == {RECEIPT_SIGNING_KEY: "promoted"}
    assert not set(leaked) & set(held.reader().public_keys(RECEIPT_SIGNING_KEY))


def pepper_in(held: Held, key_id: str) -> int:
    document = held.documents.get(f"keys/{key_id}")
    assert document is not None
    return int(document.fields["pepper"])


def test_a_key_is_renewed_on_use_and_its_pepper_lasts_as_long_as_the_key(held: Held) -> None:
    made = held.keys().create("acme", "one")
    held.results(NOW, API_KEY_PEPPER, after=1)
    assert pepper_in(held, made.record.id) == 1
    commits = len(held.documents.commits)
    keys = held.keys()
    for _ in range(3):
        keys.authenticate(made.key)
    assert pepper_in(held, made.record.id) == 2
    assert len(held.documents.commits) == commits + 1
    for _ in range(20):
        held.results(after=DAY)
    # The hash names version 2 by now, but the id was made with version 1.
    assert held.states(API_KEY_PEPPER) == {1: "enabled", 2: "enabled"}
    held.keys().authenticate(made.key)
    held.keys().revoke(made.record.id)
    held.results(after=DAY + 1)
    assert held.states(API_KEY_PEPPER)[1] == "disabled"
    held.results(after=DAY + 1)
    assert held.states(API_KEY_PEPPER) == {1: "destroyed", 2: "enabled"}
    with pytest.raises(Unauthenticated):
        held.keys().authenticate(made.key)


def test_a_process_that_has_not_heard_of_a_rotation_renews_nothing_backwards(held: Held) -> None:
    stale = held.keys()
    made = stale.create("acme", "one")
    held.results(NOW, API_KEY_PEPPER, after=1)
    held.keys().authenticate(made.key)
    commits = len(held.documents.commits)
    stale.authenticate(made.key)
    assert (len(held.documents.commits), pepper_in(held, made.record.id)) == (commits, 2)


def test_a_pepper_that_is_referred_to_again_before_its_end_comes_back(held: Held) -> None:
    held.results(NOW, API_KEY_PEPPER, after=1)
    for after in (HOUR + 1, DAY + 1):
        held.results(after=after)
    assert held.states(API_KEY_PEPPER)[1] == "disabled"
    # Readers' caches are shorter than that, so only restored documents can bring such a key.
    key_id = new_key(1, Secret(b"p" * 32)).split("_")[1]
    document = {"hash": b"h", "pepper": 1, "tenant": "acme", "name": "late", "scopes": ["chat"]}
    times = {"created_at": utc(held.clock), "not_after": None, "revoked_at": None}
    held.documents.commit([Write(f"keys/{key_id}", {**document, **times})])
    held.results(after=DAY + 1)
    assert held.states(API_KEY_PEPPER) == {1: "enabled", 2: "enabled"}


def test_an_audit_pepper_is_kept_for_ever(held: Held) -> None:
    for _ in range(3):
        held.results(NOW, AUDIT_PEPPER, after=2 * HOUR)
    for _ in range(10):
        held.results(after=30 * DAY)
    states = held.states(AUDIT_PEPPER)
    assert len(states) >= 4
    assert set(states.values()) == {"enabled"}


def test_a_leaked_pepper_is_replaced_but_not_taken_from_the_keys_that_need_it(held: Held) -> None:
    made = held.keys().create("acme", "one")
    assert held.results(LEAKED, API_KEY_PEPPER, after=1) == {API_KEY_PEPPER: "promoted"}
    assert held.states(API_KEY_PEPPER) == {1: "enabled", 2: "enabled"}
    held.keys().authenticate(made.key)


def test_a_report_tells_age_and_due_date_and_an_overdue_secret_is_logged() -> None:
    held = Held(PolicyFile(secrets=SecretPolicy(period_days=30)))
    held.service.run()
    held.clock.advance(29 * DAY)
    (first, *_) = held.service.status()
    assert (first.name, first.owner, first.status, first.state, first.version) == (
        "api-key-pepper",
        "wardgate",
        "ok",
        "IDLE",
        1,
    )
    assert first.age_seconds == pytest.approx(29 * DAY, abs=5)
    assert first.due_at is not None
    assert first.due_at.timestamp() == pytest.approx(held.clock.now / SECOND + DAY, abs=1)
    held.clock.advance(1.5 * DAY)
    assert {each.status for each in held.service.status()} == {"due"}
    held.clock.advance(DAY)
    assert {each.status for each in held.service.status()} == {"overdue"}
    held.store.versions = failing  # type: ignore[method-assign]
    held.store.add = failing  # type: ignore[method-assign]
    held.lines.clear()
    assert set(held.results().values()) == {"failed"}
    overdue = [line for line in held.lines if line["event"] == "rotation.overdue"]
    assert [(line["severity"], line["secret"]) for line in overdue] == [("WARNING", name) for name in HELD_SECRETS]
    assert {line["severity"] for line in held.lines if line["event"] == "rotation.failed"} == {"ERROR"}


def test_the_upstreams_keys_are_reported_and_never_touched() -> None:
    url = "https://api.example.com/v1"
    policy = PolicyFile(
        upstreams={
            "b": OpenAIUpstream(base_url=url, secret="second-key"),
            "a": OpenAIUpstream(base_url=url, secret="first-key"),
            "again": OpenAIUpstream(base_url=url, secret="first-key"),
            "open": OpenAIUpstream(base_url=url),
        }
    )
    held = Held(policy)
    held.store.create("second-key")
    held.store.add("second-key", b"sk")
    held.service.run()
    theirs = held.service.status()[4:]
    assert [(each.name, each.owner, each.status) for each in theirs] == [
        ("first-key", "operator", "missing"),
        ("second-key", "operator", "ok"),
    ]
    held.clock.advance(90.5 * DAY)
    held.lines.clear()
    held.service.run()
    overdue = [line for line in held.lines if line["event"] == "rotation.overdue"]
    assert [(line["severity"], line["secret"], line["status"]) for line in overdue] == [
        ("WARNING", "first-key", "missing"),
        ("WARNING", "second-key", "due"),
    ]
    assert held.states("second-key") == {1: "enabled"}
    with pytest.raises(NotFound, match="api-key-pepper"):
        held.service.run(name="second-key")


def test_a_secret_that_is_left_to_people_follows_them_again() -> None:
    """A driver that is taken out of the policy leaves no pointer behind that nobody would move any more."""
    with KeyWebhook([]) as server:
        driver = {"kind": "webhook", "url": server.origin, "signing_secret": "hook"}
        tree = {"secrets": {"per_secret": {"a-key": {"driver": driver}}}}
        held = Held(msgspec.convert(tree, PolicyFile))
        server.clock = held.clock
        held.results(name="hook")
        server.signing_secrets = [held.store.access("hook", 1).reveal()]
        held.results()
    assert held.reader().current("a-key").number == 1
    tree["secrets"]["per_secret"]["a-key"] = {"driver": {"kind": "remind"}}
    held.policy = msgspec.convert(tree, PolicyFile)
    held.service = RotationService(held.store, held.documents, held.policy, held.clock, log=held.log)
    held.store.add("a-key", b"sk-by-hand")
    rival = Journal("a-key", held.documents, held.clock, held.log)
    held.results(after=1)
    assert held.reader().current("a-key").number == 1, "somebody was still at work on it"
    rival.release()
    for _ in range(3):
        held.results(after=DAY)
    assert held.reader().get("a-key").reveal() == b"sk-by-hand"
    assert held.states("a-key") == {1: "enabled", 2: "enabled"}
    assert [line["event"] for line in held.lines].count("rotation.handed_over") == 1
    (status,) = [each for each in held.service.status() if each.name == "a-key"]
    assert (status.owner, status.version, status.state) == ("operator", 2, None)


def test_the_policy_may_differ_for_one_secret() -> None:
    rules = SecretPolicy(grace_seconds=7, per_secret={"audit-pepper": SecretRule(period_days=1, bake_seconds=0)})
    own, other = timing_of(rules, "audit-pepper"), timing_of(rules, "api-key-pepper")
    assert (own.period, own.grace, own.bake) == (DAY, 7, 0)
    assert (other.period, other.grace, other.bake) == (90 * DAY, 7, DAY)


def test_the_history_is_told(held: Held) -> None:
    assert [entry.event for entry in held.service.history(AUDIT_PEPPER)] == ["stored", "promoted"]
    assert read_record(held.documents, AUDIT_PEPPER).generation == 1
