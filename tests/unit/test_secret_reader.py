"""How functions read secrets: what wins, what is cached, and what happens while the store does not answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.errors import PreconditionFailed, SecretNotFound, StoreUnavailable
from shared.stores.documents import Write
from shared.stores.file_secrets import FileSecrets
from shared.stores.secret_reader import FRESH_SECONDS, GOOD_SECONDS, REFRESH_SECONDS, RETRY_SECONDS, SecretReader
from shared.stores.secrets import Secret, SecretVersion
from tests.support.virtual_time import ManualClock, VirtualDocuments


class Watched(FileSecrets):
    """Counts what is asked of it, and can be made to fail."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked = 0
        self.broken = False
        self.gate = threading.Event()
        self.gate.set()

    def versions(self, name: str) -> list[SecretVersion]:
        self.asked += 1
        self.gate.wait(20)
        if self.broken:
            raise StoreUnavailable("The store is broken.")
        return super().versions(name)

    def access(self, name: str, number: int) -> Secret:
        self.asked += 1
        return super().access(name, number)


class Time:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def nothing_points() -> VirtualDocuments:
    """A document store without a pointer, as where nothing rotates."""
    return VirtualDocuments(ManualClock())


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store(tmp_path: Path) -> Watched:
    secrets = Watched(tmp_path / "secrets")
    secrets.create("openai-api-key")
    secrets.add("openai-api-key", b"one")
    return secrets


@pytest.fixture
def reader(store: Watched, time: Time) -> SecretReader:
    return SecretReader(store, nothing_points(), "production", {}, monotonic=time)


def test_in_development_the_environment_wins(store: Watched) -> None:
    environ = {"OPENAI_API_KEY": "from the environment", "EMPTY": ""}
    reader = SecretReader(store, nothing_points(), "development", environ)
    assert reader.get("openai-api-key").reveal() == b"from the environment"
    assert reader.current("openai-api-key").number == 1
    assert reader.version("openai-api-key", 1).reveal() == b"from the environment"
    with pytest.raises(SecretNotFound):
        reader.version("openai-api-key", 2)
    with pytest.raises(SecretNotFound):
        reader.get("empty")
    assert "environment" not in repr(reader.current("openai-api-key"))


def test_in_production_the_environment_is_never_looked_at(store: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from the environment")
    reader = SecretReader(store, nothing_points(), "production", {"OPENAI_API_KEY": "from the environment"})
    assert reader.get("openai-api-key").reveal() == b"one"
    assert SecretReader(store, nothing_points(), "production").get("openai-api-key").reveal() == b"one"
    assert (
        SecretReader(store, nothing_points(), "development").get("openai-api-key").reveal() == b"from the environment"
    )


def test_the_current_version_is_the_newest_enabled_one(store: Watched, reader: SecretReader, time: Time) -> None:
    store.add("openai-api-key", b"two")
    store.add("openai-api-key", b"three")
    store.disable("openai-api-key", 3)
    current = reader.current("openai-api-key")
    assert (current.number, current.secret.reveal()) == (2, b"two")
    store.disable("openai-api-key", 2)
    time.now += FRESH_SECONDS
    assert reader.current("openai-api-key").number == 1


def test_a_new_version_is_seen_after_a_minute_and_the_store_is_asked_once(
    store: Watched, reader: SecretReader, time: Time
) -> None:
    for _ in range(100):
        assert reader.get("openai-api-key").reveal() == b"one"
    assert store.asked == 2
    store.add("openai-api-key", b"two")
    time.now += FRESH_SECONDS - 0.001
    assert reader.get("openai-api-key").reveal() == b"one"
    time.now += 0.001
    assert reader.get("openai-api-key").reveal() == b"two"
    assert store.asked == 4


def test_versions_are_kept_for_ever(store: Watched, reader: SecretReader, time: Time) -> None:
    assert reader.version("openai-api-key", 1).reveal() == b"one"
    store.destroy("openai-api-key", 1)
    time.now += 10**6
    assert reader.version("openai-api-key", 1).reveal() == b"one"
    assert store.asked == 1


def test_what_is_not_there(store: Watched, reader: SecretReader, time: Time) -> None:
    with pytest.raises(SecretNotFound):
        reader.version("openai-api-key", 2)
    with pytest.raises(SecretNotFound):
        reader.get("pepper")
    store.create("pepper")
    time.now += RETRY_SECONDS
    with pytest.raises(SecretNotFound, match="No version"):
        reader.get("pepper")
    store.add("pepper", b"p")
    store.disable("pepper", 1)
    with pytest.raises(PreconditionFailed):
        reader.version("pepper", 1)
    store.enable("pepper", 1)
    with pytest.raises(SecretNotFound):  # remembered for a moment
        reader.get("pepper")
    time.now += RETRY_SECONDS
    assert reader.get("pepper").reveal() == b"p"


def test_a_store_that_fails_is_bridged_for_a_while(store: Watched, reader: SecretReader, time: Time) -> None:
    reader.get("openai-api-key")
    store.broken = True
    time.now += FRESH_SECONDS
    asked = store.asked
    for _ in range(10):
        assert reader.get("openai-api-key").reveal() == b"one"
    assert store.asked == asked + 1
    time.now += GOOD_SECONDS - FRESH_SECONDS
    with pytest.raises(StoreUnavailable, match="broken"):
        reader.get("openai-api-key")
    store.broken = False
    time.now += RETRY_SECONDS
    assert reader.get("openai-api-key").reveal() == b"one"


def test_a_secret_whose_versions_were_disabled_is_not_bridged(store: Watched, reader: SecretReader, time: Time) -> None:
    reader.get("openai-api-key")
    store.disable("openai-api-key", 1)
    time.now += FRESH_SECONDS
    for _ in range(2):
        with pytest.raises(SecretNotFound):
            reader.get("openai-api-key")


def test_while_one_thread_asks_the_others_go_on(store: Watched, reader: SecretReader, time: Time) -> None:
    reader.get("openai-api-key")
    store.add("openai-api-key", b"two")
    store.gate.clear()
    time.now += FRESH_SECONDS
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(reader.get, "openai-api-key")
        while store.asked < 3:
            pass
        assert reader.get("openai-api-key").reveal() == b"one"
        store.gate.set()
        assert asking.result().reveal() == b"two"


def test_threads_that_know_nothing_wait_for_one_answer(store: Watched, reader: SecretReader) -> None:
    store.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(reader.get, "openai-api-key") for _ in range(8)]
        store.gate.set()
        assert {each.result().reveal() for each in asking} == {b"one"}
    assert store.asked == 2


