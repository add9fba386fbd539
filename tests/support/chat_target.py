"""A running stack with an upstream behind it that does as it is told, and a key to chat with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from tests.support.openai_server import OpenAIServer
from tests.support.stack import LocalStack

_HTTP = urllib3.PoolManager(retries=False)

Running = tuple[LocalStack, OpenAIServer]


@contextmanager
def running_stack(folder: Path, policy: str) -> Iterator[Running]:
    """A stack under a policy, given as YAML, and the upstream of its model function."""
    (folder / "policy.yaml").write_text(policy)
    with (
        OpenAIServer() as upstream,
        LocalStack(folder / "home", policy=folder / "policy.yaml", env={"UPSTREAM_URL": upstream.url}) as stack,
    ):
        yield stack, upstream


@dataclass
class ChatTarget:
    """What a test asks, with a key of its own."""

    stack: LocalStack
    upstream: OpenAIServer
    key: str

    def chat(
        self,
        content: str = "Hello",
        *,
        headers: Mapping[str, str] | None = None,
        preload_content: bool = True,
        **more: Any,
    ) -> urllib3.BaseHTTPResponse:
        """Ask the default model; ``more`` are further fields of the request."""
        body = {"model": "default", "messages": [{"role": "user", "content": content}], **more}
        usual = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        return _HTTP.request(
            "POST",
            f"{self.stack.url}/v1/chat/completions",
            body=json.dumps(body).encode(),
            headers={**usual, **(headers or {})},
            preload_content=preload_content,
        )
