"""What every test may use: a running stack, programs that may be absent, and hypothesis's settings."""

from __future__ import annotations

import copy
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import yaml

from shared.local.pubsub_project import PubsubProject
from shared.policy.load import DEFAULT_POLICY
from tests.support.emulators import firestore_emulator, pubsub_emulator
from tests.support.stack import LocalStack
from tests.support.tools import ABSENT, need

# How long an example takes says nothing on a machine that other tests share.
hypothesis.settings.register_profile("wardgate", deadline=None)
hypothesis.settings.load_profile("wardgate")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*programs): skip, or in CI fail, where a program is not installed")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        need(*marker.args)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the programs whose absence left tests out; a green run must not hide them."""
    absent: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
        if ABSENT in reason:
            absent[reason.partition(ABSENT)[2]] += 1
    for program, tests in sorted(absent.items()):
        terminalreporter.write_line(f"left out since {program} is not installed: {tests} test(s)", yellow=True)


@pytest.fixture(scope="session")
def default_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack under the policy that ships with Wardgate."""
    with LocalStack(tmp_path_factory.mktemp("stack") / "home") as running:
        yield running


@pytest.fixture
def stack(default_stack: LocalStack) -> LocalStack:
    """The stack under the default policy, with an API key of this test's own: no test uses up another's limits."""
    mine = copy.copy(default_stack)
    mine.key = default_stack.new_key()
    return mine


@pytest.fixture(scope="session")
def open_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack whose limits no test reaches, and which browsers may call from https://app.example.com."""
    folder = tmp_path_factory.mktemp("open-stack")
    policy = yaml.safe_load(DEFAULT_POLICY.read_text())
    policy["limits"] = [{"name": "requests-per-minute", "amount": 1_000_000, "window_seconds": 60}]
    policy["cors"] = {"origins": ["https://app.example.com"]}
    policy["identity"] = {"unauthenticated_per_minute": 1_000_000, "failures_per_minute": 1_000_000}
    with LocalStack(folder / "home", policy=_write_policy(folder / "policy.yaml", policy)) as running:
        yield running


def _write_policy(path: Path, policy: dict[str, object]) -> Path:
    path.write_text(yaml.safe_dump(policy))
    return path


@pytest.fixture(scope="session")
def _firestore_address() -> Iterator[str]:
    with firestore_emulator() as address:
        yield address


@pytest.fixture
def firestore_project(_firestore_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty project of this test's own on the Firestore emulator, which the environment names."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", _firestore_address)
    return f"test-{uuid.uuid4().hex[:16]}"


@pytest.fixture(scope="session")
def _pubsub_address() -> Iterator[str]:
    with pubsub_emulator() as address:
        yield address


@pytest.fixture
def pubsub_project(_pubsub_address: str, monkeypatch: pytest.MonkeyPatch) -> PubsubProject:
    """An empty project of this test's own on the Pub/Sub emulator, which the environment names."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", _pubsub_address)
    return PubsubProject(_pubsub_address, f"test-{uuid.uuid4().hex[:16]}")
