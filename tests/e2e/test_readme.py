"""What README says is so: its requests answer, its commands exist, its files are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stack import LocalStack

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PLACES = sorted(set(re.findall(r"`((?:tests|functions|shared|docs)/[^`*… ]*)`", README)))
COMMANDS = sorted(
    {line.partition("wardgate ")[2] for line in README.splitlines() if line.startswith(".venv/bin/wardgate ")}
)


def block(language: str, holding: str) -> str:
    (found,) = [text for kind, text in BLOCKS if kind == language and holding in text]
    return str(found)


def on(stack: LocalStack, text: str) -> str:
    """The text, for a stack that is not at README's address."""
    return text.replace("http://127.0.0.1:8080", stack.url).replace(".wardgate/dev-key", str(stack.home / "dev-key"))


def test_the_first_request(open_stack: LocalStack) -> None:
    done = subprocess.run(
        ["bash", "-c", on(open_stack, block("sh", "curl "))], capture_output=True, text=True, timeout=60, check=True
    )
    assert "stand-in" in done.stdout


def test_the_python_snippet(open_stack: LocalStack) -> None:
    done = subprocess.run(
        [sys.executable, "-c", on(open_stack, block("python", "OpenAI("))],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "stand-in" in done.stdout


@pytest.mark.parametrize("place", PLACES)
def test_the_place_exists(place: str) -> None:
    assert (ROOT / place).exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_exists(command: str) -> None:
    words = re.split(r" +(?=--|[A-Z\"#]|[a-z]+\.json)", command)[0].split()
    options = re.findall(r"--[a-z-]+", command)
    told = subprocess.run(
        [str(Path(sys.executable).with_name("wardgate")), *words, "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert all(option in told for option in options)


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z-]+)", README) + re.findall(
        r"^(?:\w+=\S+ )*make ([a-z-]+)", README, re.MULTILINE
    ):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
