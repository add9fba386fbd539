"""What is installed: locked by hash, the same version everywhere, each package with a reason and a use."""

import ast
import re
import tomllib
from functools import cache
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
FUNCTIONS = sorted(folder.parent.name for folder in ROOT.glob("functions/*/main.py"))
SECOND_STAGE = ROOT / "functions/guard/second-stage-requirements.txt"
APART = {
    *("install", "dev", "scan", "checkov", "smollm2", "evaluation"),
    *("second_stage", "second_stage_tests", "encoder"),
}
"""Groups that are of no function."""

LOCKS = [
    ROOT / "requirements.txt",
    ROOT / "tests/requirements.txt",
    ROOT / "tests/scan-requirements.txt",
    ROOT / "tests/checkov-requirements.txt",
    ROOT / "shared/local/smollm2-requirements.txt",
    ROOT / "tests/evaluation/requirements.txt",
    ROOT / "tests/evaluation/encoder-requirements.txt",
    ROOT / "tests/second-stage-requirements.txt",
    SECOND_STAGE,
    *(ROOT / "functions" / name / "requirements.txt" for name in FUNCTIONS),
]


@cache
def locked(path):
    """Package name → (version, hashes)."""
    entries = {}
    for entry in path.read_text().replace("\\\n", " ").splitlines():
        if entry and not entry.lstrip().startswith("#"):
            requirement, *hashes = entry.split("--hash=")
            parsed = Requirement(requirement)
            entries[canonicalize_name(parsed.name)] = (str(parsed.specifier), frozenset(map(str.strip, hashes)))
    return entries


def names(requirements):
    return {canonicalize_name(Requirement(requirement).name) for requirement in requirements}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_package_is_pinned_and_hashed_and_no_host_is_named(path):
    assert "://" not in path.read_text()
    for name, (version, hashes) in locked(path).items():
        assert re.fullmatch(r"==[^,*]+", version), name
        assert hashes, name
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", value) for value in hashes), name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_installs_a_part_of_the_root_lock(name):
    root = locked(ROOT / "requirements.txt")
    own = locked(ROOT / "functions" / name / "requirements.txt")
    assert own.items() <= root.items()
    assert names(GROUPS[name]) <= own.keys()


def test_the_tools_are_locked_on_top_of_the_root_lock():
    assert locked(ROOT / "requirements.txt").items() <= locked(ROOT / "tests/requirements.txt").items()


def test_guard_with_the_second_stage_installs_the_same_and_the_extra():
    plain, extra = locked(ROOT / "functions/guard/requirements.txt"), locked(SECOND_STAGE)
    assert plain.items() <= extra.items()
    assert names(GROUPS["second_stage"]) <= extra.keys() - plain.keys()
    assert extra["numpy"] == locked(ROOT / "tests/evaluation/requirements.txt")["numpy"]


def test_the_locks_hold_what_pyproject_asks_for():
    assert names(PROJECT["project"]["dependencies"]) <= locked(ROOT / "requirements.txt").keys()
    assert names(GROUPS["dev"]) <= locked(ROOT / "tests/requirements.txt").keys()
    assert names(GROUPS["scan"]) <= locked(ROOT / "tests/scan-requirements.txt").keys()
    assert names(GROUPS["checkov"]) <= locked(ROOT / "tests/checkov-requirements.txt").keys()
    assert names(GROUPS["smollm2"]) == locked(ROOT / "shared/local/smollm2-requirements.txt").keys()
    assert names(GROUPS["evaluation"]) == locked(ROOT / "tests/evaluation/requirements.txt").keys()
    assert names(GROUPS["second_stage_tests"]) == locked(ROOT / "tests/second-stage-requirements.txt").keys()
    assert names(GROUPS["install"]) == names(PROJECT["build-system"]["requires"])


