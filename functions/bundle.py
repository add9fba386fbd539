"""Builds each function's deployable zip: its ``main.py`` and ``requirements.txt``, and ``shared/`` beside them.

    python functions/bundle.py [--into FOLDER] [--policy FILE] [--second-stage] [NAME …]

The same tree gives the same bytes on every machine and Python version: names are sorted, times and
modes fixed, and nothing is compressed, since deflate's output differs between builds of zlib. The
archive's name ends in a hash of its content, so whatever deploys it sees a change exactly where there is
one. The hash is over names and hashes of the files, so that Terraform can reckon it before there is a zip:
see ``terraform/modules/build``.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("local", "cli")
"""Packages of ``shared`` that only a developer's or operator's machine needs."""

SECOND_STAGE = Path("guards/encoder_model")
"""In ``shared``: the second stage's model, which is carried only where it is asked for."""

SECOND_STAGE_FILES = ("encoder.json", "encoder.onnx", "tokenizer.json")
"""All of them are needed; the function's start looks for the same."""

REQUIREMENTS, WITH_SECOND_STAGE = "requirements.txt", "second-stage-requirements.txt"
"""Of a function, and of one that runs the second stage, which has the latter beside the former."""

CARRIED = frozenset({".py", ".yaml", ".json", ".bin", ".onnx"})
"""Kinds of files that a function may need; the package data of pyproject.toml."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can state."""

Contents = list[tuple[str, bytes]]
"""Path in the zip and bytes of each file, sorted."""

UNIX, MODE = 3, 0o100644

POLICY = "policy.yaml"
"""Name of the operator's policy beside ``main.py``; ``WARDGATE_POLICY`` names it in the function."""

FORMAT = "wardgate bundle 1"
"""Begins what is hashed; another number, here and in Terraform, where the same files are to give other bytes."""


def function_names(root: Path = ROOT) -> list[str]:
    """The functions, by their folders."""
    return sorted(main.parent.name for main in (root / "functions").glob("*/main.py"))


def bundle(name: str, root: Path = ROOT, policy: Path | None = None, *, second_stage: bool = False) -> bytes:
    """The zip of one function.

    Args:
        name: The function.
        root: The tree that it is in.
        policy: The policy that it is to run with, carried as ``policy.yaml``; None: none is carried.
        second_stage: Whether the function that can run the second stage is to carry what that needs.

    Raises:
        ValueError: The tree holds a file that does not belong into a bundle; the message names it.
        FileNotFoundError: The function lacks its ``main.py`` or ``requirements.txt``, or there is no such policy, or no
            whole model of the second stage.
    """
    return _zip(_contents(name, root, policy, second_stage=second_stage))


def write(name: str, into: Path, root: Path = ROOT, policy: Path | None = None, *, second_stage: bool = False) -> Path:
    """Write ``<name>-<hash>.zip`` into the folder, in place of the function's older ones; its path."""
    contents = _contents(name, root, policy, second_stage=second_stage)
    into.mkdir(parents=True, exist_ok=True)
    path = into / f"{name}-{_digest(contents)}.zip"
    path.write_bytes(_zip(contents))
    for other in into.glob(f"{name}-{'[0-9a-f]' * 16}.zip"):
        if other != path:
            other.unlink()
    return path


def _zip(contents: Contents) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as bundled:
        for path, content in contents:
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.create_system, entry.external_attr = UNIX, MODE << 16
            bundled.writestr(entry, content)
    return archive.getvalue()


def _digest(contents: Contents) -> str:
    lines = (f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in contents)
    return hashlib.sha256(f"{FORMAT}\n{''.join(lines)}".encode()).hexdigest()[:16]


def _contents(name: str, root: Path, policy: Path | None, *, second_stage: bool) -> Contents:
    return sorted(_files(name, root, policy, second_stage=second_stage))


def _files(name: str, root: Path, policy: Path | None, *, second_stage: bool) -> Iterator[tuple[str, bytes]]:
    folder = root / "functions" / name
    shared = root / "shared"
    second_stage = second_stage and (folder / WITH_SECOND_STAGE).is_file()
    for file in SECOND_STAGE_FILES if second_stage else ():
        if not (shared / SECOND_STAGE / file).is_file():
            raise FileNotFoundError(f"{name} cannot carry the second stage: there is no {shared / SECOND_STAGE / file}")
    yield "main.py", (folder / "main.py").read_bytes()
    yield REQUIREMENTS, (folder / (WITH_SECOND_STAGE if second_stage else REQUIREMENTS)).read_bytes()
    if policy is not None:
        yield POLICY, policy.read_bytes()
    for path in shared.rglob("*"):
        inside = path.relative_to(shared)
        if path.is_dir() or "__pycache__" in inside.parts or inside.parts[0] in LEFT_OUT:
            continue
        if inside.is_relative_to(SECOND_STAGE) and not second_stage:
            continue
        if path.suffix not in CARRIED or path.is_symlink():
            raise ValueError(f"{path.relative_to(root)} does not belong into a function; remove it or carry its kind.")
        yield f"shared/{inside.as_posix()}", path.read_bytes()


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the zips and print their paths; exit code."""
    parser = argparse.ArgumentParser(description="Build the functions' deployable zips.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="functions to build; default: all")
    parser.add_argument("--policy", type=Path, help="policy to carry as policy.yaml (default: none)")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="folder to write to (default: dist)")
    parser.add_argument("--second-stage", action="store_true", help="carry the second stage where it can run")
    options = parser.parse_args(arguments)
    try:
        for name in options.names or function_names():
            path = write(name, options.into, policy=options.policy, second_stage=options.second_stage)
            sys.stdout.write(f"{path}\n")
    except (ValueError, FileNotFoundError) as error:
        sys.stderr.write(f"bundle: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
