"""From a policy to its router: which adapter, which key, which model, which bounds."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from shared.errors import ConfigurationError, ServiceUnavailable
from shared.models.connect import connect_router
from shared.policy.types import PolicyFile
from shared.settings import load_settings
from shared.stores.connect import connect_secrets
from tests.support.models import chat, context
from tests.support.openai_server import MODEL, OpenAIServer, completion, error


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


def settings(tmp_path, **environ):
    return load_settings(environ={"WARDGATE_ENV": "development", "WARDGATE_HOME": str(tmp_path), **environ})


def policy(server, **calls):
    tree = {
        "upstreams": {
            "builtin": {"kind": "builtin"},
            "real": {"kind": "openai", "base_url": server.url, "secret": "real-key"},
            "open": {"kind": "openai", "base_url": server.url},
            "vertex": {"kind": "vertex", "project": "a-project"},
        },
        "models": {
            "default": {"targets": [{"upstream": "builtin", "model": "b"}]},
            "keyed": {"targets": [{"upstream": "real", "model": "m"}], "max_output_tokens": 9},
            "free": {"targets": [{"upstream": "open", "model": "m"}]},
        },
        "calls": calls,
    }
    return msgspec.convert(tree, PolicyFile)


def store(tmp_path, *values):
    """The local secret store, with the versions of ``real-key``."""
    secrets = connect_secrets(f"files://{tmp_path}/secrets")
    secrets.create("real-key")
    for value in values:
        secrets.add("real-key", value)
    return secrets


def ask(router, model, **fields):
    return router.complete(chat(model=model, **fields), context())


def close(router):
    for alias in router._aliases.values():
        for target in alias.targets:
            getattr(target.upstream, "close", lambda: None)()


def test_each_alias_leads_to_its_upstream(server, tmp_path):
    store(tmp_path, b"sk-1")
    router = connect_router(policy(server), settings(tmp_path))
    assert router.names == ["default", "keyed", "free"]
    assert ask(router, "default").upstream_model == "wardgate-builtin-1"
    assert ask(router, "keyed").upstream_model == MODEL
    assert ask(router, "free").upstream_model == MODEL
    keyed, free = server.requests
    assert (keyed.headers["authorization"], keyed.json["max_tokens"]) == ("Bearer sk-1", 9)
    assert "authorization" not in free.headers
    assert free.json["max_tokens"] == 4096
    close(router)


def test_a_rotated_key_is_found_as_soon_as_the_old_one_is_refused(server, tmp_path):
    secrets = store(tmp_path, b"sk-1")
    router = connect_router(policy(server, attempts=1), settings(tmp_path))
    ask(router, "keyed")
    secrets.add("real-key", b"sk-2")
    server.script(error(401), completion(), completion())
    ask(router, "keyed")
    ask(router, "keyed")
    keys = [request.headers["authorization"] for request in server.requests]
    assert keys == ["Bearer sk-1", "Bearer sk-1", "Bearer sk-2", "Bearer sk-2"]
    close(router)


def test_a_refused_key_does_not_make_every_request_read_the_store(server, tmp_path, monkeypatch):
    secrets = store(tmp_path, b"sk-1")
    reads = []
    kind, versions = type(secrets), type(secrets).versions
    monkeypatch.setattr(kind, "versions", lambda self, name: reads.append(name) or versions(self, name))
    router = connect_router(policy(server, attempts=1), settings(tmp_path))
    server.script(*[error(401)] * 10)
    for _ in range(10):
        with pytest.raises(ServiceUnavailable):
            ask(router, "keyed")
    assert len(reads) == 2
    close(router)


def test_a_key_that_cannot_be_read(server, tmp_path, capfd):
    router = connect_router(policy(server), settings(tmp_path))
    with pytest.raises(ServiceUnavailable) as caught:
        ask(router, "keyed")
    assert caught.value.code == "upstream_auth_failed"
    assert server.requests == []


def test_the_development_override(server, tmp_path):
    router = connect_router(policy(server), settings(tmp_path, UPSTREAM_URL=server.url, UPSTREAM_API_KEY="sk-dev"))
    routed = ask(router, "default")
    assert (routed.upstream, routed.upstream_model, routed.answer.model) == ("upstream-url", MODEL, "default")
    [sent] = server.requests
    assert (sent.json["model"], sent.headers["authorization"]) == ("default", "Bearer sk-dev")
    close(router)


def test_the_override_can_name_the_model_and_need_no_key(server, tmp_path):
    router = connect_router(policy(server), settings(tmp_path, UPSTREAM_URL=server.url, UPSTREAM_MODEL="tiny"))
    ask(router, "default")
    assert server.requests[0].json["model"] == "tiny"
    assert "authorization" not in server.requests[0].headers
    close(router)


def test_a_malformed_secret_store(server, tmp_path):
    with pytest.raises(ConfigurationError):
        connect_router(policy(server), settings(tmp_path, WARDGATE_SECRETS="files://relative"))


IMPORTS = """
import sys
import msgspec
from shared.models.connect import connect_router, import_adapters
from shared.policy.types import PolicyFile
from shared.settings import load_settings

plain = PolicyFile()
settings = load_settings(environ={"WARDGATE_ENV": "development"})
import_adapters(plain, settings)
connect_router(plain, settings)
heavy = {"google.auth", "urllib3", "requests", "grpc", "openai"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
import_adapters(msgspec.convert({"upstreams": {"v": {"kind": "vertex", "project": "a-project"}}}, PolicyFile), settings)
assert "google.auth" in sys.modules
"""


def test_what_an_upstream_needs_is_imported_for_it_alone_and_before_the_first_request():
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, timeout=60)
