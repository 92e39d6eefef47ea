"""Range sets and what is in use in, the next free addresses out: the allocator of the local datastore.

What is in use follows from the endpoints of all networks, since an address is unique on the host (log/used.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from calico_rkt.compiler.conf.netconf import Address, Ipam, Net, Range
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.store.log.tables import CURSORS, Tables
from calico_rkt.plugin.store.log.texts import decode_address, encode_address, text_of


def choose(tables: Tables, network: str, ipam: Ipam, requested: Sequence[Address]) -> tuple[Address, ...]:
    """One free address of each range set, requested ones first; only what was given last is noted.

    CniError: 103 a requested address is in no range, 102 it is taken, 101 a set has none left.
    """
    wanted = by_set(network, ipam, requested)
    chosen: list[Address] = []
    for number, ranges in enumerate(ipam.ranges):
        asked = wanted.get(number)
        if asked is not None:
            chosen.append(asked)
            continue
        found = _next(tables, network, number, ranges, ipam.exclude, taken=chosen)
        if found is None:
            raise _exhausted(tables, network, ranges)
        chosen.append(found)
        tables.put(CURSORS, _cursor_key(network, number), text_of(encode_address(found)))
    return tuple(chosen)


def _next(
    tables: Tables,
    network: str,
    number: int,
    ranges: Sequence[Range],
    exclude: Sequence[Net],
    taken: Sequence[Address],
) -> Address | None:
    """Next-fit: the first free address after the one handed out last, round all ranges of the set."""
    cursor = _cursor(tables, network, number)
    reserved = {r.gateway for r in ranges if r.gateway is not None} | set(taken)
    for first, last in _pieces(ranges, cursor):
        candidate: Address | None = first
        while candidate is not None and int(candidate) <= int(last):
            jump = _blocked_until(tables, candidate, exclude)
            if jump is None and candidate not in reserved:
                return candidate
            candidate = _beside(candidate if jump is None else jump, 1)
    return None


def _cursor_key(network: str, number: int) -> str:
    return f"[{text_of(network)},{number:d}]"


def _cursor(tables: Tables, network: str, number: int) -> Address | None:
    """What was given last of a range set; one that can't be read is as good as none."""
    found = tables.get(CURSORS, _cursor_key(network, number))
    try:
        return None if found is None else decode_address(json.loads(found))
    except (ValueError, TypeError, IndexError):
        return None


def _pieces(ranges: Sequence[Range], cursor: Address | None) -> Iterator[tuple[Address, Address]]:
    """The ranges in the order of the search: from behind the cursor to the end, then from the start up to it."""
    at = next((i for i, r in enumerate(ranges) if cursor is not None and _holds(r, cursor)), None)
    if at is None or cursor is None:
        yield from ((r.first, r.last) for r in ranges)
        return
    here = ranges[at]
    if int(cursor) < int(here.last):
        yield cursor + 1, here.last
    yield from ((r.first, r.last) for r in (*ranges[at + 1 :], *ranges[:at]))
    yield here.first, cursor


def _blocked_until(tables: Tables, address: Address, exclude: Sequence[Net]) -> Address | None:
    """The last address of the used interval or the excluded net that address lies in; None when it is free."""
    for net in exclude:
        if address in net:
            return net.broadcast_address
    return tables.until(address)


def by_set(network: str, ipam: Ipam, requested: Sequence[Address]) -> dict[int, Address]:
    """Which range set each requested address is taken from; CniError 103 when one is in none."""
    found: dict[int, Address] = {}
    for address in requested:
        fitting = [i for i, ranges in enumerate(ipam.ranges) if any(_holds(r, address) for r in ranges)]
        if not fitting:
            raise CniError(
                Code.ADDRESS_OUTSIDE,
                f"the requested address {address} is in no range of network {network!r}",
                f"its ranges: {_listed([r for ranges in ipam.ranges for r in ranges])}",
            )
        for net in ipam.exclude:
            if address in net:
                raise CniError(
                    Code.ADDRESS_OUTSIDE,
                    f"the requested address {address} is excluded from network {network!r} by {net}",
                )
        if any(r.gateway == address for i in fitting for r in ipam.ranges[i]):
            raise CniError(
                Code.ADDRESS_OUTSIDE, f"the requested address {address} is the gateway of network {network!r}"
            )
        free = [i for i in fitting if i not in found]
        if not free:
            raise CniError(
                Code.ADDRESS_OUTSIDE,
                f"network {network!r} gives one address of each range set: "
                f"{found[fitting[0]]} and {address} are of the same one",
            )
        found[free[0]] = address
    return found


def within(inner: Net, outer: Net) -> bool:
    """Whether one net lies in the other."""
    same = inner.version == outer.version
    return same and int(outer[0]) <= int(inner[0]) and int(inner[-1]) <= int(outer[-1])


def _exhausted(tables: Tables, network: str, ranges: Sequence[Range]) -> CniError:
    used = sum(tables.held.used.count(r.first, r.last) for r in ranges)
    return CniError(
        Code.POOL_EXHAUSTED,
        f"network {network!r} has no free address left in {_listed(ranges)}",
        f"{used} in use; the rest is excluded or a gateway",
    )


def _listed(ranges: Sequence[Range]) -> str:
    return ", ".join(f"{r.first}-{r.last}" for r in ranges)


def _holds(r: Range, address: Address) -> bool:
    return r.first.version == address.version and int(r.first) <= int(address) <= int(r.last)


def _beside(address: Address, step: int) -> Address | None:
    """The address one up or down, None at the end of its family."""
    number = int(address) + step
    return type(address)(number) if 0 <= number < 1 << address.max_prefixlen else None
