"""The functions' zips: the same bytes from the same tree, and nothing in them that a function does not need."""

import hashlib
import io
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from functions.bundle import bundle, function_names, main, write
from tests.support.encoder_files import write_encoder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    """A copy of what bundles are made of."""
    copy = tmp_path / "tree"
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("functions", "shared"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignore)
    return copy


def entries(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return archive.infolist()


@pytest.mark.parametrize("name", function_names())
def test_the_same_tree_gives_the_same_bytes(name, tree):
    for path in tree.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700)
    (tree / "shared/__pycache__").mkdir()
    (tree / "shared/__pycache__/errors.cpython-311.pyc").write_bytes(b"not the same")
    assert bundle(name, tree) == bundle(name)


@pytest.mark.parametrize("name", function_names())
def test_what_is_inside(name):
    found = entries(bundle(name))
    names = [entry.filename for entry in found]
    assert names == sorted(names)
    assert {entry for entry in names if not entry.startswith("shared/")} == {"main.py", "requirements.txt"}
    assert {"shared/__init__.py", "shared/policy/default.yaml"} <= set(names)
    assert not [
        entry for entry in names if entry.startswith(("shared/local/", "shared/cli/")) or "__pycache__" in entry
    ]
    assert {(entry.date_time, entry.compress_type, entry.create_system, entry.external_attr) for entry in found} == {
        ((1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED, 3, 0o100644 << 16)
    }


def test_no_function_imports_what_is_left_out():
    for name in function_names():
        with zipfile.ZipFile(io.BytesIO(bundle(name))) as archive:
            for entry in archive.namelist():
                source = archive.read(entry)
                assert b"shared.local" not in source, entry
                assert b"import shared.cli" not in source, entry
                assert b"from shared.cli" not in source, entry


def test_a_file_of_an_unknown_kind_is_refused(tree):
    (tree / "shared/notes.txt").write_text("forgotten")
    with pytest.raises(ValueError, match=r"shared/notes\.txt does not belong"):
        bundle(function_names()[0], tree)


def test_a_link_out_of_the_tree_is_refused(tree):
    (tree / "shared/linked.py").symlink_to("/etc/hostname")
    with pytest.raises(ValueError, match=r"shared/linked\.py does not belong"):
        bundle(function_names()[0], tree)


def listed(data):
    """What the hash in a zip's name is over: a line for each file, as sha256sum prints it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        lines = [f"{hashlib.sha256(archive.read(name)).hexdigest()}  {name}\n" for name in archive.namelist()]
    return f"wardgate bundle 1\n{''.join(lines)}".encode()


def test_the_name_is_the_hash_and_an_older_zip_gives_way(tree, tmp_path):
    name = function_names()[0]
    first = write(name, tmp_path / "dist", tree)
    assert first.name == f"{name}-{hashlib.sha256(listed(first.read_bytes())).hexdigest()[:16]}.zip"
    assert write(name, tmp_path / "dist", tree) == first
    (tree / "shared/clock.py").write_text("changed = True\n")
    second = write(name, tmp_path / "dist", tree)
    assert second != first
    assert [path.name for path in (tmp_path / "dist").iterdir()] == [second.name]


def test_a_policy_is_carried_and_changes_the_name(tmp_path):
    name, policy = function_names()[0], tmp_path / "production.yaml"
    policy.write_text("cors: {}\n")
    with zipfile.ZipFile(io.BytesIO(bundle(name, policy=policy))) as archive:
        assert archive.read("policy.yaml") == b"cors: {}\n"
        assert archive.namelist() == sorted(archive.namelist())
    plain, carrying = write(name, tmp_path / "plain"), write(name, tmp_path / "carrying", policy=policy)
    assert plain.name != carrying.name


def test_the_second_stage_is_carried_by_guard_alone_and_only_when_asked_for(tree):
    model = tree / "shared/guards/encoder_model"
    shutil.rmtree(model, ignore_errors=True)
    write_encoder(model, {"obey": (1.0, 1.0)})
    extra = {f"shared/guards/encoder_model/{name}" for name in ("encoder.json", "encoder.onnx", "tokenizer.json")}
    for name in function_names():
        plain, carrying = bundle(name, tree), bundle(name, tree, second_stage=True)
        more = {entry.filename for entry in entries(carrying)} - {entry.filename for entry in entries(plain)}
        assert more == (extra if name == "guard" else set())
        assert (plain == carrying) == (name != "guard")
        assert not extra & {entry.filename for entry in entries(plain)}
    with zipfile.ZipFile(io.BytesIO(bundle("guard", tree, second_stage=True))) as archive:
        locked = (tree / "functions/guard/second-stage-requirements.txt").read_bytes()
        assert archive.read("requirements.txt") == locked
        assert archive.namelist() == sorted(archive.namelist())


@pytest.mark.parametrize("absent", ["encoder.json", "encoder.onnx", "tokenizer.json"])
def test_without_its_whole_model_the_second_stage_cannot_be_carried(tree, absent):
    model = tree / "shared/guards/encoder_model"
    shutil.rmtree(model, ignore_errors=True)
    (write_encoder(model, {"obey": (1.0, 1.0)}) / absent).unlink()
    with pytest.raises(FileNotFoundError, match=f"guard cannot carry the second stage: there is no .*{absent}"):
        bundle("guard", tree, second_stage=True)
    bundle("model", tree, second_stage=True)


def test_the_command_builds_every_function(tmp_path, capsys):
    assert main(["--into", str(tmp_path)]) == 0
    built = capsys.readouterr().out.split()
    assert [Path(path).name.rpartition("-")[0] for path in built] == function_names()
    assert all(Path(path).is_file() for path in built)


def test_the_command_names_what_is_missing(tmp_path, capsys):
    assert main(["--into", str(tmp_path), "no_such_function"]) == 1
    assert "functions/no_such_function/main.py" in capsys.readouterr().err
