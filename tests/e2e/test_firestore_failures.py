"""Firestore out of reach, with a proxy in between: what guard answers and records in each mode, and that it recovers.

Three instances of guard, one for each mode, over the real gRPC client, a TCP proxy, a server that aborts commits,
and Firestore's emulator.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from shared.admission.cells import counts_in
from shared.stores.firestore_documents import FirestoreDocuments
from tests.support.firestore_front import FirestoreFront, firestore_front
from tests.support.function_process import ROOT, FunctionProcess
from tests.support.issuer import OidcIssuer
from tests.support.stack import LocalStack
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

HTTP = urllib3.PoolManager(retries=False, maxsize=8)
SOON = 30
"""Seconds to wait for what happens by itself; only waited out where a test fails."""

LONGEST = 8
"""Seconds for an answer while the store fails. Each call of the store ends after 0.3 s, or 2 s where it connects
first; Google's client waits for 50 s."""

MODES = ("closed", "open", "local")
SHARE = 2
"""What ``local`` grants."""


@dataclass
class Instance:
    """One guard, with a Firestore project of its own."""

    mode: str
    url: str
    project: str
    issuer: OidcIssuer
    home: Path

    def chat(self, who: str, key: str | None = None) -> urllib3.BaseHTTPResponse:
        body = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {key or self.issuer.token(sub=who)}"}
        return HTTP.request("POST", f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=60)

    def event(self, answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        """The archived event of an answer."""
        found: list[dict[str, Any]] = []

        def search() -> bool:
            for file in (self.home / "objects" / "archive").rglob("*.json"):
                attributes = json.loads(file.read_bytes())["attributes"]
                if attributes.get("wardgate.request.id") == answer.headers["x-request-id"]:
                    found.append(attributes)
            return bool(found)

        wait_until(search)
        return found[0]

    def charged(self) -> int:
        """What the emulator counts, asked past the proxy."""
        documents = FirestoreDocuments(self.project, timeout_seconds=30.0)
        return sum(sum(counts_in(document.fields).values()) for document in documents.list("admission"))

    def recovered(self, who: str) -> bool:
        answer = self.chat(who)
        return answer.status == 200 and admission_mode(answer) == "normal"


@dataclass
class Outage:
    """The instances, and what is between them and the emulator."""

    instances: tuple[Instance, ...]
    proxy: TcpProxy
    front: FirestoreFront

    def everywhere(self, work: Callable[[Instance], Any]) -> dict[str, Any]:
        """Do it on each instance at once; the results by mode."""
        with ThreadPoolExecutor(len(self.instances)) as threads:
            return dict(zip(MODES, threads.map(work, self.instances), strict=True))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def admission_mode(answer: urllib3.BaseHTTPResponse) -> str | None:
    """What the receipt says of the limits."""
    claims = answer.headers["wardgate-receipt"].split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(claims + "=="))).get("admission_mode")


def _guard(
    mode: str, folder: Path, local: LocalStack, issuer: OidcIssuer, proxy: TcpProxy
) -> tuple[FunctionProcess, Instance]:
    policy = {
        "limits": [{"name": "requests", "amount": 20, "window_seconds": 600}],
        "admission": {"fail": mode, "local_share": SHARE / 20},
        "identity": {"issuers": [{"issuer": issuer.url, "audience": "wardgate", "tenant": "acme"}]},
    }
    (folder / f"{mode}.yaml").write_text(yaml.safe_dump(policy))
    project = f"outage-{uuid.uuid4().hex[:8]}"
    environment = {
        "WARDGATE_POLICY": str(folder / f"{mode}.yaml"),
        "WARDGATE_MODEL_URL": local.model_url,
        "WARDGATE_DOCUMENTS": f"firestore://{project}",
        "FIRESTORE_EMULATOR_HOST": proxy.address,
    }
    process = FunctionProcess("guard", local.home, environment, log=folder / f"{mode}.log")
    return process, Instance(mode, "", project, issuer, local.home)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, _firestore_address: str) -> Iterator[Outage]:
    folder = tmp_path_factory.mktemp("outage")
    with ExitStack() as stack:
        front = stack.enter_context(firestore_front(_firestore_address))
        proxy = stack.enter_context(tcp_proxy(front.address))
        issuer = stack.enter_context(OidcIssuer("wardgate"))
        local = stack.enter_context(LocalStack(folder / "home"))
        guards = [_guard(mode, folder, local, issuer, proxy) for mode in MODES]
        with ThreadPoolExecutor(len(guards)) as threads:
            list(threads.map(stack.enter_context, [process for process, _ in guards]))
        for process, instance in guards:
            instance.url = process.url
        instances = [instance for _, instance in guards]
        yield Outage(tuple(instances), proxy, front)


