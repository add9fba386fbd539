"""The embedded stores against models in memory: after any sequence of calls both say the same."""

from __future__ import annotations

import copy
import shutil
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule

from shared.errors import PreconditionFailed, SecretNotFound
from shared.stores.documents import Delete, Write
from shared.stores.file_secrets import FileSecrets
from shared.stores.folder_objects import FolderObjects
from shared.stores.secrets import VersionState
from shared.stores.sqlite_documents import SqliteDocuments

LARGEST, SMALLEST = 2**63 - 1, -(2**63)

names = st.sampled_from(["a", "b", "n"])
paths = st.sampled_from(["d/1", "d/2", "d/3", "e/1"])
field_paths = st.lists(names, min_size=1, max_size=3).map(".".join)
integers = st.integers(SMALLEST, LARGEST) | st.integers(-3, 3)
scalars = (
    st.none() | st.booleans() | integers | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=5)
)
values = st.recursive(
    scalars,
    lambda inner: st.dictionaries(names, inner, max_size=3) | st.lists(scalars, max_size=3),
    max_leaves=6,
)
preconditions = st.sampled_from([None, None, None, True, False])
writes = st.builds(
    Write,
    paths,
    fields=st.dictionaries(names, values, max_size=3),
    remove=st.lists(field_paths, max_size=2),
    increments=st.dictionaries(field_paths, integers, max_size=3),
    replace=st.booleans(),
    exists=preconditions,
) | st.builds(Delete, paths, exists=preconditions)


class Refused(Exception):
    """A precondition did not hold."""


class ModelDocuments:
    """What a commit does, written as plainly as possible."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.updated_at: dict[str, int] = {}

    def commit(self, batch: list[Write | Delete]) -> list[dict[str, Any]]:
        documents = copy.deepcopy(self.documents)
        results = []
        for write in batch:
            there = write.path in documents
            if write.exists not in (None, there):
                raise Refused
            if write.updated_at is not None and self.updated_at.get(write.path) != write.updated_at:
                raise Refused
            if isinstance(write, Delete):
                documents.pop(write.path, None)
                results.append({})
                continue
            document = {} if write.replace or not there else documents[write.path]
            documents[write.path] = document
            document.update(copy.deepcopy(dict(write.fields)))
            for path in write.remove:
                holder = self.holder(document, path, make=False)
                if holder is not None:
                    holder.pop(path.split(".")[-1], None)
            results.append({path: self.add(document, path, amount) for path, amount in write.increments.items()})
        self.documents = documents
        return results

    def holder(self, document: dict[str, Any], path: str, *, make: bool) -> dict[str, Any] | None:
        """The dict that holds the field at ``path``."""
        for name in path.split(".")[:-1]:
            if not isinstance(document.get(name), dict):
                if not make:
                    return None
                document[name] = {}
            document = document[name]
        return document

    def add(self, document: dict[str, Any], path: str, amount: int) -> Any:
        holder = self.holder(document, path, make=True)
        assert holder is not None
        name = path.split(".")[-1]
        before = holder.get(name)
        if isinstance(before, bool) or not isinstance(before, int | float):
            before = 0
        after = before + amount
        holder[name] = after if isinstance(after, float) else min(max(after, SMALLEST), LARGEST)
        return holder[name]


class Documents(RuleBasedStateMachine):
    """SqliteDocuments, through two connections, against the model."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.stores = [SqliteDocuments(self.folder / "documents.db") for _ in range(2)]
        self.model = ModelDocuments()
        self.newest = 0

    @rule(which=st.sampled_from([0, 1]), batch=st.lists(writes, max_size=3))
    def commit(self, which: int, batch: list[Write | Delete]) -> None:
        self.compare(which, batch)

    @rule(which=st.sampled_from([0, 1]), path=paths, stale=st.booleans())
    def commit_if_unchanged(self, which: int, path: str, stale: bool) -> None:
        at = self.model.updated_at.get(path, 1) - stale
        self.compare(which, [Write(path, increments={"n": 1}, updated_at=at)])

    def compare(self, which: int, batch: list[Write | Delete]) -> None:
        try:
            expected = self.model.commit(batch)
        except Refused:
            expected = None
        try:
            result = self.stores[which].commit(batch)
        except PreconditionFailed:
            assert expected is None
        else:
            assert [each.increments for each in result.results] == expected
            assert result.commit_time > self.newest
            self.newest = result.commit_time
            for write in batch:
                self.model.updated_at[write.path] = result.commit_time
                if write.path not in self.model.documents:
                    del self.model.updated_at[write.path]
        for collection in ("d", "e"):
            read = {document.path: document for document in self.stores[1 - which].list(collection)}
            assert {path: document.fields for path, document in read.items()} == {
                path: fields for path, fields in sorted(self.model.documents.items()) if path.startswith(collection)
            }
            assert {path: document.updated_at for path, document in read.items()} == {
                path: at for path, at in self.model.updated_at.items() if path.startswith(collection)
            }

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)


