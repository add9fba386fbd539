"""An OAuth 2.0 token exchange as OpenAI has it: checks a Google ID token and gives a token of its own for it.

https://developers.openai.com/api/reference/workload-identity-federation
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import jwt

from tests.support.issuer import SigningKey
from tests.support.loopback import Handler, LoopbackServer

PROVIDER, ACCOUNT, AUDIENCE = "idp_google", "svc_acct_wardgate", "https://api.openai.com/v1"


class TokenExchange(LoopbackServer):
    """A context manager; ``url`` is where tokens are exchanged."""

    def __init__(self, key: SigningKey) -> None:
        self.key = key
        self.lifetime: Any = 3600
        self.exchanges: list[dict[str, Any]] = []
        """The claims of each ID token that was taken."""

        self.subjects: list[str] = []
        """Every token that came."""

        self.answers: deque[tuple[int, bytes]] = deque()
        """What to answer instead."""

        super().__init__(self._handler())
        self.url = f"{self.origin}/oauth/token"

    def given(self, number: int) -> str:
        """The token of an exchange, counted from 1."""
        return f"ey-short-lived-{number}"

    def exchange(self, request: dict[str, Any]) -> tuple[int, bytes]:
        self.subjects.append(str(request.get("subject_token")))
        if self.answers:
            return self.answers.popleft()
        wanted = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "identity_provider_id": PROVIDER,
            "service_account_id": ACCOUNT,
        }
        if {name: request.get(name) for name in wanted} != wanted:
            return 400, b'{"error": "invalid_request"}'
        try:
            public = self.key.private.public_key()
            claims = jwt.decode(request["subject_token"], public, [self.key.algorithm], audience=AUDIENCE)
        except jwt.InvalidTokenError:
            return 401, b'{"error": "invalid_grant"}'
        self.exchanges.append(claims)
        token = self.given(len(self.exchanges))
        given = {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}
        return 200, json.dumps(given).encode()

    def _handler(server) -> type[Handler]:
        class ExchangeHandler(Handler):
            def do_POST(self) -> None:
                request = json.loads(self.body())
                self.send(*(server.exchange(request) if self.path == "/oauth/token" else (404, b"{}")))

        return ExchangeHandler
