"""Range sets and what is in use in, the next free addresses out: the allocator of the local datastore.

One table of used intervals spans all networks, since an address is unique on the host; neighbours are merged, so
"the next free address from here" is one look at an index, however full a range is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from calico_rkt.compiler.conf.netconf import Address, Ipam, Net, Range
from calico_rkt.plugin.errors import CniError, Code

SCHEMA = """
CREATE TABLE used (first TEXT PRIMARY KEY, last TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE cursors (network TEXT, range_set INTEGER, last TEXT NOT NULL, PRIMARY KEY (network, range_set))
    WITHOUT ROWID;
"""


def encode_address(address: Address) -> str:
    """The address as text that sorts as addresses do: the family's digit, a colon, its bytes in hex."""
    return f"{address.version}:{address.packed.hex()}"


def decode_address(text: str) -> Address:
    """The address that encode() was given."""
    packed = bytes.fromhex(text[2:])
    return IPv4Address(packed) if text[0] == "4" else IPv6Address(packed)


def choose(db: sqlite3.Connection, network: str, ipam: Ipam, requested: Sequence[Address]) -> tuple[Address, ...]:
    """One free address of each range set, requested ones first; nothing is marked used yet.

    CniError: 103 a requested address is in no range, 102 it is taken, 101 a set has none left.
    """
    wanted = by_set(network, ipam, requested)
    chosen: list[Address] = []
    for number, ranges in enumerate(ipam.ranges):
        asked = wanted.get(number)
        if asked is not None:
            chosen.append(asked)
            continue
        found = _next(db, network, number, ranges, ipam.exclude, taken=chosen)
        if found is None:
            raise _exhausted(db, network, ranges)
        chosen.append(found)
        db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?)", (network, number, encode_address(found)))
    return tuple(chosen)


def rebuild(db: sqlite3.Connection) -> None:
    """Make the used intervals anew from the addresses that endpoints hold, which are what counts; drop the cursors."""
    db.execute("DELETE FROM used")
    db.execute("DELETE FROM cursors")
    for (text,) in db.execute("SELECT address FROM addresses ORDER BY address").fetchall():
        try:
            mark_used(db, decode_address(text))
        except (ValueError, TypeError, IndexError):
            continue  # its record is named where it is read


def mark_used(db: sqlite3.Connection, address: Address) -> None:
    """Join a free address to the used intervals beside it."""
    key = encode_address(address)
    first, last = key, key
    below, above = _beside(address, -1), _beside(address, 1)
    if below is not None:
        interval = _around(db, encode_address(below))
        if interval is not None:
            first = interval[0]
    if above is not None:
        row = db.execute("SELECT last FROM used WHERE first = ?", (encode_address(above),)).fetchone()
        if row is not None:
            last = row[0]
            db.execute("DELETE FROM used WHERE first = ?", (encode_address(above),))
    db.execute("INSERT OR REPLACE INTO used VALUES (?, ?)", (first, last))


def mark_free(db: sqlite3.Connection, address: Address) -> None:
    """Cut a used address out of its interval."""
    key = encode_address(address)
    row = _around(db, key)
    if row is None:
        return
    first, last = row
    db.execute("DELETE FROM used WHERE first = ?", (first,))
    below, above = _beside(address, -1), _beside(address, 1)
    if first < key and below is not None:
        db.execute("INSERT INTO used VALUES (?, ?)", (first, encode_address(below)))
    if key < last and above is not None:
        db.execute("INSERT INTO used VALUES (?, ?)", (encode_address(above), last))


def in_use(db: sqlite3.Connection, first: Address, last: Address) -> int:
    """How many addresses from first to last are used, whatever their network."""
    low, high = encode_address(first), encode_address(last)
    rows = list(db.execute("SELECT first, last FROM used WHERE first BETWEEN ? AND ?", (low, high)))
    before = _around(db, low)
    if before is not None and before not in rows:
        rows.append(before)
    return sum(min(int(decode_address(b)), int(last)) - max(int(decode_address(a)), int(first)) + 1 for a, b in rows)


def _next(
    db: sqlite3.Connection,
    network: str,
    number: int,
    ranges: Sequence[Range],
    exclude: Sequence[Net],
    taken: Sequence[Address],
) -> Address | None:
    """Next-fit: the first free address after the one handed out last, round all ranges of the set."""
    row = db.execute("SELECT last FROM cursors WHERE network = ? AND range_set = ?", (network, number)).fetchone()
    cursor = decode_address(row[0]) if row else None
    reserved = {r.gateway for r in ranges if r.gateway is not None} | set(taken)
    for first, last in _pieces(ranges, cursor):
        candidate: Address | None = first
        while candidate is not None and int(candidate) <= int(last):
            jump = _blocked_until(db, candidate, exclude)
            if jump is None and candidate not in reserved:
                return candidate
            candidate = _beside(candidate if jump is None else jump, 1)
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


def _blocked_until(db: sqlite3.Connection, address: Address, exclude: Sequence[Net]) -> Address | None:
    """The last address of the used interval or the excluded net that address lies in; None when it is free."""
    for net in exclude:
        if address in net:
            return net.broadcast_address
    row = _around(db, encode_address(address))
    return decode_address(row[1]) if row else None


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


def _exhausted(db: sqlite3.Connection, network: str, ranges: Sequence[Range]) -> CniError:
    used = sum(in_use(db, r.first, r.last) for r in ranges)
    return CniError(
        Code.POOL_EXHAUSTED,
        f"network {network!r} has no free address left in {_listed(ranges)}",
        f"{used} in use; the rest is excluded or a gateway",
    )


def _listed(ranges: Sequence[Range]) -> str:
    return ", ".join(f"{r.first}-{r.last}" for r in ranges)


def _holds(r: Range, address: Address) -> bool:
    return r.first.version == address.version and int(r.first) <= int(address) <= int(r.last)


def _around(db: sqlite3.Connection, key: str) -> tuple[str, str] | None:
    """The used interval that holds key."""
    row = db.execute("SELECT first, last FROM used WHERE first <= ? ORDER BY first DESC LIMIT 1", (key,)).fetchone()
    return (row[0], row[1]) if row is not None and row[1] >= key else None


def _beside(address: Address, step: int) -> Address | None:
    """The address one up or down, None at the end of its family."""
    number = int(address) + step
    return type(address)(number) if 0 <= number < 1 << address.max_prefixlen else None