def test_every_direct_dependency_has_a_reason():
    text = (ROOT / "pyproject.toml").read_text().partition("[tool.")[0]
    sections = re.findall(r"^(?:dependencies|[a-z_0-9]+) = \[\n(.*?)^\]", text, re.M | re.S)
    lines = [line for section in sections for line in section.splitlines() if line.lstrip().startswith('"')]
    assert len(lines) >= len(PROJECT["project"]["dependencies"]) + sum(map(len, GROUPS.values()))
    assert [line for line in lines if not re.search(r'^    "[^"]+", # \S.{3,}', line)] == []


def test_functions_groups_and_folders_are_the_same():
    assert set(GROUPS) - APART == set(FUNCTIONS)
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^FUNCTIONS := (.*)$", makefile, re.M)[1].split() == [
        name for name in GROUPS if name in FUNCTIONS
    ]


# --- imports against locks ------------------------------------------------------------------------


@cache
def providers():
    """Importable module → the installed distribution that it comes with."""
    found = {}
    for installed in distributions():
        name = canonicalize_name(installed.metadata["Name"])
        for line in (installed.read_text("RECORD") or "").splitlines():
            path = line.partition(",")[0]
            if path.endswith(".py") and not path.startswith(("..", "__editable__")):
                found[path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")] = name
            elif path.endswith(".so") and "/" not in path:
                found[path.partition(".")[0]] = name
    return found


def file_of(module):
    """The file of one of our own modules, or None."""
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


@cache
def imports_of(path):
    """(modules imported when the file is, modules imported later), as dotted names that exist."""
    tree = ast.parse(path.read_text())
    later = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        or (isinstance(outer, ast.If) and "TYPE_CHECKING" in ast.unparse(outer.test))
        for inner in ast.walk(outer)
    }
    modules = (set(), set())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            wanted = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        else:
            continue
        modules[id(node) in later].update(wanted)
    return modules


def needs(*files, lazily):
    """The distributions that the files, and what they import of ours, import from: at once, or also later."""
    seen, found, rest = set(), set(), list(files)
    while rest:
        path = rest.pop()
        if path in seen:
            continue
        seen.add(path)
        at_once, later = imports_of(path)
        for module in at_once | (later if lazily else set()):
            parts = module.split(".")
            if parts[0] == "shared":
                # Importing a module imports the packages around it.
                around = (file_of(".".join(parts[:length])) for length in range(1, len(parts) + 1))
                rest.extend(file for file in around if file)
                continue
            for length in range(len(parts), 0, -1):
                if provider := providers().get(".".join(parts[:length])):
                    found.add(provider)
                    break
    return found


def test_the_reader_of_imports_sees_what_there_is():
    assert providers()["yaml"] == "pyyaml"
    assert providers()["google.cloud.secretmanager_v1"] == "google-cloud-secret-manager"
    assert distribution("pyyaml").version in locked(ROOT / "requirements.txt")["pyyaml"][0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_locks_what_it_imports_and_nothing_else(name):
    main = ROOT / "functions" / name / "main.py"
    declared = names(GROUPS[name]) - {"functions-framework"}  # which runs it, and which it may not import
    assert needs(main, lazily=False) - {"functions-framework"} <= declared
    assert declared <= needs(main, lazily=True)


def test_tests_import_only_what_is_declared():
    used = needs(*(ROOT / "tests").rglob("*.py"), lazily=True)
    groups = ("dev", "smollm2", "evaluation", "second_stage", "second_stage_tests", "encoder")
    declared = (names(GROUPS[group]) for group in groups)
    assert used <= names(PROJECT["project"]["dependencies"]).union(*declared)


def test_whatever_is_imported_is_declared_and_whatever_is_declared_is_imported():
    ours = [*ROOT.glob("functions/*/main.py"), *(ROOT / "shared").rglob("*.py")]
    used = needs(*ours, lazily=True) - names(GROUPS["smollm2"])
    extras = [line for extra in PROJECT["project"]["optional-dependencies"].values() for line in extra]
    assert used | {"functions-framework"} == names(PROJECT["project"]["dependencies"]) | names(extras)
