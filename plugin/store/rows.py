"""Rows of a host's state file in, the endpoints that they record out, and back; in the transaction of who asks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import TypedDict

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store import addresses
from calico_rkt.plugin.store.protocol import DamagedRecordError, checked_ifname

_FIELDS = "nonce, netns, netns_dev, netns_inode, host_ifname, mac, ip_masq, result, home_dev, home_inode, members, node"
_RECORDS = "endpoints LEFT JOIN origins USING (network, container, ifname, nonce)"
"""An older program knows no origins, and may have left one: of another nonce."""
_OF_KEY = "network = ? AND container = ? AND ifname = ?"


def _words(key: Key) -> tuple[str, str, str]:
    return key.network, key.container, key.ifname


def endpoint_of(db: sqlite3.Connection, key: Key) -> Endpoint | None:
    """An attachment as it is recorded, or None; DamagedRecordError where its row can't be read."""
    row = db.execute(
        f"SELECT {_FIELDS} FROM {_RECORDS} WHERE {_OF_KEY}",  # noqa: S608 - our own words
        _words(key),
    ).fetchone()
    if row is None:
        return None
    return from_row(key, row, addresses_of(db, key))


def is_recorded(db: sqlite3.Connection, key: Key) -> bool:
    """Whether there is a row, readable or not."""
    row = db.execute(f"SELECT 1 FROM endpoints WHERE {_OF_KEY}", _words(key))  # noqa: S608 - our own words
    return row.fetchone() is not None


def addresses_of(db: sqlite3.Connection, key: Key) -> list[str]:
    """The addresses that an endpoint holds, in their order, as they are written."""
    found = db.execute(
        f"SELECT address FROM addresses WHERE {_OF_KEY} ORDER BY position",  # noqa: S608 - our own words
        _words(key),
    )
    return [text for (text,) in found]


def every(
    db: sqlite3.Connection, network: str | None
) -> tuple[list[tuple[Key, Sequence[str | int]]], dict[Key, list[str]]]:
    """The rows of all endpoints, or of one network's, sorted by key, and the addresses of each; see from_row()."""
    where, values = ("", ()) if network is None else (" WHERE network = ?", (network,))
    order = " ORDER BY network, container, ifname"
    held: dict[Key, list[str]] = {}
    for address, *key in db.execute(
        f"SELECT address, network, container, ifname FROM addresses{where}{order}, position",  # noqa: S608 - as above
        values,
    ):
        held.setdefault(Key(*key), []).append(address)
    found = db.execute(
        f"SELECT network, container, ifname, {_FIELDS} FROM {_RECORDS}{where}{order}",  # noqa: S608 - as above
        values,
    )
    return [(Key(*row[:3]), row[3:]) for row in found], held


def finish(db: sqlite3.Connection, key: Key, nonce: str, result: str) -> bool:
    """Write an ADD's result into its row, where that still has this nonce; whether it has."""
    done = db.execute(
        f"UPDATE endpoints SET result = ? WHERE {_OF_KEY} AND nonce = ?",  # noqa: S608 - our own words
        (result, *_words(key), nonce),
    )
    return bool(done.rowcount)


def delete(db: sqlite3.Connection, key: Key, *more: str) -> None:
    """Delete an endpoint's row and its origin, and what more tables have of it."""
    for table in ("endpoints", "origins", *more):
        db.execute(f"DELETE FROM {table} WHERE {_OF_KEY}", _words(key))  # noqa: S608 - our own words


def from_row(key: Key, row: Sequence[str | int], held: Iterable[str]) -> Endpoint:
    """The endpoint of a row and its addresses; CniError where they are not what insert_endpoint() writes."""
    nonce, netns, dev, inode, host_ifname, mac, ip_masq, result, *origin = row
    texts = (*_words(key), nonce, netns, host_ifname, mac, result)
    try:
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a text is none")
        return Endpoint(
            key=key,
            nonce=str(nonce),
            netns=str(netns),
            netns_dev=int(dev),
            netns_inode=int(inode),
            host_ifname=checked_ifname(host_ifname),
            mac=str(mac),
            addresses=tuple(addresses.decode_address(text) for text in held),
            ip_masq=bool(ip_masq),
            result=str(result),
            **_origin(*origin),
        )
    except (ValueError, TypeError, IndexError) as e:
        who = f"{key.ifname!r} of container {key.container!r} in network {key.network!r}"
        raise DamagedRecordError(Code.IO, f"the record of {who} is damaged: {e}", "a DEL takes it away") from e


class _Origin(TypedDict):
    home: tuple[int, int]
    members: tuple[str, ...]
    node: str


def _origin(dev: object, inode: object, members: object, node: object) -> _Origin:
    """Where an attachment was made; what is not there, or damaged, is empty."""
    return {
        "home": (dev, inode) if isinstance(dev, int) and isinstance(inode, int) else (0, 0),
        "members": tuple(members.split("\n")) if members and isinstance(members, str) else (),
        "node": node if isinstance(node, str) else "",
    }


def insert_endpoint(db: sqlite3.Connection, e: Endpoint) -> None:
    key = _words(e.key)
    values = (e.nonce, e.netns, e.netns_dev, e.netns_inode, e.host_ifname, e.mac, e.ip_masq, e.result)
    db.execute("INSERT INTO endpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*key, *values))
    origin = (e.nonce, *e.home, "\n".join(e.members), e.node)
    db.execute("INSERT OR REPLACE INTO origins VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*key, *origin))
    for position, address in enumerate(e.addresses):
        db.execute("INSERT INTO addresses VALUES (?, ?, ?, ?, ?)", (addresses.encode_address(address), *key, position))
        addresses.mark_used(db, address)


def holder_of(db: sqlite3.Connection, address: Address) -> tuple[str, str, str] | None:
    found: tuple[str, str, str] | None = db.execute(
        "SELECT network, container, ifname FROM addresses WHERE address = ?", (addresses.encode_address(address),)
    ).fetchone()
    return found


def refuse_taken(db: sqlite3.Connection, address: Address) -> None:
    holder = holder_of(db, address)
    if holder is not None:
        network, container, ifname = holder
        raise CniError(
            Code.ADDRESS_TAKEN,
            f"{address} is taken by {ifname} of container {container} in network {network!r}",
        )


def record_subnets(db: sqlite3.Connection, network: str, wanted: frozenset[str], known: set[str]) -> None:
    """Note a conf's subnets, beside those known; one that it names no more goes when no endpoint is in it."""
    for text in wanted - known:
        db.execute("INSERT INTO subnets VALUES (?, ?)", (network, text))
    for text in known - wanted:
        subnet: Net = ip_network(text)
        bounds = addresses.encode_address(subnet[0]), addresses.encode_address(subnet[-1])
        if not db.execute(
            "SELECT 1 FROM addresses WHERE address BETWEEN ? AND ? AND network = ?", (*bounds, network)
        ).fetchone():
            db.execute("DELETE FROM subnets WHERE network = ? AND subnet = ?", (network, text))


def subnets_of(db: sqlite3.Connection, network: str) -> set[str]:
    return {text for (text,) in db.execute("SELECT subnet FROM subnets WHERE network = ?", (network,))}