def point(documents: VirtualDocuments, current: int, previous: int | None = None, generation: int = 1) -> None:
    numbers = {"current": {"number": current}, "previous": None if previous is None else {"number": previous}}
    documents.commit([Write("rotation/openai-api-key", {**numbers, "generation": generation}, replace=True)])


@pytest.fixture
def documents() -> VirtualDocuments:
    return VirtualDocuments(ManualClock())


@pytest.fixture
def pointed(store: Watched, documents: VirtualDocuments, time: Time) -> SecretReader:
    """Reads a secret that is rotated; its second version is current, its third not yet promoted."""
    store.add("openai-api-key", b"two")
    store.add("openai-api-key", b"three")
    point(documents, 2, 1)
    return SecretReader(store, documents, "production", {}, monotonic=time)


def test_the_pointer_says_which_version_is_current_whatever_the_store_says(
    pointed: SecretReader, store: Watched
) -> None:
    assert pointed.current("openai-api-key").number == 2
    previous = pointed.previous("openai-api-key")
    assert previous is not None
    assert previous.reveal() == b"one"
    assert store.asked == 2  # two values, and no list


def test_a_refused_key_is_looked_up_at_once_but_not_over_and_over(
    pointed: SecretReader, documents: VirtualDocuments, time: Time
) -> None:
    assert pointed.get("openai-api-key").reveal() == b"two"
    point(documents, 3, 2)
    assert pointed.get("openai-api-key").reveal() == b"two"
    assert pointed.refresh("openai-api-key").number == 3
    point(documents, 1, 3)
    assert pointed.refresh("openai-api-key").number == 3
    time.now += REFRESH_SECONDS
    assert pointed.refresh("openai-api-key").number == 1


@pytest.mark.parametrize("state", ["disabled", "destroyed", "unseen"])
def test_while_the_current_version_cannot_be_read_the_previous_one_serves(
    pointed: SecretReader, store: Watched, documents: VirtualDocuments, time: Time, state: str
) -> None:
    match state:
        case "disabled":
            store.disable("openai-api-key", 2)
        case "destroyed":
            store.destroy("openai-api-key", 2)
        case _:
            point(documents, 4, 1)
    assert pointed.current("openai-api-key").number == 1
    point(documents, 3, 1)
    time.now += RETRY_SECONDS
    assert pointed.current("openai-api-key").number == 3


def test_while_the_pointer_cannot_be_read_what_is_known_serves(
    pointed: SecretReader, documents: VirtualDocuments, time: Time
) -> None:
    pointed.get("openai-api-key")
    documents.down = True
    time.now += GOOD_SECONDS - 1
    assert pointed.get("openai-api-key").reveal() == b"two"
    assert pointed.refresh("openai-api-key").secret.reveal() == b"two"
    time.now += 1
    with pytest.raises(StoreUnavailable):
        pointed.get("openai-api-key")
    with pytest.raises(StoreUnavailable):
        pointed.public_keys("openai-api-key")


def test_a_key_from_the_environment_has_no_other() -> None:
    reader = SecretReader(None, None, "development", {"OPENAI_API_KEY": "given"})  # type: ignore[arg-type]
    assert reader.refresh("openai-api-key").secret.reveal() == b"given"
    assert reader.previous("openai-api-key") is None
    assert reader.public_keys("openai-api-key") == ()
