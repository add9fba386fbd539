"""What the OpenAI adapter does beyond the contract of upstreams: keys, their rotation, OpenAI's own ways."""

from __future__ import annotations

import pytest

from shared.errors import BadRequest
from shared.models.upstreams.openai import OpenAIUpstream
from shared.models.upstreams.port import UpstreamFailure
from shared.stores.secrets import Secret
from tests.support.models import chat, context
from tests.support.openai_server import OpenAIServer, completion, error


class Keys:
    """A key, and those that follow it each time a fresh one is asked for."""

    def __init__(self, *values, before=None):
        self.before = None if before is None else Secret(before)
        self.values = [None if value is None else Secret(value) for value in values]
        self.renewals = 0

    def __call__(self, *, fresh=False):
        if fresh:
            self.renewals += 1
            self.values = self.values[1:] or self.values
        return self.values[0]

    def previous(self):
        return self.before


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


def upstream(server, request, key=None):
    made = OpenAIUpstream(server.url, key=key, connect_timeout=2)
    request.addfinalizer(made.close)
    return made


def authorizations(server):
    return [sent.headers.get("authorization") for sent in server.requests]


def test_without_a_key_none_is_sent(server, request):
    upstream(server, request).complete(chat(), "m", context())
    upstream(server, request, Keys(None)).complete(chat(), "m", context())
    assert authorizations(server) == [None, None]


def test_the_key_is_sent_as_a_bearer_token(server, request):
    upstream(server, request, Keys(b"sk-1\n")).complete(chat(), "m", context())
    assert authorizations(server) == ["Bearer sk-1"]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_key_that_was_rotated_meanwhile_is_read_anew(server, request, streaming):
    server.script(error(401))
    keys = Keys(b"old", b"new")
    serving = upstream(server, request, keys)
    if streaming:
        list(serving.stream(chat(stream=True), "m", context()))
    else:
        serving.complete(chat(), "m", context())
    assert authorizations(server) == ["Bearer old", "Bearer new"]
    assert keys.renewals == 1


def unknown_key(reason="API_KEY_INVALID"):
    """Google's answer to an API key that it does not know: https://google.aip.dev/193."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    fault = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": [info, None]}
    return error(400, [{"error": fault}])


def test_googles_way_of_not_knowing_a_key_is_understood(server, request):
    server.script(unknown_key())
    upstream(server, request, Keys(b"old", b"new")).complete(chat(), "m", context())
    assert authorizations(server) == ["Bearer old", "Bearer new"]
    server.script(unknown_key("BILLING_DISABLED"))
    with pytest.raises(BadRequest):
        upstream(server, request, Keys(b"old", b"new")).complete(chat(), "m", context())
    assert len(server.requests) == 3


def test_the_same_key_is_not_sent_again(server, request):
    server.script(error(401), completion())
    with pytest.raises(UpstreamFailure) as caught:
        upstream(server, request, Keys(b"old")).complete(chat(), "m", context())
    assert caught.value.error.code == "upstream_auth_failed"
    assert len(server.requests) == 1


def test_where_the_new_key_is_not_accepted_yet_the_previous_one_is_sent(server, request):
    server.script(error(401), completion())
    upstream(server, request, Keys(b"new", before=b"old")).complete(chat(), "m", context())
    server.script(error(401), error(401), completion())
    upstream(server, request, Keys(b"old", b"new", before=b"older")).complete(chat(), "m", context())
    sent = ["new", "old", "old", "new", "older"]
    assert authorizations(server) == [f"Bearer {key}" for key in sent]


def test_a_key_that_is_refused_after_renewal_too(server, request):
    server.script(error(401), error(401), completion())
    with pytest.raises(UpstreamFailure):
        upstream(server, request, Keys(b"old", b"new")).complete(chat(), "m", context())
    assert len(server.requests) == 2


def test_no_error_shows_the_key(server, request):
    server.script(error(401), error(401))
    with pytest.raises(UpstreamFailure) as caught:
        upstream(server, request, Keys(b"sk-old", b"sk-new")).complete(chat(), "m", context())
    assert "sk-" not in repr(caught.value) + str(caught.value) + caught.value.error.message


@pytest.mark.parametrize(
    ("base_url", "own"),
    [
        ("https://api.openai.com/v1", True),
        ("https://thing.openai.azure.com/openai/v1", True),
        ("http://127.0.0.1:11434/v1", False),
        ("https://openai.com.example.org/v1", False),
        ("https://evil-api.openai.com.example.org/v1", False),
    ],
)
def test_openai_itself_gets_its_own_names(base_url, own):
    request = chat(max_tokens=5, messages=[{"role": "developer", "content": "x"}, {"role": "user", "content": "y"}])
    body = OpenAIUpstream(base_url)._body(request, "m", stream=False)
    assert (b'"max_completion_tokens":5' in body) == own
    assert (b'"max_tokens":5' in body) != own
    assert (b'"developer"' in body) == own
