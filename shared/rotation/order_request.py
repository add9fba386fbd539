"""An order to rotate now, as an operator sends it to ``rotate_secrets``, who need not read any secret for that."""

from __future__ import annotations

from msgspec import Struct

from shared.rotation.machine import FOREVER, Order
from shared.shapes import prepare
from shared.web.request import decode_json

MAX_BYTES = 4096
_DEPTH = 2


class OrderRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be rotated now, as by ``wardgate rotate run --now``."""

    secret: str | None = None
    """None: all that Wardgate rotates."""

    revoke_immediately: bool = False
    """Whether the old key ends at once, since it leaked."""

    @property
    def order(self) -> Order:
        """As the state machine takes it."""
        return Order(before=FOREVER, urgent=self.revoke_immediately)


prepare(OrderRequest)


def read_order(body: bytes) -> OrderRequest:
    """Read the body of an order.

    Raises:
        BadRequest: It is none.
    """
    return decode_json(body, OrderRequest, depth=_DEPTH)
