"""Every type that a function decodes is prepared at import, before two threads can meet it for the first time."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_ONE_THREAD = ("cli", "policy", "local")
"""Packages that decode in one thread only: commands, the policy at start, the supervisor."""

_MODULES = [
    path
    for folder in ("functions", "shared")
    for path in sorted((_ROOT / folder).rglob("*.py"))
    if path.relative_to(_ROOT).parts[1] not in _ONE_THREAD
]


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def _decoded(tree: ast.AST) -> Iterator[str]:
    """Names of the types that calls in the module decode."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        shapes = [keyword.value for keyword in node.keywords if keyword.arg == "type"]
        if _called(node) in ("msgspec.convert", "decode_json"):
            shapes += node.args[1:2]
        elif _called(node) != "msgspec.json.decode":
            continue
        for shape in shapes:
            yield from (name.id for name in ast.walk(shape) if isinstance(name, ast.Name))


def _prepared(tree: ast.Module) -> set[str]:
    """Names of the types that the module prepares while it is imported."""
    calls = [
        node
        for statement in tree.body
        if isinstance(statement, ast.Expr | ast.Assign)
        for node in ast.walk(statement)
        if isinstance(node, ast.Call) and _called(node) in ("prepare", "msgspec.json.Decoder")
    ]
    return {ast.unparse(argument) for call in calls for argument in call.args}


@pytest.mark.parametrize("path", _MODULES, ids=lambda path: str(path.relative_to(_ROOT)))
def test_types_are_prepared_where_they_are_decoded(path: Path) -> None:
    tree = ast.parse(path.read_text())
    variables = {argument.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for argument in node.args}
    known = _prepared(tree) | variables | set(dir(builtins)) | {"Any", "msgspec"}
    assert not set(_decoded(tree)) - known
