"""A local stack whose model is a scripted server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.openai_server import OpenAIServer
from tests.support.stack import LocalStack


@contextmanager
def answering_stack(folder: Path, policy: str) -> Iterator[tuple[LocalStack, OpenAIServer]]:
    """The stack, with its home and this policy in ``folder``, and the server that its models' answers come from."""
    (folder / "policy.yaml").write_text(policy)
    with (
        OpenAIServer() as server,
        LocalStack(folder / "home", policy=folder / "policy.yaml", env={"UPSTREAM_URL": server.url}) as stack,
    ):
        yield stack, server
