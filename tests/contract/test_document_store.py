"""What every document store must do, tried on each of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from shared.errors import PreconditionFailed, StoreContended
from shared.stores.documents import Delete, DocumentStore, Write
from shared.stores.firestore_documents import FirestoreDocuments
from shared.stores.sqlite_documents import SqliteDocuments

LARGEST, SMALLEST = 2**63 - 1, -(2**63)


@pytest.fixture(params=["sqlite", "firestore"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocumentStore]:
    if request.param == "firestore":
        # The emulator shares the machine with every other test; the deadline is not what is tried here.
        yield FirestoreDocuments(request.getfixturevalue("firestore_project"), timeout_seconds=30.0)
        return
    documents = SqliteDocuments(tmp_path / "documents.db")
    yield documents
    documents.close()


def fields(store: DocumentStore, path: str) -> Any:
    document = store.get(path)
    return None if document is None else document.fields


# --- fields -------------------------------------------------------------------------------------


def test_a_document_that_was_never_written_is_none(store: DocumentStore) -> None:
    assert store.get("keys/a") is None


def test_a_write_creates_and_a_second_one_merges(store: DocumentStore) -> None:
    store.commit([Write("keys/a", fields={"tenant": "t", "uses": 1})])
    store.commit([Write("keys/a", fields={"uses": 2, "name": "n"})])
    assert fields(store, "keys/a") == {"tenant": "t", "uses": 2, "name": "n"}


def test_a_nested_value_is_set_whole(store: DocumentStore) -> None:
    store.commit([Write("a/a", fields={"inner": {"x": 1, "y": 2}})])
    store.commit([Write("a/a", fields={"inner": {"x": 3}})])
    assert fields(store, "a/a") == {"inner": {"x": 3}}


def test_replace_drops_what_is_not_set(store: DocumentStore) -> None:
    store.commit([Write("a/a", fields={"old": 1, "both": 1, "count": 5})])
    result = store.commit([Write("a/a", fields={"both": 2}, increments={"count": 1}, replace=True)])
    assert fields(store, "a/a") == {"both": 2, "count": 1}
    assert result.results[0].increments == {"count": 1}


def test_remove_takes_paths_and_ignores_what_is_not_there(store: DocumentStore) -> None:
    store.commit([Write("a/a", fields={"top": 1, "inner": {"x": 1, "y": 2}, "text": "t"})])
    store.commit([Write("a/a", remove=["top", "inner.x", "inner.missing", "missing.deep", "text.deep"])])
    assert fields(store, "a/a") == {"inner": {"y": 2}, "text": "t"}


def test_a_write_without_fields_makes_an_empty_document(store: DocumentStore) -> None:
    store.commit([Write("a/a")])
    assert fields(store, "a/a") == {}


def test_every_type_comes_back_as_it_went(store: DocumentStore) -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    value = {
        "none": None,
        "truth": True,
        "largest": LARGEST,
        "smallest": SMALLEST,
        "whole float": 1.0,
        "infinite": math.inf,
        "text": "naïve ☃ \U0001f600\x00",
        "bytes": b"\x00\xff",
        "time": datetime(2026, 11, 23, 1, 2, 3, 456789, tzinfo=UTC),
        "early": datetime(1, 1, 2, tzinfo=UTC),
        "list": [1, "a", {"in": [b"x"]}],
        "dict": {"a.b": {"c": {}}},
        "empty": [],
    }
    store.commit([Write("a/a", fields={**value, "east": datetime(2026, 1, 1, tzinfo=east), "nan": math.nan})])
    read = dict(fields(store, "a/a"))
    assert math.isnan(read.pop("nan"))
    east_read = read.pop("east")
    assert east_read == datetime(2026, 1, 1, tzinfo=east)
    assert east_read.tzinfo is not None
    assert read == value
    assert {name: type(item) for name, item in read.items()} == {name: type(item) for name, item in value.items()}


@pytest.mark.parametrize(
    "bad",
    [
        2**63,
        -(2**63) - 1,
        datetime(2026, 1, 1),  # noqa: DTZ001  # the point of the case
        [[1]],
        {1: "a"},
        {"": "a"},
        (1, 2),
        {1, 2},
        object(),
        Path("/"),
        "\ud800",
        "x" * (1024 * 1024 + 1),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_firestore_would_refuse_is_refused_and_changes_nothing(store: DocumentStore, bad: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        store.commit([Write("a/first", fields={"x": 1}), Write("a/second", fields={"x": bad})])
    assert store.get("a/first") is None


def test_nesting_has_a_bound(store: DocumentStore) -> None:
    def nested(depth: int) -> Any:
        return 1 if depth == 0 else {"in": nested(depth - 1)}

    store.commit([Write("a/a", fields=nested(20))])
    with pytest.raises(ValueError, match="nested"):
        store.commit([Write("a/a", fields=nested(21))])


@pytest.mark.parametrize("path", ["", "a", "/a", "a/", "a//b", "a/b/c", "a/..", "./b", "a/__b__", f"a/{'b' * 1500}"])
def test_a_malformed_path_is_refused(store: DocumentStore, path: str) -> None:
    for use in (
        lambda: store.get(path),
        lambda: store.commit([Write(path, fields={"x": 1})]),
        lambda: store.commit([Delete(path)]),
    ):
        with pytest.raises(ValueError, match="path"):
            use()


# --- increments ---------------------------------------------------------------------------------


def test_increments_answer_what_they_made(store: DocumentStore) -> None:
    write = Write("limits/k", increments={"seq": 1, "counts.requests_17": 5, "counts.deep.er": -2})
    assert store.commit([write]).results[0].increments == {"seq": 1, "counts.requests_17": 5, "counts.deep.er": -2}
    assert store.commit([write]).results[0].increments == {"seq": 2, "counts.requests_17": 10, "counts.deep.er": -4}
    assert fields(store, "limits/k") == {"seq": 2, "counts": {"requests_17": 10, "deep": {"er": -4}}}


def test_zero_reads(store: DocumentStore) -> None:
    store.commit([Write("a/a", fields={"n": 7})])
    assert store.commit([Write("a/a", increments={"n": 0, "missing": 0})]).results[0].increments == {
        "n": 7,
        "missing": 0,
    }
    assert fields(store, "a/a") == {"n": 7, "missing": 0}


@pytest.mark.parametrize("before", ["text", True, None, [1], {"x": 1}])
def test_what_is_no_number_counts_from_zero(store: DocumentStore, before: Any) -> None:
    store.commit([Write("a/a", fields={"n": before})])
    assert store.commit([Write("a/a", increments={"n": 3})]).results[0].increments == {"n": 3}
    assert fields(store, "a/a") == {"n": 3}


def test_a_path_through_what_is_no_dict_replaces_it(store: DocumentStore) -> None:
    store.commit([Write("a/a", fields={"n": 1})])
    store.commit([Write("a/a", increments={"n.inner": 1})])
    assert fields(store, "a/a") == {"n": {"inner": 1}}


def test_a_float_stays_one(store: DocumentStore) -> None:
    store.commit([Write("a/a", fields={"n": 0.5})])
    assert store.commit([Write("a/a", increments={"n": 1})]).results[0].increments == {"n": 1.5}


def test_overflow_stays_at_the_bound(store: DocumentStore) -> None:
    store.commit([Write("a/a", fields={"up": LARGEST - 1, "down": SMALLEST + 1})])
    result = store.commit([Write("a/a", increments={"up": 5, "down": -5})])
    assert result.results[0].increments == {"up": LARGEST, "down": SMALLEST}
    assert fields(store, "a/a") == {"up": LARGEST, "down": SMALLEST}


def test_set_then_remove_then_increment(store: DocumentStore) -> None:
    store.commit([Write("a/a", fields={"n": 1, "gone": 1})])
    result = store.commit([Write("a/a", fields={"n": 10, "gone": 2}, remove=["gone"], increments={"n": 1, "gone": 1})])
    assert result.results[0].increments == {"n": 11, "gone": 1}


def test_what_the_caller_holds_is_not_changed(store: DocumentStore) -> None:
    mine: dict[str, Any] = {"counts": {"n": 1}}
    store.commit(
        [Write("a/a", fields=mine, increments={"counts.n": 1}), Write("a/b", fields=mine, remove=["counts.n"])]
    )
    assert mine == {"counts": {"n": 1}}
    assert fields(store, "a/a") == {"counts": {"n": 2}}


@pytest.mark.parametrize("increments", [{"n": 2**63}, {"n": 1.5}, {"n": True}, {"": 1}, {"a..b": 1}, {".a": 1}])
def test_a_malformed_increment_is_refused(store: DocumentStore, increments: Any) -> None:
    with pytest.raises(ValueError, match=r"increment|path"):
        store.commit([Write("a/a", increments=increments)])
    assert store.get("a/a") is None


# --- commits ------------------------------------------------------------------------------------


def test_a_commit_is_whole_or_nothing(store: DocumentStore) -> None:
    store.commit([Write("a/there", fields={"n": 1})])
    with pytest.raises(PreconditionFailed):
        store.commit([Write("a/there", increments={"n": 1}), Delete("a/there"), Write("a/x", exists=True)])
    assert fields(store, "a/there") == {"n": 1}
    assert store.get("a/x") is None


def test_writes_see_the_ones_before_them(store: DocumentStore) -> None:
    result = store.commit(
        [
            Write("a/a", fields={"n": 1}, exists=False),
            Write("a/a", increments={"n": 1}, exists=True),
            Delete("a/a"),
            Write("a/a", increments={"n": 5}, exists=False),
        ]
    )
    assert [each.increments for each in result.results] == [{}, {"n": 2}, {}, {"n": 5}]
    assert fields(store, "a/a") == {"n": 5}


def test_exists(store: DocumentStore) -> None:
    with pytest.raises(PreconditionFailed):
        store.commit([Write("a/a", fields={"n": 1}, exists=True)])
    store.commit([Write("a/a", fields={"n": 1}, exists=False)])
    with pytest.raises(PreconditionFailed):
        store.commit([Write("a/a", fields={"n": 2}, exists=False)])
    store.commit([Delete("a/a", exists=True)])
    with pytest.raises(PreconditionFailed):
        store.commit([Delete("a/a", exists=True)])
    store.commit([Delete("a/a")])


def test_updated_at_as_a_precondition(store: DocumentStore) -> None:
    first = store.commit([Write("a/a", fields={"n": 1})]).results[0].updated_at
    second = store.commit([Write("a/a", fields={"n": 2}, updated_at=first)]).results[0].updated_at
    for stale in (Write("a/a", fields={"n": 3}, updated_at=first), Delete("a/a", updated_at=first)):
        with pytest.raises(PreconditionFailed):
            store.commit([stale])
    store.commit([Delete("a/a", updated_at=second)])
    with pytest.raises(PreconditionFailed):
        store.commit([Write("a/a", fields={"n": 2}, updated_at=second)])


def test_update_times_rise_and_are_those_of_the_commit(store: DocumentStore) -> None:
    commits = [store.commit([Write("a/a", increments={"n": 1}), Write("a/b", fields={"n": n})]) for n in range(50)]
    times = [commit.commit_time for commit in commits]
    assert times == sorted(set(times))
    for commit in commits:
        assert {result.updated_at for result in commit.results} == {commit.commit_time}
    document = store.get("a/a")
    assert document is not None
    assert document.updated_at == times[-1]
    assert abs(datetime.fromtimestamp(times[-1] / 1e9, UTC) - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_document_that_stays_as_it_was_may_keep_its_update_time(store: DocumentStore) -> None:
    first = store.commit([Write("a/a", fields={"n": 1})])
    again = store.commit([Write("a/a", fields={"n": 1}, increments={"n": 0})])
    assert again.commit_time > first.commit_time
    assert again.results[0].updated_at in (first.commit_time, again.commit_time)
    document = store.get("a/a")
    assert document is not None
    assert document.updated_at == again.results[0].updated_at


def test_a_deleted_document_has_the_commits_time(store: DocumentStore) -> None:
    store.commit([Write("a/a")])
    gone = store.commit([Delete("a/a"), Delete("a/never")])
    assert [result.updated_at for result in gone.results] == [gone.commit_time] * 2


@pytest.mark.parametrize("name", ["a`b", "back\\slash", "1st", "a b", "é", "*", "a-b", "seq", "`", "\\`"])
def test_any_name_of_a_field_may_be_incremented_and_removed(store: DocumentStore, name: str) -> None:
    store.commit([Write("a/a", fields={name: 1, "inner": {name: 1, "stays": 1}})])
    written = store.commit([Write("a/a", increments={name: 1, f"inner.{name}": 2})])
    assert written.results[0].increments == {name: 2, f"inner.{name}": 3}
    store.commit([Write("a/a", remove=[name, f"inner.{name}"])])
    assert fields(store, "a/a") == {"inner": {"stays": 1}}


def test_overlapping_removals_and_what_is_set_beneath_them(store: DocumentStore) -> None:
    store.commit([Write("a/a", fields={"one": {"x": {"y": 1}}, "two": {"x": 1}, "stays": 1})])
    store.commit([Write("a/a", fields={"two": {"x": 2, "y": 2}}, remove=["one", "one.x", "one.x.y", "two.x"])])
    assert fields(store, "a/a") == {"two": {"y": 2}, "stays": 1}


def test_an_impossible_precondition_does_not_hold(store: DocumentStore) -> None:
    at = store.commit([Write("a/a")]).commit_time
    with pytest.raises(PreconditionFailed):
        store.commit([Write("a/a", fields={"n": 1}, exists=False, updated_at=at)])
    store.commit([Write("a/a", fields={"n": 1}, exists=True, updated_at=at)])


def test_increments_of_many_threads_are_all_different(store: DocumentStore) -> None:
    def increment(_: int) -> Any:
        while True:
            try:
                return store.commit([Write("a/a", increments={"n": 1})]).results[0].increments["n"]
            except StoreContended:
                continue

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(increment, range(80))) == list(range(1, 81))


def test_an_empty_commit_does_nothing(store: DocumentStore) -> None:
    assert store.commit([]).results == ()


# --- lists --------------------------------------------------------------------------------------


def test_a_list_is_in_order_of_id_and_holds_direct_members_only(store: DocumentStore) -> None:
    ids = ["b", "a", "é", "Z", "a-1", "\U0001f600", "zz", "\uffff"]
    store.commit([Write(f"keys/{each}", fields={"id": each}) for each in ids])
    store.commit([Write("keys/a/inner/x"), Write("keys2/a"), Write("key/a")])
    listed = list(store.list("keys"))
    assert [document.id for document in listed] == sorted(ids)
    assert [document.fields["id"] for document in listed] == sorted(ids)
    assert [document.path for document in store.list("keys/a/inner")] == ["keys/a/inner/x"]
    assert list(store.list("none")) == []


def test_a_list_goes_on_after_an_id_and_stops_at_a_limit(store: DocumentStore) -> None:
    store.commit([Write(f"n/{number:04d}") for number in range(250)])
    assert [document.id for document in store.list("n")] == [f"{number:04d}" for number in range(250)]
    assert [document.id for document in store.list("n", after="0100", limit=3)] == ["0101", "0102", "0103"]
    assert [document.id for document in store.list("n", after="0248x", limit=200)] == ["0249"]
    assert list(store.list("n", limit=0)) == []
    assert len(list(store.list("n", limit=100))) == 100


def test_a_list_may_be_changed_while_it_is_read(store: DocumentStore) -> None:
    store.commit([Write(f"n/{number:04d}") for number in range(250)])
    for document in store.list("n"):
        store.commit([Delete(document.path)])
    assert list(store.list("n")) == []


@pytest.mark.parametrize("collection", ["", "a/b", "a/", "/a"])
def test_a_malformed_collection_is_refused(store: DocumentStore, collection: str) -> None:
    with pytest.raises(ValueError, match="collection"):
        store.list(collection)
