"""Where the processes of the local stack run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.local.processes import Service, _core
from shared.local.run import _services
from shared.policy import load_policy
from shared.settings import load_settings

GUARD = Service("guard", 8080, "functions_framework", one_core=True)


def allowed(monkeypatch: pytest.MonkeyPatch, *cores: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(cores), raising=False)


def test_one_that_keeps_to_a_core_gets_one_that_it_may_use_and_not_always_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allowed(monkeypatch, 3, 5)
    assert {_core(GUARD) for _ in range(200)} == {"3", "5"}


def test_any_core_will_do_where_there_is_no_choice_or_no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed(monkeypatch, 3)
    assert _core(GUARD) == "any"
    allowed(monkeypatch, 3, 5)
    assert _core(Service("model", 8081, "functions_framework")) == "any"


def test_any_core_will_do_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: int) -> set[int]:
        raise PermissionError

    monkeypatch.setattr(os, "sched_getaffinity", refused, raising=False)
    assert _core(GUARD) == "any"
    monkeypatch.delattr(os, "sched_getaffinity")
    assert _core(GUARD) == "any"


ON = "{ second_stage: { mode: monitor } }"


@pytest.mark.parametrize(
    ("policy", "keeps"),
    [("{}", True), (f"guards: {ON}", False), (f"tenants: {{ one: {{}}, another: {{ guards: {ON} }} }}", False)],
)
def test_guard_keeps_to_a_core_unless_its_second_stage_works_on_several(
    tmp_path: Path, policy: str, keeps: bool
) -> None:
    (tmp_path / "policy.yaml").write_text(policy)
    settings = load_settings(environ={"WARDGATE_ENV": "development", "WARDGATE_HOME": str(tmp_path)})
    services = _services(settings, load_policy(tmp_path / "policy.yaml").file, 8080, None)
    assert [service.name for service in services if service.one_core] == (["guard"] if keeps else [])


@pytest.mark.parametrize(("core", "pinned"), [("any", False), ("{first}", True), ("1000000", False)])
def test_a_child_keeps_to_its_core_and_runs_anyway_where_it_must_not(tmp_path: Path, core: str, pinned: bool) -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("only Linux lets a process keep to a core")
    cores = os.sched_getaffinity(0)
    (tmp_path / "told.py").write_text("import os; print(sorted(os.sched_getaffinity(0)))")
    command = [sys.executable, "-m", "shared.local.child", "0", core.format(first=min(cores)), "told"]
    environment = {**os.environ, "PYTHONPATH": f"{Path.cwd()}{os.pathsep}{tmp_path}"}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as child:
        assert child.stdout is not None
        told = child.stdout.read()
    assert told.strip() == str([min(cores)] if pinned else sorted(cores))
