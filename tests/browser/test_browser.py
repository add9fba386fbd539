"""The stock JavaScript SDK and plain ``fetch`` in headless Chromium, from an allowed origin and from another."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from shared.policy.load import DEFAULT_POLICY
from tests.support.browser import PageServer, chromium_shows
from tests.support.stack import LocalStack
from tests.support.tools import need

HERE = Path(__file__).parent
EXPOSED = {
    "wardgate-receipt",
    "x-request-id",
    "ratelimit",
    "ratelimit-policy",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
}


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The locked JavaScript SDK, freshly installed; no script of a package is run."""
    (npm, _) = need("npm", "chromium")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "node_modules" / "openai"


@pytest.fixture(scope="module")
def pages(sdk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """What the page reports from an origin in the policy (``allowed``) and from another (``stranger``)."""
    (chromium,) = need("chromium")
    folder = tmp_path_factory.mktemp("browser")
    with ExitStack() as opened:
        folders = {"/": HERE / "page", "/sdk/": sdk}
        servers = {name: opened.enter_context(PageServer(folders)) for name in ("allowed", "stranger")}
        policy = yaml.safe_load(DEFAULT_POLICY.read_text())
        policy["cors"] = {"origins": [servers["allowed"].origin]}
        (folder / "policy.yaml").write_text(yaml.safe_dump(policy))
        stack = opened.enter_context(LocalStack(folder / "home", policy=folder / "policy.yaml"))
        config = {"guard": stack.url, "key": stack.key, "spentKey": spent_key(stack)}
        reports = {}
        for name, server in servers.items():
            server.config = config
            (folder / name).mkdir()
            with chromium_shows(chromium, f"{server.origin}/index.html", folder / name):
                reports[name] = server.results()
        yield reports


def spent_key(stack: LocalStack) -> str:
    """A key whose limit of 20 requests is used up."""
    key = stack.new_key()
    http = urllib3.PoolManager(retries=False)
    statuses = [
        http.request(
            "POST", f"{stack.url}/v1/scan", json={"text": "x"}, headers={"authorization": f"Bearer {key}"}
        ).status
        for _ in range(21)
    ]
    assert statuses == [200] * 20 + [429]
    return key


@pytest.fixture(scope="module")
def allowed(pages: dict[str, dict[str, Any]]) -> dict[str, Any]:
    assert "crash" not in pages["allowed"], pages["allowed"]
    return pages["allowed"]


@pytest.fixture(scope="module")
def stranger(pages: dict[str, dict[str, Any]]) -> dict[str, Any]:
    assert "crash" not in pages["stranger"], pages["stranger"]
    return pages["stranger"]


def test_the_sdk_gets_an_answer(allowed):
    assert "stand-in" in allowed["answer"]["content"]
    assert allowed["answer"]["usage"]["total_tokens"] > 0


def test_a_page_reads_receipt_and_limits(allowed):
    headers = allowed["answer"]["headers"]
    assert headers.keys() >= EXPOSED
    assert headers["wardgate-receipt"].count(".") == 2
    assert headers["x-ratelimit-limit-requests"] == "20"
    assert headers["ratelimit"].startswith('"requests-per-minute";r=')


def test_a_page_reads_no_other_header(allowed):
    safelisted = {"content-type", "content-length", "cache-control"}
    assert allowed["answer"]["headers"].keys() <= EXPOSED | safelisted | {"wardgate-hold-back", "wardgate-notice"}


def test_the_sdk_streams_the_same_answer(allowed):
    assert allowed["stream"]["content"] == allowed["answer"]["content"]
    assert allowed["stream"]["finish"] == "stop"
    assert allowed["stream"]["chunks"] > 1


def test_the_models_are_listed(allowed):
    assert allowed["models"] == ["default"]


@pytest.mark.parametrize(
    ("check", "kind", "status", "code"),
    [
        ("wrongKey", "AuthenticationError", 401, "invalid_api_key"),
        ("spent", "RateLimitError", 429, "rate_limit_exceeded"),
        ("blocked", "BadRequestError", 400, "content_filter"),
        ("otherRoute", "NotFoundError", 404, "not_found"),
    ],
)
def test_a_page_reads_what_went_wrong(allowed, check, kind, status, code):
    failure = allowed[check]
    assert (failure["kind"], failure["status"], failure["code"]) == (kind, status, code)
    assert failure["requestId"]


def test_plain_fetch_works(allowed):
    fetched = allowed["plainFetch"]
    assert (fetched["status"], fetched["type"], fetched["body"]["object"]) == (200, "cors", "chat.completion")
    assert allowed["openRoutes"] == [200, 200, 200]


def test_plain_fetch_reads_the_stream_and_its_receipt(allowed):
    streamed = allowed["plainStream"]
    assert streamed["type"].startswith("text/event-stream")
    assert "\n\n: wardgate-receipt " in streamed["text"]
    assert streamed["text"].endswith("data: [DONE]\n\n")


def test_a_page_may_send_an_idempotency_key(allowed):
    assert allowed["idempotent"] is True


@pytest.mark.parametrize("check", ["unknownHeader", "cookies"])
def test_what_the_policy_does_not_allow_is_refused_by_the_browser(allowed, check):
    assert allowed[check]["kind"] == "TypeError"


@pytest.mark.parametrize(
    "check", ["answer", "stream", "models", "plainFetch", "plainStream", "idempotent", "openRoutes"]
)
def test_a_page_of_another_origin_reads_nothing(stranger, check):
    assert stranger[check]["thrown"] in {"APIConnectionError", "TypeError"}


@pytest.mark.parametrize("check", ["wrongKey", "spent", "blocked", "otherRoute", "unknownHeader", "cookies"])
def test_a_page_of_another_origin_does_not_even_read_errors(stranger, check):
    assert stranger[check]["kind"] in {"APIConnectionError", "TypeError"}
    assert stranger[check].get("code") is None


def test_a_request_without_preflight_stays_closed(allowed, stranger):
    for page in (allowed, stranger):
        assert page["simpleRequest"] == {"type": "opaque", "status": 0, "text": ""}
