"""A range set in, addresses to try out, the likeliest first: no look through the pool as long as chance finds room.

An address is taken by writing its key, which must not exist; so asking for one is trying to take it. What this host
knows to be free comes first, then the few behind the one it got last, then some at random. Only a pool that is
nearly full needs a look through all its keys, and what that shows is noted for the next ADDs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calico_rkt.compiler.conf.netconf import Address, Net, Range
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.store.etcd2 import keys
from calico_rkt.plugin.store.etcd2.client import Client
from calico_rkt.plugin.store.etcd2.hints import MOST, Hints
from calico_rkt.plugin.store.etcd2.spans import Spans
from calico_rkt.plugin.store.etcd2.values import Etcd2Pool

_BEHIND, _AT_RANDOM = 4, 12
_LOOKS = 5
"""Looks through a whole pool, each of which found free addresses that others took before we could."""


def offers(client: Client, pools: Sequence[tuple[Etcd2Pool, Hints]], place: str, spans: Spans) -> Iterator[Address]:
    """Addresses of a range set, until the caller has taken one; ends when there is none left.

    pools: those that the ranges lie in; place names the range set in their hints.
    """
    for _, hints in pools:
        yield from _known_free(hints, spans)
    first = pools[0][1]
    for _ in range(_BEHIND):
        found = first.claim(place, spans.following)
        if found is not None:
            yield found
    for found in spans.chance(_AT_RANDOM):
        yield found
        first.took(place, found)
    for _ in range(_LOOKS):
        used = {n.name for pool, _ in pools for n in client.listing(keys.assignments(pool.net.version, pool.name))}
        free = spans.free(used, MOST)
        if not free:
            return
        for pool, hints in pools:
            hints.seen_free(a for a in free if a in pool.net)
        for _, hints in pools:
            yield from _known_free(hints, spans)
    raise CniError(Code.TRY_AGAIN, f"others were faster {_LOOKS} times to take the last free addresses of {place}")


def exhausted(network: str, ranges: Sequence[Range], exclude: Sequence[Net]) -> CniError:
    listed = ", ".join(f"{r.first}-{r.last}" for r in ranges)
    without = f", without {', '.join(map(str, exclude))}" if exclude else ""
    return CniError(
        Code.POOL_EXHAUSTED,
        f"network {network!r} has no free address left in {listed}",
        f"every address is assigned in Calico's datastore{without}",
    )


def _known_free(hints: Hints, spans: Spans) -> Iterator[Address]:
    for _ in range(MOST):
        found = hints.one_free()
        if found is None:
            return
        if spans.holds(found):
            yield found