@pytest.fixture
def outage(
    running: Outage, _firestore_address: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Outage]:
    """All is well before, and again afterwards."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", _firestore_address)
    before = f"before-{request.node.name}"
    running.everywhere(lambda instance: wait_until(lambda: instance.recovered(before)))
    yield running
    running.proxy.heal()
    running.front.aborts = 0
    after = f"after-{request.node.name}"
    running.everywhere(lambda instance: wait_until(lambda: instance.recovered(after)))


FAILURES: dict[str, Callable[[Outage], None]] = {
    "refused": lambda outage: outage.proxy.refuse(),
    "silent": lambda outage: outage.proxy.swallow(new=True),
    "silent-from-now-on": lambda outage: outage.proxy.swallow(),
    "slow": lambda outage: outage.proxy.delay(1.0),
    "cut-in-the-answer": lambda outage: outage.proxy.cut_answers(),
    "aborted-for-ever": lambda outage: setattr(outage.front, "aborts", 10**9),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_while_firestore_fails_each_mode_answers_in_time_and_says_so(outage: Outage, failure: str) -> None:
    FAILURES[failure](outage)

    def ask(instance: Instance) -> tuple[list[urllib3.BaseHTTPResponse], float]:
        started = time.monotonic()
        answers = [instance.chat(failure) for _ in range(SHARE + 1)]
        return answers, (time.monotonic() - started) / len(answers)

    asked = outage.everywhere(ask)
    statuses = {mode: [answer.status for answer in answers] for mode, (answers, _) in asked.items()}
    assert statuses == {"closed": [503, 503, 503], "open": [200, 200, 200], "local": [200, 200, 429]}
    assert max(seconds for _, seconds in asked.values()) < LONGEST

    answers = {mode: answers for mode, (answers, _) in asked.items()}
    assert {answer.json()["error"]["code"] for answer in answers["closed"]} == {"admission_unavailable"}
    assert [admission_mode(answer) for answer in answers["open"]] == ["failed_open"] * 3
    assert [admission_mode(answer) for answer in answers["local"][:SHARE]] == ["local"] * SHARE
    assert "x-ratelimit-limit-requests" not in answers["open"][0].headers
    assert answers["local"][0].headers["x-ratelimit-limit-requests"] == str(SHARE)
    assert answers["local"][SHARE].json()["error"]["code"] == "rate_limit_exceeded"

    # An abort has changed nothing, and the store says so; of all else nobody knows.
    unknown = None if failure == "aborted-for-ever" else [{"limit": "requests", "amount": 1}]
    for instance in outage.instances:
        name = {"open": "failed_open"}.get(instance.mode, instance.mode)
        for answer in answers[instance.mode][:SHARE]:
            event = instance.event(answer)
            assert event["wardgate.admission.mode"] == name
            assert event.get("wardgate.admission.unknown") == unknown
    denied = outage.instances[MODES.index("local")].event(answers["local"][SHARE])
    assert (denied["wardgate.decision"], denied["wardgate.admission.mode"]) == ("denied", "local")


def test_an_answer_that_is_cut_off_was_a_charge_all_the_same(outage: Outage) -> None:
    """Which is why an outcome that nobody knows is not tried again, and is recorded."""
    before = outage.everywhere(Instance.charged)
    outage.proxy.cut_answers()
    answers = outage.everywhere(lambda instance: instance.chat("cut"))
    after = outage.everywhere(Instance.charged)
    for instance in outage.instances:
        assert after[instance.mode] - before[instance.mode] == 1
        unknown = instance.event(answers[instance.mode])["wardgate.admission.unknown"]
        assert unknown == [{"limit": "requests", "amount": 1}]


def test_commits_that_are_aborted_a_few_times_are_tried_again_and_charged_once(outage: Outage) -> None:
    before, aborted = outage.everywhere(Instance.charged), outage.front.aborted
    for instance in outage.instances:  # one by one, since they share the front
        outage.front.aborts = 2
        answer = instance.chat("aborted-twice")
        assert (answer.status, admission_mode(answer)) == (200, "normal")
        assert instance.event(answer).get("wardgate.admission.unknown") is None
    assert outage.front.aborted - aborted == 2 * len(outage.instances)
    after = outage.everywhere(Instance.charged)
    assert {mode: after[mode] - before[mode] for mode in MODES} == dict.fromkeys(MODES, 1)


def test_an_api_key_is_not_believed_while_its_record_cannot_be_read(outage: Outage) -> None:
    """In every mode: the record is read for each request, so that a revocation holds at once."""
    instance = outage.instances[MODES.index("open")]
    environment = {
        **os.environ,
        "WARDGATE_ENV": "development",
        "WARDGATE_HOME": str(instance.home),
        "WARDGATE_DOCUMENTS": f"firestore://{instance.project}",
    }
    command = [sys.executable, "-m", "shared.cli", "keys", "create", "--json"]
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True, timeout=60)
    key = json.loads(made.stdout)["key"]
    assert instance.chat("", key).status == 200
    outage.proxy.refuse()
    refused = instance.chat("", key)
    assert (refused.status, refused.json()["error"]["code"]) == (503, "key_store_unavailable")
