"""The files that build and check Wardgate name only what is there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
CI_RUN = (ROOT / ".ci/run").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.M))
STAMPS = {".venv/.installed-smollm2", ".venv/.installed-second-stage-tests"}


BUILDS = ("cloudbuild.yaml", "cloudbuild.apply.yaml")
DIGEST = re.compile(r"[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}")


def build(name):
    return yaml.safe_load((ROOT / name).read_text())


def commands(step):
    """What a step runs: each command of its script as words, without the wrapper that installs `make`."""
    words = [word for word in step["args"] if word not in (".ci/in-build", "-euc")]
    if words[0] == "bash":
        words = words[1:]
    if len(words) == 1:
        return [shlex.split(command) for command in words[0].split("&&")]
    return [words]


def all_commands(name):
    return [command for step in build(name)["steps"] for command in commands(step)]


@pytest.mark.parametrize("name", BUILDS)
def test_every_image_of_a_build_is_pinned_by_its_digest(name):
    images = [step["name"] for step in build(name)["steps"]]
    assert all(DIGEST.fullmatch(image) for image in images)
    by_name = {image.partition("@")[0]: image for image in images}
    assert set(images) == set(by_name.values()), "one image has two digests"
    for other in BUILDS:
        for step in build(other)["steps"]:
            assert by_name.get(step["name"].partition("@")[0], step["name"]) == step["name"]


@pytest.mark.parametrize("name", BUILDS)
def test_every_step_runs_what_is_there(name):
    steps = build(name)["steps"]
    assert len({step["id"] for step in steps}) == len(steps)
    for step in steps:
        assert step["entrypoint"] in ("sh", "bash")
        for command in commands(step):
            program = command[0]
            if program == "make":
                targets = [word for word in command[1:] if "=" not in word]
                assert set(targets) <= TARGETS | STAMPS, command
            elif program.startswith(".ci/"):
                assert os.access(ROOT / program, os.X_OK), program
            else:
                assert program in ("terraform", "mkdir", "cp"), program


@pytest.mark.parametrize("name", BUILDS)
def test_a_build_uses_the_substitutions_that_it_declares(name):
    text = (ROOT / name).read_text()
    used = set(re.findall(r"\$\{(\w+)\}", text))
    assert used - {"BUILD_ID", "COMMIT_SHA"} == set(build(name)["substitutions"])
    first = build(name)["steps"][0]
    assert first["id"] == "settings"
    assert {f"_{word}" for word in first["args"][1:]} == set(build(name)["substitutions"])
    for step in build(name)["steps"]:
        for variable in step.get("env", []):
            setting, _, value = variable.partition("=")
            assert value in (f"${{_{setting}}}", "${BUILD_ID}", "${COMMIT_SHA}", "0"), variable


def test_cloud_build_leaves_nothing_of_ci_out():
    ours = {tuple(shlex.split(line, comments=True)) for line in CI_RUN.splitlines() if re.match(r"(make|\.ci/)", line)}
    theirs = {tuple(command) for command in all_commands("cloudbuild.yaml")}
    without_seed = {tuple(word for word in command if not word.startswith("SEED=")) for command in ours}
    assert without_seed <= theirs
    audit = next(step for step in build("cloudbuild.yaml")["steps"] if step["id"] == "audit-deps")
    assert audit["env"] == ["WARDGATE_OFFLINE=0"], "the audit must be made"


def test_what_is_built_is_scanned_before_it_is_planned_and_applied_only_with_approval():
    order = [step["id"] for step in build("cloudbuild.yaml")["steps"]]
    assert order.index("package") < order.index("build-images") < order.index("scan-images") < order.index("plan")
    assert "apply" not in " ".join(word for command in all_commands("cloudbuild.yaml") for word in command)
    trigger = (ROOT / "terraform/bootstrap/main.tf").read_text().partition('"google_cloudbuild_trigger" "apply"')[2]
    assert "approval_required = true" in trigger
    assert "cloudbuild.apply.yaml" in trigger


def need(*names, **settings):
    ran = subprocess.run(
        ["sh", ROOT / ".ci/need", *names],
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stderr.splitlines()


def test_a_build_without_its_settings_stops_and_says_which():
    digest = "sha256:" + "0" * 64
    assert need("ROOT", "PACK_IMAGE", ROOT="terraform", PACK_IMAGE=f"pack:1@{digest}") == (0, [])
    status, said = need("ROOT", "PACK_IMAGE", "BUILDER_IMAGE", PACK_IMAGE="pack:latest")
    assert status == 1
    assert [line.split()[0] for line in said] == ["_ROOT", "_PACK_IMAGE", "_BUILDER_IMAGE", "Set"]
    assert need("PACK_IMAGE", PACK_IMAGE="pack@sha256:0")[0] == 1


def shim(folder, *names):
    """Programs that note how they were called."""
    for name in names:
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{folder}/calls\n')
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture
def tree(tmp_path):
    """A clone as far as the scripts look, with a zip of each function."""
    (tmp_path / ".ci").mkdir()
    for script in (".ci/build-images", ".ci/scan-images", ".ci/plan", ".ci/apply"):
        shutil.copy(ROOT / script, tmp_path / script)
    for main in ROOT.glob("functions/*/main.py"):
        (tmp_path / main.relative_to(ROOT)).parent.mkdir(parents=True)
        shutil.copy(main, tmp_path / main.relative_to(ROOT))
    (tmp_path / "dist/sbom").mkdir(parents=True)
    (tmp_path / "dist/sbom/guard.cdx.json").write_text("{}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root/main.tf").write_text("")
    return tmp_path


def run_script(tree, script, **settings):
    path = shim(tree / "bin", "docker", "trivy", "terraform", "gcloud")
    ran = subprocess.run(
        [tree / script], env={"PATH": path, **settings}, capture_output=True, text=True, check=False, cwd=tree
    )
    calls = tree / "bin/calls"
    return ran.returncode, ran.stderr, calls.read_text().splitlines() if calls.exists() else []


def test_each_function_has_its_image_built_of_its_zip_and_scanned(tree):
    names = sorted(folder.parent.name for folder in tree.glob("functions/*/main.py"))
    settings = {"PACK_IMAGE": "pack@sha256:1", "BUILDER_IMAGE": "builder@sha256:2", "TAG": "t"}
    assert run_script(tree, ".ci/build-images", **settings)[0] == 1, "there are no zips yet"
    for name in names:
        (tree / f"dist/{name}-0123456789abcdef.zip").write_bytes(b"")
    status, _, calls = run_script(tree, ".ci/build-images", **settings)
    assert (status, len(calls)) == (0, len(names))
    for name, call in zip(names, calls, strict=True):
        kind = (
            "cloudevent"
            if "@functions_framework.cloud_event" in (tree / f"functions/{name}/main.py").read_text()
            else "http"
        )
        assert (
            f"build wardgate/{name}:t --builder builder@sha256:2 --path {tree}/dist/{name}-0123456789abcdef.zip" in call
        )
        assert f"GOOGLE_FUNCTION_TARGET={name} --env GOOGLE_FUNCTION_SIGNATURE_TYPE={kind}" in call
    status, _, calls = run_script(tree, ".ci/scan-images", TAG="t")
    scanned = [call.split()[-1] for call in calls if call.startswith("trivy")]
    assert (status, scanned) == (0, [f"wardgate/{name}:t" for name in names])
    (tree / "bin/trivy").write_text("#!/bin/sh\nexit 1\n")
    environment = {"PATH": f"{tree / 'bin'}:{os.environ['PATH']}", "TAG": "t"}
    assert subprocess.run([tree / ".ci/scan-images"], env=environment, check=False).returncode == 1


def test_a_plan_is_kept_for_its_commit_and_nothing_else_is_applied(tree):
    settings = {"ROOT": "root", "STATE_BUCKET": "state", "COMMIT": "abc"}
    status, _, calls = run_script(tree, ".ci/plan", **settings)
    assert status == 0
    assert f"terraform -chdir=root plan -out={tree}/dist/deploy.tfplan" in calls
    assert "gcloud storage cp dist/deploy.tfplan gs://state/plans/abc.tfplan" in calls
    assert not any(" apply" in call for call in calls)
    (tree / "bin/calls").unlink()
    status, _, calls = run_script(tree, ".ci/apply", **settings)
    assert status == 0
    assert calls[0] == "gcloud storage cp gs://state/plans/abc.tfplan dist/deploy.tfplan"
    assert f"terraform -chdir=root apply {tree}/dist/deploy.tfplan" in calls
    assert run_script(tree, ".ci/plan", **{**settings, "ROOT": "nowhere"})[0] == 1


@pytest.mark.needs("terraform")
def test_terraform_is_formatted():
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", "terraform"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_ci_runs_targets_that_exist():
    called = re.findall(r"^make ([a-z-]+)", CI_RUN, re.M)
    assert called[-1] == "test"
    assert set(called) <= TARGETS
    for run in [".ci/run", *re.findall(r"^\.ci/[a-z-]+", CI_RUN, re.M)]:
        assert os.access(ROOT / run, os.X_OK)


@pytest.fixture
def audit(tmp_path):
    """Runs .ci/audit-deps where `make` fails, and `curl` too unless the list is in reach: status, output and calls."""

    def audit(offline, *, in_reach=False):
        for name, status in (("make", 3), ("curl", 0 if in_reach else 6)):
            (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{tmp_path}/calls\nexit {status}\n')
            (tmp_path / name).chmod(0o755)
        given = {name: value for name, value in os.environ.items() if name != "WARDGATE_OFFLINE"}
        environment = {**given, "PATH": f"{tmp_path}:{given['PATH']}"}
        environment |= {} if offline is None else {"WARDGATE_OFFLINE": offline}
        ran = subprocess.run([ROOT / ".ci/audit-deps"], env=environment, capture_output=True, text=True, check=False)
        calls = (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []
        return ran.returncode, ran.stdout.splitlines(), [call.split()[0] for call in calls]

    return audit


def test_an_audit_looks_at_every_lock_and_fails_where_one_is_bad(tmp_path):
    looked_at = tmp_path / "looked-at"
    (tmp_path / "pip-audit").write_text(
        "#!/bin/sh\nfor lock; do :; done\n"  # the last argument
        f'echo "$lock" >>{looked_at}\n[ "$lock" != requirements.txt ]\n'
    )
    (tmp_path / "pip-audit").chmod(0o755)
    installed = [f"--old-file={sys.prefix}/{name}" for name in (".installed", ".installed-dev")]
    command = ["make", "audit-deps", f"VENV={sys.prefix}", f"BIN={tmp_path}", *installed]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    locks = subprocess.run(
        ["git", "ls-files", "*requirements.txt"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    of_functions = re.compile(r"functions/\w+/requirements\.txt")  # subsets of the root's
    wanted = {lock for lock in locks.stdout.split() if not of_functions.fullmatch(lock)}
    assert set(looked_at.read_text().split()) == wanted, ran.stderr
    assert ran.returncode != 0


def test_an_audit_that_cannot_be_made_is_said_in_one_line(audit):
    status, printed, calls = audit(None)
    assert (status, calls, len(printed)) == (0, ["curl"], 1)
    assert printed[0].startswith("audit-deps: not run, since no list of vulnerabilities is in reach")


def test_an_audit_that_is_not_wanted_is_said_too(audit):
    assert audit("1") == (0, ["audit-deps: not run, since WARDGATE_OFFLINE=1"], [])


def test_an_audit_that_can_be_made_counts(audit):
    assert audit(None, in_reach=True) == (3, [], ["curl", "make"])


def test_an_audit_that_must_be_made_counts_whatever_is_in_reach(audit):
    assert audit("0") == (3, [], ["make"])


def test_a_slip_in_the_variable_is_no_leave(audit):
    assert audit("false")[0] == 2


def test_files_that_the_makefile_names_exist():
    for path in re.findall(r"\b(?:tests|functions|shared)/[\w./-]+\b", MAKEFILE):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"-m ((?:tests|shared)[\w.]*)", MAKEFILE):
        place = ROOT.joinpath(*module.split("."))
        assert (place / "__main__.py").exists() or place.with_suffix(".py").exists(), module


def test_every_target_is_listed_and_none_is_taken_for_a_file():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)[1].split())
    assert set(re.findall(r"^  make ([a-z-]+)", shown, re.M)) == phony == TARGETS


@pytest.mark.parametrize(
    "target", ["run", "test", "test-faults", "lint", "format", "lock", "package", "bench", "audit-deps"]
)
def test_every_target_installs_first(target):
    prerequisites = re.search(rf"^{target}: (.*?)(?: ##|$)", MAKEFILE, re.M)[1]
    assert prerequisites.startswith(("$(RUNTIME)", "$(DEV)"))


def test_a_python_that_is_too_old_is_said_in_one_line(tmp_path):
    for name in ("python3", "python3.13", "python3.12", "python3.11"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["make", f"VENV={tmp_path}/venv", f"{tmp_path}/venv/bin/python"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert ended.stderr.splitlines()[0].startswith("Wardgate needs Python 3.11 or newer")
    assert not (tmp_path / "venv").exists()
