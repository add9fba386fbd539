"""Who is asking before anybody is known: the caller's address, and a cap for each address in this process."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from ipaddress import IPv4Address, IPv6Address, ip_address

from shared.clock import Clock
from shared.errors import RateLimited

_MINUTE = 60 * 10**9
_IPV6_GROUP_BITS = 64
"""One subscriber's network (RFC 6177): who has one address in it has all of them."""

_CAPACITY = 10_000


def client_address(peer: str, x_forwarded_for: str | None, trusted_proxies: int) -> str:
    """The address that a request is counted on.

    Each of our proxies appends the address it was called from to ``X-Forwarded-For``. Behind n proxies
    the n-th entry from the right is therefore what the outermost of them saw; everything to its left is
    the caller's own claim and is not read. Where there are fewer entries, or that one is not an address,
    the request did not come the whole way, and the peer counts. IPv6 addresses count by their /64.

    Args:
        peer: The other end of the connection.
        x_forwarded_for: The header, several joined by commas; None where it was not sent.
        trusted_proxies: How many proxies in front append to it; 0: it is ignored.
    """
    if x_forwarded_for is not None and trusted_proxies > 0:
        entries = x_forwarded_for.rsplit(",", trusted_proxies)[-trusted_proxies:]
        forwarded = _group(entries[0].strip()) if len(entries) == trusted_proxies else None
        if forwarded is not None:
            return forwarded
    return _group(peer) or peer


def _group(text: str) -> str | None:
    """The address, or its network, in canonical spelling; None for what is not an address."""
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    kept = int(address) >> (128 - _IPV6_GROUP_BITS) << (128 - _IPV6_GROUP_BITS)
    return f"{IPv6Address(kept)}/{_IPV6_GROUP_BITS}"


class AddressCap:
    """At most ``per_minute`` events a minute for each address, in this process.

    A token bucket, kept as one number per address (the generic cell rate algorithm, ITU-T I.371): up to
    ``per_minute`` at once, then one each time a ``per_minute``-th part of a minute has passed. O(1) in
    time; at most 10,000 addresses are remembered.

    When the memory is full, the address that has been silent longest is forgotten. One that keeps
    knocking keeps its place, also while it is refused; and after a minute of silence there is nothing
    left to forget. So to have his count forgotten early, an attacker must fall silent and send from 10,000
    other addresses, each of which has its own allowance: he gains nothing that they did not give him.
    """

    def __init__(
        self,
        per_minute: int,
        clock: Clock,
        *,
        code: str = "too_many_requests",
        message: str = "Too many requests.",
    ) -> None:
        """
        Args:
            per_minute: How many events are let through.
            clock: Tells the time.
            code: The error's code.
            message: The error's first sentence.
        """
        self._interval = _MINUTE // per_minute
        self._clock = clock
        self._code = code
        self._message = message
        self._empty_at: OrderedDict[str, int] = OrderedDict()
        """For each address, when its bucket will have leaked empty; the one silent longest comes first."""
        self._lock = threading.Lock()

    def count(self, address: str) -> None:
        """Count one event.

        Raises:
            RateLimited: The address has used up its share; with ``Retry-After``.
        """
        now = self._clock.time_ns()
        with self._lock:
            empty_at = self._seen(address, now)
            wait = self._wait(empty_at, now)
            self._empty_at[address] = empty_at if wait > 0 else empty_at + self._interval
            self._empty_at.move_to_end(address)
            if len(self._empty_at) > _CAPACITY:
                self._empty_at.popitem(last=False)
        self._refuse_while(wait)

    def _seen(self, address: str, now: int) -> int:
        """When the address's bucket leaks empty, between now and the minute that a full one takes.

        The upper bound heals what a clock that was set back would otherwise block for long.
        """
        return min(max(self._empty_at.get(address, now), now), now + _MINUTE)

    def _wait(self, empty_at: int, now: int) -> int:
        """Nanoseconds until the bucket has room for one more event."""
        return max(0, empty_at + self._interval - now - _MINUTE)

    def _refuse_while(self, wait: int) -> None:
        if wait > 0:
            seconds = math.ceil(wait / 1e9)
            raise RateLimited(
                f"{self._message} Retry in {seconds} s.", code=self._code, headers={"retry-after": str(seconds)}
            )
