"""Merkle roots, sorting on disk, and positions of chains, against their plain definitions."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.audit.merkle import merkle_root
from shared.audit.positions import Position
from shared.audit.sorting import SortedLines

# From the test vectors of Certificate Transparency's reference implementation: 0 to 8 leaves.
LEAVES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("count", ROOTS)
def test_roots_are_those_of_certificate_transparency(count: int) -> None:
    assert merkle_root(LEAVES[:count]).hex() == ROOTS[count]


def defined(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + defined(leaves[:split]) + defined(leaves[split:])).digest()


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=4), max_size=70))
def test_roots_are_as_defined(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == defined(leaves)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=6), max_size=250), st.booleans()
)
def test_lines_come_in_order_however_few_are_held(lines: list[str], reverse: bool) -> None:
    with SortedLines(reverse=reverse, lines_in_memory=3) as sorting:
        sorting.extend(lines[:5])
        for line in lines[5:]:
            sorting.add(line)
        assert list(sorting) == sorted(lines, reverse=reverse)


@settings(max_examples=60)
@given(st.permutations(list(range(12))), st.integers(0, 12))
def test_positions_know_what_was_seen(order: list[int], count: int) -> None:
    position = Position("a" * 32, [], "", "2026-11-23", closed=False)
    for seq in order[:count]:
        assert position.seen_until(seq) is None
        position.add(seq, "2026-11-23")
    seen = set(order[:count])
    assert {seq for first, last in position.ranges for seq in range(first, last + 1)} == seen
    assert all(before[1] + 1 < after[0] for before, after in zip(position.ranges, position.ranges[1:], strict=False))
    for seq in range(12):
        assert (position.seen_until(seq) is not None) == (seq in seen)


def test_gaps_beyond_count_are_given_up() -> None:
    position = Position("a" * 32, [], "", "2026-11-23", closed=False)
    for seq in range(0, 400, 2):
        position.add(seq, "2026-11-23")
    assert len(position.ranges) == 64
    assert position.ranges[-1] == (398, 398)
