"""The messages of Firestore's API that Wardgate sends and reads.

The numbers are those of ``google/firestore/v1/{common,document,query,write,firestore}.proto``. ``Timestamp`` and
``Int32Value`` stand in for ``google.protobuf``'s, and an ``int32`` for the enums: the bytes are the same.
"""

from __future__ import annotations

from shared.stores.protobuf_messages import message_classes

_MESSAGES = message_classes(
    "google.firestore.v1",
    {
        "Timestamp": ("int64 seconds = 1", "int32 nanos = 2"),
        "Int32Value": ("int32 value = 1",),
        "Value": (
            "oneof:bool boolean_value = 1",
            "oneof:int64 integer_value = 2",
            "oneof:double double_value = 3",
            "oneof:string reference_value = 5",
            "oneof:MapValue map_value = 6",
            "oneof:ArrayValue array_value = 9",
            "oneof:Timestamp timestamp_value = 10",
            "oneof:int32 null_value = 11",
            "oneof:string string_value = 17",
            "oneof:bytes bytes_value = 18",
        ),
        "ArrayValue": ("repeated Value values = 1",),
        "MapValue": ("map Value fields = 1",),
        "Document": ("string name = 1", "map Value fields = 2", "Timestamp update_time = 4"),
        "DocumentMask": ("repeated string field_paths = 1",),
        "Precondition": ("oneof:bool exists = 1", "oneof:Timestamp update_time = 2"),
        "FieldTransform": ("string field_path = 1", "Value increment = 3"),
        "Write": (
            "oneof:Document update = 1",
            "oneof:string delete = 2",
            "DocumentMask update_mask = 3",
            "Precondition current_document = 4",
            "repeated FieldTransform update_transforms = 7",
        ),
        # The results are Values. They are left as bytes here, since most of them are the same few.
        "WriteResult": ("Timestamp update_time = 1", "repeated bytes transform_results = 2"),
        "CommitRequest": ("string database = 1", "repeated Write writes = 2"),
        "CommitResponse": ("repeated WriteResult write_results = 1", "Timestamp commit_time = 2"),
        "GetDocumentRequest": ("string name = 1",),
        "CollectionSelector": ("string collection_id = 2",),
        "FieldReference": ("string field_path = 2",),
        "Order": ("FieldReference field = 1", "int32 direction = 2"),
        "Cursor": ("repeated Value values = 1", "bool before = 2"),
        "StructuredQuery": (
            "repeated CollectionSelector from = 2",
            "repeated Order order_by = 4",
            "Int32Value limit = 5",
            "Cursor start_at = 7",
        ),
        "RunQueryRequest": ("string parent = 1", "oneof:StructuredQuery structured_query = 2"),
        "RunQueryResponse": ("Document document = 1",),
    },
)

CommitRequest = _MESSAGES["CommitRequest"]
"""Written by hand in ``firestore_wire``; here for whoever reads one."""
CommitResponse = _MESSAGES["CommitResponse"]
Document = _MESSAGES["Document"]
GetDocumentRequest = _MESSAGES["GetDocumentRequest"]
RunQueryRequest = _MESSAGES["RunQueryRequest"]
RunQueryResponse = _MESSAGES["RunQueryResponse"]
Value = _MESSAGES["Value"]
