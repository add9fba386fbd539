"""What the stack prints once it serves: everything that a first request needs, ready to be pasted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shared.local.processes import HOST, Service

_GREETING = """\
Wardgate serves {url}
API key: {key} (also in {home}/dev-key)

With curl:
  curl {url}/v1/chat/completions \\
    -H "Authorization: Bearer {key}" \\
    -H "Content-Type: application/json" \\
    -d '{{"model": "default", "messages": [{{"role": "user", "content": "Hello"}}]}}'

With Python's openai package:
  from openai import OpenAI
  client = OpenAI(base_url="{url}/v1", api_key="{key}")
  answer = client.chat.completions.create(model="default", messages=[{{"role": "user", "content": "Hello"}}])
  print(answer.choices[0].message.content)

Logs: {home}/logs ({names}). Ctrl-C ends it.
ready"""


def greeting(services: Sequence[Service], home: Path, key: str) -> str:
    """The text, whose last line is ``ready``."""
    return _GREETING.format(
        url=f"http://{HOST}:{services[0].port}",
        key=key,
        home=_short(home),
        names=", ".join(service.name for service in services),
    )


def _short(path: Path) -> Path:
    """The path as a person in the current folder would name it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
