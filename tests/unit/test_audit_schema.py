"""The published schemas: made from the types, and every real event fits them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from shared.audit.content import ContentSealer
from shared.audit.port import Operation, Operator, Started, TurnedAway
from shared.audit.record import read_record
from shared.audit.schema import ATTRIBUTES, published
from shared.audit.wrapping import SecretWrapper
from shared.audit.writer import ChainWriter
from shared.policy.types import Audit
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.audit_events import CALLER, NOW, ContentKeys, MemoryBus, Peppers, interaction
from tests.support.virtual_time import ManualClock

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
SCALARS = {"string": 9, "int64": 3, "bool": 8}


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A chain with events of every type, full and bare."""
    documents = SqliteDocuments(tmp_path_factory.mktemp("schema") / "documents.db", timeout_seconds=2)
    bus, content = MemoryBus(), ContentSealer(documents, SecretWrapper(ContentKeys()))
    writer = ChainWriter(bus, Peppers(), Audit(), ManualClock(NOW), "//wardgate/guard", content=content)
    started = writer.start(Started("req_1", "chat.completions", CALLER, "d" * 64, NOW, prompt="Hello", model="default"))
    writer.record(interaction(started=started, stream=True, admission_unknown=(("tokens", 5),)))
    writer.record(
        interaction(prompt=None, answer=None, user=None, model=None, findings=(), guards=(), admission_seq=None)
    )
    writer.record_operation(Operation("kill.on", "all", Operator("joe", "os_user"), "an incident"))
    writer.turned_away(TurnedAway("acme", "key-1", "denied", limit="requests-per-minute"))
    writer.turned_away(TurnedAway("acme", "key-1", "refused", error="invalid_request"))
    writer.close()
    return [event.data for event in bus.events]


def test_the_published_schemas_are_those_of_the_types() -> None:
    made = dict(published())
    assert {path.name: path.read_text() for path in FOLDER.glob("wardgate.*")} == made, "run: make schemas"


def test_every_event_fits_its_json_schema(events: list[bytes]) -> None:
    assert {read_record(event).type for event in events} == set(ATTRIBUTES)
    for event in events:
        record = json.loads(event)
        schema = json.loads((FOLDER / f"{record['type']}.schema.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(record)


@pytest.mark.parametrize(
    "change",
    [{"wardgate.decision": "perhaps"}, {"wardgate.prompt": "clear"}, {"wardgate.prompt.hmac": "Hello"}],
    ids=["unknown decision", "unknown attribute", "text for a hash"],
)
def test_what_is_no_such_event_does_not_fit(events: list[bytes], change: dict[str, Any]) -> None:
    record = next(each for each in map(json.loads, events) if each["type"] == "wardgate.interaction")
    record["attributes"] |= change
    schema = json.loads((FOLDER / "wardgate.interaction.schema.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(record)


def test_every_event_fits_the_protocol_buffers_schema(events: list[bytes]) -> None:
    message = message_of((FOLDER / "wardgate.audit.proto").read_text())
    for event in events:
        parsed = json_format.Parse(event, message())
        assert json_format.MessageToDict(parsed)["attributes"].keys() <= json.loads(event)["attributes"].keys()
    with pytest.raises(json_format.ParseError):
        json_format.Parse(b'{"attributes": {"wardgate.prompt": "clear"}}', message())


def message_of(text: str) -> Any:
    """The message that the published text declares, by its lines: one top-level message with nested ones."""
    file = descriptor_pb2.FileDescriptorProto(name="record.proto", syntax="proto3")
    open_messages: list[Any] = []
    for line in map(str.strip, text.splitlines()):
        if opened := re.fullmatch(r"message (\w+) \{", line):
            place = open_messages[-1].nested_type if open_messages else file.message_type
            open_messages.append(place.add(name=opened[1]))
        elif line == "}":
            open_messages.pop()
        elif field := re.fullmatch(r'(optional|repeated) (\w+) (\w+) = (\d+) \[json_name = "([^"]+)"\];', line):
            label, kind, name, number, json_name = field.groups()
            made = open_messages[-1].field.add(name=name, number=int(number), json_name=json_name)
            made.label = made.LABEL_REPEATED if label == "repeated" else made.LABEL_OPTIONAL
            if kind in SCALARS:
                made.type = SCALARS[kind]
            else:
                made.type, made.type_name = made.TYPE_MESSAGE, f".Record.{kind}"
        else:
            assert line in ("", 'syntax = "proto3";') or line.startswith("//"), line
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Record"))
