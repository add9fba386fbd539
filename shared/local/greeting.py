"""What the stack prints once it serves: everything that a first request needs, ready to be pasted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shared.local.home import STORES_FILE
from shared.local.processes import HOST, Service

if TYPE_CHECKING:
    from shared.local.emulation import Emulation

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
{stores}
Logs: {home}/logs ({names}). Ctrl-C ends it.
ready"""

_EMULATORS = """
Documents and events are in Google's emulators of Firestore ({firestore}) and Pub/Sub ({pubsub}).
What they hold is gone when this ends: API keys, what limits have counted, the kill switch, undelivered events.
`wardgate` finds them through the home while they run, as in
  WARDGATE_HOME={home} .venv/bin/wardgate keys list
and so does any program in a shell that has sourced {home}/{file}.
"""


def greeting(services: Sequence[Service], home: Path, key: str, emulation: Emulation | None = None) -> str:
    """The text, whose last line is ``ready``."""
    return _GREETING.format(
        stores=_told(emulation, _short(home)),
        url=f"http://{HOST}:{services[0].port}",
        key=key,
        home=_short(home),
        names=", ".join(service.name for service in services),
    )


def _told(emulation: Emulation | None, home: Path) -> str:
    if emulation is None:
        return ""
    firestore, pubsub = emulation.addresses.values()
    return _EMULATORS.format(firestore=firestore, pubsub=pubsub, home=home, file=STORES_FILE)


def _short(path: Path) -> Path:
    """The path as a person in the current folder would name it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
