"""Small types whose fields are nobody's business: a log line or an exception that shows one shows its type alone."""

from __future__ import annotations


class Discreet:
    """Mixed into a struct, before ``Struct``, so that it tells nothing of its fields."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"
