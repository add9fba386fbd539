"""The bytes of a commit, written by hand, are those that Google's own messages read and mean the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.cloud.firestore_v1.types import CommitRequest
from google.cloud.firestore_v1.types import Value as ValueMessage
from hypothesis import given
from hypothesis import strategies as st

from shared.stores.document_fields import LARGEST, SMALLEST
from shared.stores.documents import Delete, Write
from shared.stores.firestore_messages import CommitRequest as OwnCommitRequest
from shared.stores.firestore_wire import encode_commit, encode_value

DATABASE = "projects/project-1/databases/(default)"

integers = st.integers(SMALLEST, LARGEST) | st.sampled_from([0, -1, 127, 128, 2**14, SMALLEST, LARGEST])
names = st.text(st.characters(codec="utf-8", exclude_characters="."), min_size=1, max_size=8)
times = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # bounds are naive
scalars = st.none() | st.booleans() | integers | st.floats() | st.text(max_size=200) | st.binary(max_size=200) | times
values = st.recursive(
    scalars,
    # A list holds no list, but it may hold dicts that do, as a key's document and a secret's rotation have them.
    lambda inner: (
        st.lists(scalars | st.dictionaries(names, inner, max_size=3), max_size=3)
        | st.dictionaries(names, inner, max_size=3)
    ),
    max_leaves=8,
)
paths = st.from_regex(r"[a-z]{1,8}/[a-zA-Z0-9]{1,40}", fullmatch=True)
moments = st.integers(-(10**18), 4 * 10**18).map(lambda microseconds: microseconds // 1000 * 1000)
updates = st.builds(
    Write,
    paths,
    fields=st.dictionaries(names, values, max_size=4) | st.fixed_dictionaries({"expires_at": times | scalars}),
    increments=st.dictionaries(st.lists(names, min_size=1, max_size=2).map(".".join), integers, max_size=4),
    replace=st.booleans(),
    exists=st.none() | st.just(True),
    updated_at=st.none() | moments,
)
deletions = st.builds(Delete, paths, exists=st.none() | st.booleans())


def filled(value: Any) -> ValueMessage.pb:  # type: ignore[name-defined]  # made at run time
    """A value as Google's library fills its message."""
    message = ValueMessage.pb()()
    match value:
        case None:
            message.null_value = 0
        case bool():
            message.boolean_value = value
        case int():
            message.integer_value = value
        case float():
            message.double_value = value
        case str():
            message.string_value = value
        case bytes():
            message.bytes_value = value
        case datetime():
            message.timestamp_value.FromDatetime(value)
        case list():
            message.array_value.SetInParent()
            message.array_value.values.extend(filled(item) for item in value)
        case Mapping():
            message.map_value.SetInParent()
            for name, item in value.items():
                message.map_value.fields[name].CopyFrom(filled(item))
    return message


def plain(message: Any) -> bytes:
    """Bytes that are equal for equal messages, also where a number is none."""
    return message.SerializeToString(deterministic=True)


@given(values)
def test_a_value_is_what_the_official_message_says(value: Any) -> None:
    assert plain(ValueMessage.pb().FromString(encode_value(value))) == plain(filled(value))


@given(st.lists(updates | deletions, max_size=4))
def test_a_commit_is_what_the_official_message_says(writes: list[Write | Delete]) -> None:
    encoded = encode_commit(DATABASE, writes)
    request = CommitRequest.pb().FromString(encoded)
    assert request.database == DATABASE
    assert len(request.writes) == len(writes)
    for write, message in zip(writes, request.writes, strict=True):
        name = f"{DATABASE}/documents/{write.path}"
        if write.updated_at is not None:
            assert message.current_document.update_time.ToNanoseconds() == write.updated_at
        else:
            assert message.current_document.HasField("exists") is (write.exists is not None)
            assert message.current_document.exists is bool(write.exists)
        if isinstance(write, Delete):
            assert message.delete == name
            continue
        assert message.update.name == name
        assert set(message.update.fields) == set(write.fields)
        assert all(plain(message.update.fields[field]) == plain(filled(value)) for field, value in write.fields.items())
        assert message.HasField("update_mask") is not write.replace
        assert write.replace or len(message.update_mask.field_paths) == len(write.fields)
        transforms = [each.increment.integer_value for each in message.update_transforms]
        assert transforms == list(write.increments.values())
        assert all(each.increment.WhichOneof("value_type") == "integer_value" for each in message.update_transforms)


@given(st.lists(updates | deletions, max_size=3))
def test_our_own_description_of_the_message_reads_it_too(writes: list[Write | Delete]) -> None:
    encoded = encode_commit(DATABASE, writes)
    ours, official = OwnCommitRequest.FromString(encoded), CommitRequest.pb().FromString(encoded)
    assert plain(CommitRequest.pb().FromString(plain(ours))) == plain(official)
