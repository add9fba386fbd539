"""A server with OpenAI's moderations endpoint that flags a word, and the faults a test asks for."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.support.loopback import Handler, LoopbackServer


class ModerationServer(LoopbackServer):
    """A context manager; a text with ``VIOLENT`` in it is flagged."""

    def __init__(self) -> None:
        super().__init__(self._handler())
        self.asked: list[dict[str, Any]] = []
        self.status = 200
        self.body: bytes | None = None
        """In place of an answer."""

        self.silence = 0.0
        """Seconds before each answer."""

    def _handler(server) -> type[Handler]:  # the handler's own self is another
        class Moderations(Handler):
            def do_POST(self) -> None:
                asked = json.loads(self.body())
                server.asked.append({"path": self.path, **asked})
                time.sleep(server.silence)
                results = [
                    {
                        "flagged": "VIOLENT" in text,
                        "categories": {"violence/graphic": "VIOLENT" in text, "hate": False},
                        "category_scores": {"violence/graphic": 0.97, "hate": 0.01},
                    }
                    for text in asked["input"]
                ]
                self.send(server.status, server.body or json.dumps({"id": "modr-1", "results": results}).encode())

        return Moderations
