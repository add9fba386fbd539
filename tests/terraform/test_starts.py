"""Each function starts from its zip with exactly the environment that production gives it."""

import os
import subprocess
import sys
import zipfile

import pytest

from functions.bundle import function_names, write
from tests.terraform.rules.reading import environment, functions, policy_file


@pytest.fixture(scope="module")
def production(runs):
    return runs["examples/production"].plan


def start(name, folder, policy, given):
    """Import a function as the framework does, with nothing else in its environment."""
    with zipfile.ZipFile(write(name, folder, policy=policy)) as archive:
        archive.extractall(folder / name)
    return subprocess.Popen(
        [sys.executable, "-c", f"from functions_framework import create_app; create_app({name!r}, 'main.py')"],
        cwd=folder / name,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder / name)} | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_all_start(production, tmp_path):
    policy, deployed = policy_file(production), functions(production)
    started = {name: start(name, tmp_path, policy, environment(deployed[name])) for name in function_names()}
    said = {name: process.communicate()[0] for name, process in started.items()}
    assert not {name: said[name] for name, process in started.items() if process.returncode}


def test_without_a_setting_a_function_says_which(production, tmp_path):
    given = environment(functions(production)["model"])
    del given["WARDGATE_DOCUMENTS"]
    process = start("model", tmp_path, policy_file(production), given)
    assert "WARDGATE_DOCUMENTS: is not set" in process.communicate()[0]
    assert process.returncode == 2
