"""What Vertex AI's adapter does beyond OpenAI's protocol: its address, its credentials, its safety settings."""

from __future__ import annotations

import pytest

from shared.models.upstreams.port import UpstreamFailure
from shared.models.upstreams.vertex import AccessToken, connect_vertex, endpoint
from shared.policy.types import VertexUpstream
from tests.support.models import chat, context
from tests.support.openai_server import completion, error
from tests.support.vertex_server import CHAT_PATH, LOCATION, PROJECT, VertexServer


@pytest.fixture
def server(tmp_path, monkeypatch):
    with VertexServer() as running:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(running.credentials(tmp_path)))
        yield running


@pytest.fixture
def connect(server):
    made = []

    def connect(**fields):
        config = VertexUpstream(project=PROJECT, location=LOCATION, base_url=server.origin, **fields)
        made.append(connect_vertex(config, connect_timeout=2))
        return made[-1]

    yield connect
    for upstream in made:
        upstream.close()


def chats(server):
    return [request for request in server.requests if request.path == CHAT_PATH]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "https://aiplatform.googleapis.com/v1/projects/a-project/locations/global/endpoints/openapi"),
        (
            {"location": "us-central1"},
            "https://us-central1-aiplatform.googleapis.com/v1/projects/a-project/locations/us-central1/endpoints/openapi",
        ),
        (
            {"location": "us-central1", "base_url": "https://10.1.2.3/"},
            "https://10.1.2.3/v1/projects/a-project/locations/us-central1/endpoints/openapi",
        ),
    ],
)
def test_the_address(fields, expected):
    assert endpoint(VertexUpstream(project="a-project", **fields)) == expected


def test_the_safety_settings_come_from_the_policy(server, connect):
    connect(safety="BLOCK_LOW_AND_ABOVE").complete(chat(), "google/gemini", context(30))
    body = chats(server)[0].json
    assert body["model"] == "google/gemini"
    settings = body["extra_body"]["google"]["safety_settings"]
    assert {setting["category"]: setting["threshold"] for setting in settings} == dict.fromkeys(
        [
            "HARM_CATEGORY_HATE_SPEECH",
            "HARM_CATEGORY_DANGEROUS_CONTENT",
            "HARM_CATEGORY_HARASSMENT",
            "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        ],
        "BLOCK_LOW_AND_ABOVE",
    )


def test_one_token_serves_many_calls(server, connect):
    upstream = connect()
    for _ in range(3):
        upstream.complete(chat(), "m", context(30))
    assert server.tokens == 1
    assert {request.headers["authorization"] for request in chats(server)} == {"Bearer token-1"}


def test_a_token_that_is_refused_is_renewed_once(server, connect):
    upstream = connect()
    server.script(error(401), completion())
    upstream.complete(chat(), "m", context(30))
    assert [request.headers["authorization"] for request in chats(server)] == ["Bearer token-1", "Bearer token-2"]
    server.script(error(401), error(401), completion())
    with pytest.raises(UpstreamFailure) as caught:
        upstream.complete(chat(), "m", context(30))
    assert caught.value.error.code == "upstream_auth_failed"
    assert len(chats(server)) == 4


def test_credentials_that_cannot_be_had(tmp_path, monkeypatch, connect):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(UpstreamFailure) as caught:
        connect().complete(chat(), "m", context(30))
    assert caught.value.error.code == "upstream_auth_failed"
    assert caught.value.final
    assert not caught.value.retry


def test_a_token_endpoint_that_refuses(server, connect, monkeypatch):
    monkeypatch.setattr(server, "reply_to", lambda recorded: error(400, {"error": "invalid_grant"}))
    with pytest.raises(UpstreamFailure) as caught:
        connect().complete(chat(), "m", context(30))
    assert caught.value.error.code == "upstream_auth_failed"
    assert not caught.value.final
    assert chats(server) == []


def test_the_token_does_not_show_itself(server):
    assert "token-1" not in repr(AccessToken()())
