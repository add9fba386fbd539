"""The adapter for Vertex AI, over its OpenAI-compatible endpoint and by application default credentials.

https://cloud.google.com/vertex-ai/generative-ai/docs/migrate/openai/overview: models are named with
their publisher (``google/gemini-2.5-flash``), and what OpenAI's format lacks goes under
``extra_body.google``. The safety settings there come from the policy alone: a request that names
``extra_body`` is refused as unknown before it gets here.
"""

from __future__ import annotations

import msgspec
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

from shared.models.upstreams.failures import auth_failed
from shared.models.upstreams.openai import OpenAIUpstream
from shared.policy.types import VertexUpstream as VertexConfig
from shared.stores import access_token
from shared.stores.secrets import Secret

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_HARM_CATEGORIES = (
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
)


def connect_vertex(config: VertexConfig, *, connect_timeout: float) -> OpenAIUpstream:
    """The upstream for one project and location."""
    return OpenAIUpstream(
        endpoint(config), key=AccessToken(), connect_timeout=connect_timeout, extra=_safety_settings(config)
    )


def endpoint(config: VertexConfig) -> str:
    """The base URL of the OpenAI-compatible API. A ``base_url`` in the policy takes the public host's place."""
    host = (
        "aiplatform.googleapis.com" if config.location == "global" else f"{config.location}-aiplatform.googleapis.com"
    )
    base = (config.base_url or f"https://{host}").rstrip("/")
    return f"{base}/v1/projects/{config.project}/locations/{config.location}/endpoints/openapi"


def _safety_settings(config: VertexConfig) -> bytes:
    settings = [{"category": category, "threshold": config.safety} for category in _HARM_CATEGORIES]
    return b'"extra_body":' + msgspec.json.encode({"google": {"safety_settings": settings}})


class AccessToken:
    """The access token of the application default credentials."""

    def __init__(self) -> None:
        self._token = access_token.AccessToken(_SCOPE)

    def __call__(self, *, fresh: bool = False) -> Secret:
        """The token; with ``fresh`` a new one.

        Raises:
            UpstreamFailure: There are no credentials, or they cannot be renewed.
        """
        try:
            return self._token.get(fresh=fresh)
        except GoogleAuthError as error:
            raise auth_failed(final=isinstance(error, DefaultCredentialsError)) from error

    def previous(self) -> None:
        """An older token is of no more use than the one that was refused."""
