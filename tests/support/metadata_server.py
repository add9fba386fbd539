"""Google's metadata server as far as ID tokens go, and the token endpoint that service-account keys are for."""

from __future__ import annotations

import json
import time
from urllib.parse import parse_qs, urlsplit

from tests.support.issuer import SigningKey
from tests.support.loopback import Handler, LoopbackServer

IDENTITY = "/computeMetadata/v1/instance/service-accounts/default/identity"


class MetadataServer(LoopbackServer):
    """A context manager; ``host`` is for ``GCE_METADATA_HOST``. As the real one, it hands a token out again."""

    def __init__(self, key: SigningKey, service_account: str) -> None:
        self.key = key
        self.service_account = service_account
        self.calls: list[dict[str, list[str]]] = []
        """The query of each request for a token."""

        self.assertions: list[str] = []
        """What the token endpoint was sent."""

        self.failures = 0
        """How many requests to answer with 503 first."""

        self.answer: bytes | None = None
        """What to answer in place of a token."""

        self._tokens: dict[str, str] = {}
        super().__init__(self._handler())

    def token(self, audience: str) -> str:
        """The token for an audience, the same one each time."""
        if audience not in self._tokens:
            now = int(time.time())
            claims = {
                "iss": "https://accounts.google.com",
                "aud": audience,
                "azp": "1",
                "sub": "1",
                "email": self.service_account,
                "email_verified": True,
                "iat": now,
                "exp": now + 3600,
            }
            self._tokens[audience] = self.key.sign(claims)
        return self._tokens[audience]

    def identity(self, query: dict[str, list[str]], flavour: str | None) -> tuple[int, bytes]:
        """Answer a request for the instance's ID token."""
        self.calls.append(query)
        if self.failures > 0:
            self.failures -= 1
            return 503, b"starting"
        if flavour != "Google" or query.get("format") != ["full"]:
            return 403, b"not asked as the documentation says"
        return 200, self.token(query["audience"][0]).encode() if self.answer is None else self.answer

    def exchange(self, form: dict[str, list[str]]) -> tuple[int, bytes]:
        """Answer a service account's signed assertion with an ID token."""
        self.assertions.append(form["assertion"][0])
        return 200, json.dumps({"id_token": self.token("")}).encode()

    def _handler(server) -> type[Handler]:
        class MetadataHandler(Handler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                known = url.path == IDENTITY
                flavour = self.headers.get("metadata-flavor")
                status, body = server.identity(parse_qs(url.query), flavour) if known else (404, b"")
                self.send(status, body, "text/html", metadata_flavor="Google")

            def do_POST(self) -> None:
                self.send(*server.exchange(parse_qs(self.body().decode())))

        return MetadataHandler