class Secrets(RuleBasedStateMachine):
    """FileSecrets against a list of [value, state]."""

    versions = Bundle("versions")

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.folder.chmod(0o700)
        self.store = FileSecrets(self.folder)
        self.store.create("s")
        self.model: list[tuple[bytes, VersionState]] = []

    @rule(target=versions, value=st.binary(min_size=1, max_size=40))
    def add(self, value: bytes) -> int:
        self.model.append((value, "enabled"))
        assert self.store.add("s", value).number == len(self.model)
        return len(self.model)

    @rule(number=versions | st.integers(-1, 9), state=st.sampled_from(["enabled", "disabled", "destroyed"]))
    def change(self, number: int, state: VersionState) -> None:
        change = {"enabled": self.store.enable, "disabled": self.store.disable, "destroyed": self.store.destroy}[state]
        try:
            change("s", number)
        except SecretNotFound:
            assert not 1 <= number <= len(self.model)
        except PreconditionFailed:
            assert self.model[number - 1][1] == "destroyed"
            assert state != "destroyed"
        else:
            self.model[number - 1] = (self.model[number - 1][0], state)

    @rule()
    def compare(self) -> None:
        assert [(version.number, version.state) for version in reversed(self.store.versions("s"))] == [
            (number, state) for number, (_, state) in enumerate(self.model, 1)
        ]
        for number, (value, state) in enumerate(self.model, 1):
            try:
                assert self.store.access("s", number).reveal() == value
            except PreconditionFailed:
                assert state != "enabled"
            else:
                assert state == "enabled"

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


TestDocuments = Documents.TestCase
TestDocuments.settings = settings(max_examples=25, stateful_step_count=20)
TestSecrets = Secrets.TestCase
TestSecrets.settings = settings(max_examples=15, stateful_step_count=15)

segments = st.text(st.sampled_from("ab.-~ é\U0001f600"), min_size=1, max_size=3).filter(lambda text: text[0] != ".")
object_names = st.lists(segments, min_size=1, max_size=3).map("/".join)


def is_folder_of(name: str, others: set[str]) -> bool:
    return any(other.startswith(f"{name}/") or name.startswith(f"{other}/") for other in others)


@settings(max_examples=40)
@given(created=st.lists(st.tuples(object_names, st.binary(max_size=8)), max_size=12), prefix=object_names)
def test_objects_against_a_dict(created: list[tuple[str, bytes]], prefix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FolderObjects(Path(folder) / "objects")
        model: dict[str, bytes] = {}
        for name, data in created:
            if not is_folder_of(name, set(model)):
                assert store.create(name, data) is (name not in model)
                model.setdefault(name, data)
        assert {name: store.read(name) for name in model} == model
        for start in ("", prefix, prefix[:1], f"{prefix}/", prefix.partition("/")[0]):
            assert list(store.list(start)) == sorted(name for name in model if name.startswith(start))
