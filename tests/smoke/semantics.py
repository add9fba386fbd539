"""What admission takes for granted of a commit: its increments, its preconditions and its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from shared.errors import PreconditionFailed
from shared.stores.documents import Delete, Write
from tests.smoke.collection import Corner
from tests.smoke.report import Found

_LARGEST = 2**63 - 1
_COMMITS = 50


def semantics(documents: Corner) -> Iterator[Found]:
    """Each assumption, tried."""
    yield from _increments(documents)
    yield from _preconditions(documents)
    yield from _times(documents)


def _increments(documents: Corner) -> Iterator[Found]:
    def values(write: Write) -> list[int]:
        return list(documents.commit([write]).results[0].increments.values())

    path = "semantics/increments"
    yield _equal("increments start at zero, in order", values(Write(path, increments={"b": 2, "a": 1})), [2, 1])
    yield _equal("an increment answers the new value", values(Write(path, increments={"a": 5, "b": -3})), [6, -1])
    yield _equal("an increment by zero reads", values(Write(path, increments={"a": 0, "new": 0})), [6, 0])
    yield _equal("set comes before increment", values(Write(path, {"a": 10}, increments={"a": 1})), [11])
    removing = Write(path, remove=["b"], increments={"a": 0})
    documents.commit([removing])
    yield _equal("remove and increment in one write", values(Write(path, increments={"b": 4})), [4])
    documents.commit([Write(path, {"a": _LARGEST})])
    yield _equal("what overflows stays at the bound", values(Write(path, increments={"a": 1})), [_LARGEST])
    both = documents.commit([Write(f"semantics/{name}", increments={"n": 1}) for name in ("one", "other")])
    yield _equal("two documents in one commit", [result.increments["n"] for result in both.results], [1, 1])


def _preconditions(documents: Corner) -> Iterator[Found]:
    path, other = "semantics/guarded", "semantics/beside"
    updated_at = documents.commit([Write(path, {"n": 1}, exists=False)]).results[0].updated_at
    yield _refused("exists=False, of a document that exists", lambda: documents.commit([Write(path, exists=False)]))
    yield _refused("exists=True, of none", lambda: documents.commit([Write("semantics/none", exists=True)]))
    stale = Write(path, {"n": 2}, updated_at=updated_at - 1000)
    yield _refused("another update time", lambda: documents.commit([Write(other, increments={"n": 1}), stale]))
    yield _equal("a refused commit changes nothing", documents.get(other), None)
    documents.commit([Write(path, {"n": 3}, updated_at=updated_at)])
    found = documents.get(path)
    yield _equal("the same update time", found and found.fields["n"], 3)
    documents.commit([Delete(path)])
    yield _equal("deleted", documents.get(path), None)


def _times(documents: Corner) -> Iterator[Found]:
    commits = [documents.commit([Write("semantics/time", increments={"n": 1})]) for _ in range(_COMMITS)]
    times = [commit.commit_time for commit in commits]
    yield Found(f"commit_time rises over {_COMMITS} commits", _steps(times), is_rising(times))
    same = all(commit.results[0].updated_at == commit.commit_time for commit in commits)
    yield Found("the update time is the commit's", str(same), same)
    read = documents.get("semantics/time")
    yield _equal("and is what a read answers", read and read.updated_at, times[-1])


def is_rising(times: Sequence[int]) -> bool:
    """Whether each time is later than the one before."""
    return all(earlier < later for earlier, later in pairwise(times))


def _steps(times: Sequence[int]) -> str:
    least = min(later - earlier for earlier, later in pairwise(times))
    return f"smallest step {least / 1000:.0f} µs"


def _equal(name: str, found: object, wanted: object) -> Found:
    return Found(name, "" if found == wanted else f"{found!r} instead of {wanted!r}", found == wanted)


def _refused(name: str, ask: Callable[[], object]) -> Found:
    try:
        ask()
    except PreconditionFailed:
        return Found(f"refused: {name}", "", True)
    return Found(f"refused: {name}", "was not refused", False)
