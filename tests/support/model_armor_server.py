"""Model Armor's two screening methods over REST, with a filter for marked words, and the faults a test asks for.

After https://cloud.google.com/security-command-center/docs/reference/model-armor/rest/v1/projects.locations.templates;
the official client is run against it, too.
"""

from __future__ import annotations

import json
import time
from typing import Any

from tests.support.loopback import Handler, LoopbackServer

TEMPLATE = "projects/test-project/locations/europe-west4/templates/strict"
_PATHS = {
    f"/v1/{TEMPLATE}:sanitizeUserPrompt": "userPromptData",
    f"/v1/{TEMPLATE}:sanitizeModelResponse": "modelResponseData",
}


class ModelArmorServer(LoopbackServer):
    """A context manager; ``origin`` takes the place of the API's address."""

    def __init__(self) -> None:
        super().__init__(self._handler())
        self.asked: list[tuple[str, str]] = []
        """The member that held the text, and the text, of every request."""

        self.tokens: list[str] = []
        self.refused_token = ""
        self.status = 200
        self.body: bytes | None = None
        """In place of an answer."""

        self.invocation = "SUCCESS"
        self.silence = 0.0
        """Seconds before each answer."""

    def screen(self, text: str) -> dict[str, Any]:
        """What the filters say: ``INJECT`` and ``SSN`` are what they look for."""

        def state(found: bool) -> dict[str, str]:
            ran = "EXECUTION_SUCCESS" if self.invocation == "SUCCESS" else "EXECUTION_SKIPPED"
            return {"executionState": ran, "matchState": "MATCH_FOUND" if found else "NO_MATCH_FOUND"}

        injected, personal = "INJECT" in text, "SSN" in text
        level = {"confidenceLevel": "HIGH"} if injected else {}
        return {
            "sanitizationResult": {
                "filterMatchState": "MATCH_FOUND" if injected or personal else "NO_MATCH_FOUND",
                "invocationResult": self.invocation,
                "filterResults": {
                    "csam": {"csamFilterFilterResult": state(False)},
                    "malicious_uris": {"maliciousUriFilterResult": state(False)},
                    "rai": {
                        "raiFilterResult": {
                            **state(False),
                            "raiFilterTypeResults": {"dangerous": {"matchState": "NO_MATCH_FOUND"}},
                        }
                    },
                    "pi_and_jailbreak": {"piAndJailbreakFilterResult": {**state(injected), **level}},
                    "sdp": {"sdpFilterResult": {"inspectResult": state(personal)}},
                },
                "sanitizationMetadata": {},
            }
        }

    def _handler(server: ModelArmorServer) -> type[Handler]:  # the handler's own self is another
        class Screens(Handler):
            def do_POST(self) -> None:
                asked = json.loads(self.body())
                server.tokens.append(self.headers.get("authorization", ""))
                member = _PATHS.get(self.path.partition("?")[0])
                time.sleep(server.silence)
                if member is None or not isinstance(asked.get(member), dict):
                    self.send(404, b"{}")
                elif server.refused_token and server.tokens[-1] == server.refused_token:
                    self.send(401, b"{}")
                else:
                    text = asked[member]["text"]
                    server.asked.append((member, text))
                    answer = json.dumps(server.screen(text)).encode() if server.body is None else server.body
                    self.send(server.status, answer)

        return Screens
