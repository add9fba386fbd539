"""The drill: calls are stopped with the command, on two instances and while they run, and go on afterwards."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest
import urllib3

from shared.stores.documents import Delete
from shared.stores.sqlite_documents import SqliteDocuments
from shared.switch.document import PATH
from tests.support import openai_server as upstream
from tests.support.chats import tool
from tests.support.function_process import FunctionProcess
from tests.support.openai_server import OpenAIServer
from tests.support.stack import LocalStack

HTTP = urllib3.PoolManager(retries=False)
PROMISE = 2
"""Seconds after which every instance has noticed."""

SOON = 45
"""Seconds to wait for what happens behind the answer; only waited out where a test fails."""

POLICY = """
limits: [{name: requests-per-minute, amount: 1000, window_seconds: 60}]
models:
  default: {targets: [{upstream: builtin, model: builtin}]}
  other: {targets: [{upstream: builtin, model: builtin}]}
guards: {output: {action: flag}}
"""


@dataclass
class Drill:
    """Two instances of guard over one store, and the upstream behind them."""

    stack: LocalStack
    instances: tuple[str, str]
    upstream: OpenAIServer
    key: str
    key_id: str

    def post(self, path: str, body: dict[str, Any], instance: int = 0, **options: Any) -> Any:
        headers = {"authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        return HTTP.request("POST", self.instances[instance] + path, json=body, headers=headers, **options)

    def chat(self, instance: int = 0, **more: Any) -> Any:
        options = {name: more.pop(name) for name in ("headers", "preload_content") if name in more}
        body = {"model": "default", "messages": [{"role": "user", "content": "Hello"}], **more}
        return self.post("/v1/chat/completions", body, instance, **options)

    def outcomes(self, **more: Any) -> list[tuple[int, str | None]]:
        """Status and code of the same chat on each instance."""
        return [outcome(self.chat(instance, **more)) for instance in (0, 1)]

    def kill(self, *arguments: str) -> Any:
        """``wardgate kill``; what it prints as JSON."""
        done = self.stack.wardgate("kill", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def remaining(self) -> int:
        """What is left of the limit after one more request."""
        return int(self.chat().headers["x-ratelimit-remaining-requests"])

    def events(self, name: str, value: str) -> list[dict[str, Any]]:
        """The attributes of the archived records in which one of them is this."""
        files = (self.stack.home / "objects" / "archive").rglob("*.json")
        found = [json.loads(file.read_bytes())["attributes"] for file in files]
        return [attributes for attributes in found if attributes.get(name) == value]

    def event(self, request_id: str) -> dict[str, Any]:
        def ends() -> list[dict[str, Any]]:
            return [each for each in self.events("wardgate.request.id", request_id) if "wardgate.decision" in each]

        wait_until(lambda: bool(ends()))
        (event,) = ends()
        return event


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalStack, str, OpenAIServer]]:
    folder = tmp_path_factory.mktemp("drill")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with (
        OpenAIServer() as server,
        LocalStack(folder / "home", policy=policy, env={"UPSTREAM_URL": server.url}) as stack,
        FunctionProcess(
            "guard", stack.home, {"WARDGATE_POLICY": str(policy), "WARDGATE_MODEL_URL": stack.model_url}
        ) as second,
    ):
        yield stack, second.url, server


@pytest.fixture
def drill(running: tuple[LocalStack, str, OpenAIServer]) -> Iterator[Drill]:
    stack, second, server = running
    server.reset()
    key = stack.new_key("--tenant", f"t{secrets.token_hex(4)}", "--scopes", "chat,scan,models")
    drill = Drill(stack, (stack.url, second), server, key, key.split("_")[1])
    yield drill
    with closing(SqliteDocuments(stack.home / "documents.db")) as documents:
        documents.commit([Delete(PATH)])
    wait_until(lambda: drill.outcomes() == [ANSWERED] * 2)


def outcome(response: Any) -> tuple[int, str | None]:
    return response.status, response.json().get("error", {}).get("code")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


KILLED = (503, "kill_switch")
ANSWERED = (200, None)


def test_everything_stops_and_goes_on_again(drill: Drill) -> None:
    assert drill.outcomes() == [ANSWERED] * 2
    asked = len(drill.upstream.requests)
    before = drill.remaining()
    turned = drill.kill("on", "--scope", "all", "--reason", "drill")
    assert (turned["state"], turned["changed"], [entry["scope"] for entry in turned["on"]]) == ("on", True, ["all"])
    time.sleep(PROMISE)
    assert drill.outcomes() == [KILLED] * 2
    assert outcome(drill.post("/v1/scan", {"text": "Hello"})) == KILLED
    listing = HTTP.request("GET", f"{drill.stack.url}/v1/models", headers={"authorization": f"Bearer {drill.key}"})
    assert outcome(listing) == KILLED
    refused = drill.chat(headers={"idempotency-key": "drill-1"})
    assert refused.headers["x-should-retry"] == "false"
    assert len(drill.upstream.requests) == asked + 1, "nothing is sent upstream"
    assert HTTP.request("GET", f"{drill.stack.url}/healthz").status == 200
    (entry,) = drill.kill("status")["on"]
    assert (entry["scope"], entry["reason"]) == ("all", "drill")

    drill.kill("off", "--scope", "all")
    time.sleep(PROMISE)
    assert drill.outcomes() == [ANSWERED] * 2
    assert drill.remaining() == before - 3, "refused calls are not charged"
    again = drill.chat(headers={"idempotency-key": "drill-1"})
    assert (again.status, "idempotent-replayed" in again.headers) == (200, False), "the refusal was not kept"
    event = drill.event(refused.headers["x-request-id"])
    assert (event["wardgate.decision"], event["error.type"]) == ("killed", "kill_switch")


def test_one_caller_or_model_is_stopped_and_others_are_not(drill: Drill) -> None:
    tenant, key, other = f"t{secrets.token_hex(4)}", drill.key, drill.stack.new_key()
    of_tenant = drill.stack.new_key("--tenant", tenant)
    for scope in (f"tenant:{tenant}", f"key:{drill.key_id}", "model:other"):
        drill.kill("on", "--scope", scope)
    time.sleep(PROMISE)
    for stopped in (of_tenant, key):
        drill.key = stopped
        assert drill.outcomes() == [KILLED] * 2
    drill.key = other
    assert drill.outcomes() == [ANSWERED] * 2
    assert drill.outcomes(model="other") == [KILLED] * 2


def test_one_tool_is_stopped_where_it_is_declared_and_where_it_is_only_called(drill: Drill) -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "pay", "arguments": "{}"}}]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    paying = upstream.completion(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])
    drill.upstream.script(paying)
    assert outcome(drill.chat(tools=[tool("pay")])) == ANSWERED
    drill.kill("on", "--scope", "tool:pay")
    time.sleep(PROMISE)
    assert drill.outcomes(tools=[tool("look"), tool("pay")]) == [KILLED] * 2
    assert drill.outcomes() == [ANSWERED] * 2

    drill.upstream.script(paying, upstream.stream(upstream.tool_events("pay", ["{", "}"])))
    assert outcome(drill.chat(tools=[tool("look")])) == KILLED
    streamed = drill.chat(tools=[tool("look")], stream=True).data.decode()
    assert '"kill_switch"' in streamed
    assert '"pay"' not in streamed
    assert "[DONE]" not in streamed


def test_a_stream_ends_with_an_error_and_its_upstream_is_cancelled(drill: Drill) -> None:
    drill.upstream.script(upstream.stream([*upstream.text_events(["word "] * 2000)], pace=0.02))
    response = drill.chat(stream=True, preload_content=False)
    pieces = response.stream(None)
    received = next(pieces)
    drill.kill("on", "--scope", "model:default")
    received += b"".join(pieces)
    assert_ended_by_the_switch(drill, response, received)


@pytest.mark.parametrize("instance", [0, 1])
def test_a_stream_that_says_nothing_ends_too(drill: Drill, instance: int) -> None:
    """No chunk comes, and no other call is there, that would notice."""
    drill.upstream.script(upstream.stalls("Once "))
    response = drill.chat(instance, stream=True, preload_content=False)
    pieces = response.stream(None)
    received = next(pieces)
    drill.kill("on", "--scope", f"key:{drill.key_id}")
    received += b"".join(pieces)
    assert_ended_by_the_switch(drill, response, received)


def assert_ended_by_the_switch(drill: Drill, response: Any, received: bytes) -> None:
    *_, last, nothing = received.split(b"\n\n")
    assert (json.loads(last.removeprefix(b"data: "))["error"]["code"], nothing) == ("kill_switch", b"")
    assert drill.upstream.requests[-1].hung_up.wait(SOON), "the upstream still works for nobody"
    event = drill.event(response.headers["x-request-id"])
    assert (event["wardgate.decision"], event["error.type"]) == ("killed", "kill_switch")


def test_a_call_that_waits_for_its_whole_answer_ends_too(drill: Drill) -> None:
    drill.upstream.script(upstream.silence(60))
    request_id = f"kill-{secrets.token_hex(8)}"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(drill.chat, headers={"x-request-id": request_id})
        wait_until(lambda: bool(drill.upstream.requests))
        drill.kill("on", "--scope", "all")
        assert outcome(waiting.result(SOON)) == KILLED
    assert drill.upstream.requests[0].hung_up.wait(SOON)
    assert drill.event(request_id)["wardgate.decision"] == "killed"


def test_who_turned_it_stands_in_the_trail(drill: Drill) -> None:
    drill.stack.environment["WARDGATE_OPERATOR"] = "ann@example.com"
    try:
        drill.kill("on", "--scope", "tool:trail", "--reason", "incident 7")
    finally:
        del drill.stack.environment["WARDGATE_OPERATOR"]
    drill.kill("off", "--scope", "tool:trail")

    def operations() -> list[dict[str, Any]]:
        found = drill.events("wardgate.operation.subject", "tool:trail")
        return sorted(found, key=lambda event: str(event["wardgate.operation.action"]), reverse=True)

    wait_until(lambda: len(operations()) == 2)
    on, off = operations()
    assert on == {
        "wardgate.operation.action": "kill.on",
        "wardgate.operation.subject": "tool:trail",
        "wardgate.operation.reason": "incident 7",
        "wardgate.operator.name": "ann@example.com",
        "wardgate.operator.source": "environment",
    }
    assert (off["wardgate.operation.action"], off["wardgate.operator.source"]) == ("kill.off", "os_user")
    assert "kill.on tool:trail by ann@example.com" in drill.stack.wardgate("audit", "show", "--limit", "0").stdout
    assert drill.stack.wardgate("audit", "verify").returncode == 0


def test_a_caller_who_goes_on_calling_does_not_fill_the_trail(drill: Drill) -> None:
    drill.kill("on", "--scope", f"key:{drill.key_id}")
    time.sleep(PROMISE)
    assert {outcome(drill.chat()) for _ in range(40)} == {KILLED}
    drill.kill("off", "--scope", f"key:{drill.key_id}")
    time.sleep(PROMISE)
    drill.event(drill.chat().headers["x-request-id"])
    events = drill.events("wardgate.key.id", drill.key_id)
    assert 10 <= sum(event["wardgate.decision"] == "killed" for event in events) <= 15


def test_a_slip_of_the_pen_is_told(drill: Drill) -> None:
    done = drill.stack.wardgate("kill", "on", "--scope", "model:defualt")
    assert (done.returncode, "no model 'defualt'" in done.stderr) == (0, True)
    assert drill.stack.wardgate("kill", "on", "--scope", f"key:{drill.key}").returncode == 2


def test_a_store_that_cannot_be_read_lets_nothing_new_start(drill: Drill) -> None:
    """A process that has never read the switch, since the document is damaged where it lies."""
    database = drill.stack.home / "documents.db"
    drill.kill("on", "--scope", "tool:damaged")
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        (kept,) = connection.execute("SELECT fields FROM documents WHERE collection = 'switches'").fetchone()
        connection.execute("UPDATE documents SET fields = X'C1' WHERE collection = 'switches'")
        try:
            environment = {
                "WARDGATE_POLICY": drill.stack.environment["WARDGATE_POLICY"],
                "WARDGATE_MODEL_URL": drill.stack.model_url,
            }
            with FunctionProcess("guard", drill.stack.home, environment) as fresh:
                time.sleep(PROMISE)
                there = replace(drill, instances=(drill.stack.url, fresh.url))
                assert there.outcomes() == [ANSWERED, (503, "kill_switch_unreadable")]
        finally:
            connection.execute("UPDATE documents SET fields = ? WHERE collection = 'switches'", (kept,))
