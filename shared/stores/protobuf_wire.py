"""Writing the wire format of Protocol Buffers by hand.

For messages on a hot path: joining bytes that are known takes a fraction of the time that filling a message object
field by field does. Source: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import struct

_64_BITS = (1 << 64) - 1
_VARINT, _FIXED64, _DELIMITED = 0, 1, 2
_double = struct.Struct("<d").pack
_ONE_BYTE = tuple(bytes((value,)) for value in range(128))


def varint(value: int) -> bytes:
    """An integer of 64 bits; a negative one as its two's complement."""
    if 0 <= value < 128:
        return _ONE_BYTE[value]
    value &= _64_BITS
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class Field:
    """A field of a message, by its number: what it is preceded by is made once."""

    __slots__ = ("_delimited", "_fixed", "_varint")

    def __init__(self, number: int) -> None:
        self._varint = varint(number << 3 | _VARINT)
        self._fixed = varint(number << 3 | _FIXED64)
        self._delimited = varint(number << 3 | _DELIMITED)

    def integer(self, value: int) -> bytes:
        """The field as an int32, int64, bool or enum."""
        return self._varint + varint(value)

    def double(self, value: float) -> bytes:
        """The field as a double."""
        return self._fixed + _double(value)

    def delimited(self, payload: bytes) -> bytes:
        """The field as bytes, as a string in UTF-8, or as a message."""
        return self._delimited + varint(len(payload)) + payload
