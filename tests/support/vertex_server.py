"""Vertex AI's OpenAI-compatible endpoint, and the token endpoint that its credentials come from."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.openai_server import OpenAIServer, Recorded, Reply, answer

PROJECT = "test-project"
LOCATION = "europe-west4"
CHAT_PATH = f"/v1/projects/{PROJECT}/locations/{LOCATION}/endpoints/openapi/chat/completions"


@functools.cache
def _private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode()


class VertexServer(OpenAIServer):
    """Hands out tokens ``token-1``, ``token-2``, … under ``/token``; the rest is answered as scripted."""

    tokens = 0
    """How many were handed out."""

    def reply_to(self, recorded: Recorded) -> Reply:
        if recorded.path != "/token":
            return super().reply_to(recorded)
        self.tokens += 1
        return answer({"access_token": f"token-{self.tokens}", "expires_in": 3600, "token_type": "Bearer"})

    def credentials(self, folder: Path) -> Path:
        """A service account's key file whose tokens come from this server."""
        path = folder / "credentials.json"
        path.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "project_id": PROJECT,
                    "private_key_id": "1",
                    "private_key": _private_key(),
                    "client_email": f"model@{PROJECT}.iam.gserviceaccount.com",
                    "token_uri": f"{self.origin}/token",
                }
            )
        )
        return path
