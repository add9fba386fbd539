"""Modules of ``shared`` depend on one another in one direction, also where an import waits until it is needed.

A factory that imports an adapter lazily (``shared.stores.connect``) is no circle as long as the adapter knows
only the port; once it knows the factory, neither can be read without the other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


def module_of(file: Path, root: Path) -> str:
    parts = file.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, modules: set[str]) -> Iterator[str]:
    """The modules that a module imports anywhere in its text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                part = f"{node.module}.{alias.name}"
                if part in modules or node.module in modules:
                    yield part if part in modules else str(node.module)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "import_module":
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and arg.value in modules)


def graph(root: Path) -> dict[str, set[str]]:
    """For each module of a package, those of the same package that it imports."""
    files = {module_of(file, root): file for file in root.rglob("*.py")}
    return {name: set(imports(ast.parse(file.read_bytes()), set(files))) for name, file in files.items()}


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """The names along one circle, the first one again at its end; empty where there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def packages(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same arrows between packages, such as ``shared.identity``; a module beside them counts as one."""

    def package(module: str) -> str:
        return ".".join(module.split(".")[:2])

    between: dict[str, set[str]] = {}
    for module, imported in arrows.items():
        between.setdefault(package(module), set()).update(map(package, imported) if module != "shared" else ())
    return {name: imported - {name} for name, imported in between.items()}


def test_modules_do_not_import_in_a_circle() -> None:
    assert circle(graph(SHARED)) == []


def test_packages_do_not_import_in_a_circle() -> None:
    assert circle(packages(graph(SHARED))) == []


@pytest.mark.parametrize(
    "back",
    [
        "from house.service import Token",
        "import house.service",
        "from house import service",
        "def later():\n    from house.service import Token",
        "from importlib import import_module\nimport_module('house.service')",
    ],
)
def test_a_circle_is_found(tmp_path: Path, back: str) -> None:
    house = tmp_path / "house"
    house.mkdir()
    (house / "__init__.py").write_text("")
    (house / "service.py").write_text("def connect():\n    from house.adapter import Adapter\n")
    (house / "adapter.py").write_text("import os\nfrom house.port import Port\n")
    (house / "port.py").write_text("class Port: ...\n")
    assert circle(graph(house)) == []
    (house / "adapter.py").write_text(back)
    assert set(circle(graph(house))) == {"house.service", "house.adapter"}
