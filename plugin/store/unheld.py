"""A host's state file in, what it knows of addresses that nobody holds out: guards, and flows still to be forgotten.

`guards` are the routes of each network that lead nowhere; `guarded` is the part of the conf that they were made from.
A guard that no network has any more stays there as nobody's until its route is out of the kernel: who dies in between
leaves none for ever. `flows_left` are addresses given back whose flows conntrack may still have; `flows_unsure` are
ranges that packets may have gone to, since no guard was there. Who takes such an address next forgets its flows first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TypeVar

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store import addresses
from calico_rkt.plugin.store.statefile import StateFile

T = TypeVar("T")
_NOBODY = ""
"""In a network's place."""


@dataclass(frozen=True, slots=True)
class Left:
    """What conntrack may know and nobody holds; held are those of them that endpoints have meanwhile."""

    addresses: tuple[Address, ...]
    ranges: tuple[Net, ...]
    held: frozenset[Address]


class Unheld:
    """That part of one state file. Each call is one transaction."""

    def __init__(self, state: StateFile) -> None:
        self._state = state

    def record(self, network: str, key: str, nets: Collection[Net]) -> tuple[Net, ...]:
        """These are a network's guards from now on; those that no network has any more, until gone() is told of them.

        Fresh ones are ranges that packets may have gone to.
        """
        with self._state.write() as db:
            before, known = _guards(db, network), _guards(db)
            db.executemany("DELETE FROM guards WHERE network = ? AND net = ?", _rows(network, before - set(nets)))
            db.executemany("INSERT OR IGNORE INTO guards VALUES (?, ?)", _rows(network, nets))
            db.execute("INSERT OR REPLACE INTO guarded VALUES (?, ?)", (network, key))
            _doubt(db, set(nets) - known)
            return _left_over(db, before)

    def forget_networks(self, networks: Collection[str]) -> tuple[Net, ...]:
        """Forget the guards of networks; those that no other has, until gone() is told of them."""
        with self._state.write() as db:
            before = _guards(db)
            for network in networks:
                db.execute("DELETE FROM guards WHERE network = ?", (network,))
                db.execute("DELETE FROM guarded WHERE network = ?", (network,))
            return _left_over(db, before)

    def gone(self, nets: Collection[Net]) -> None:
        """The routes of these guards of nobody's are out of the kernel."""
        if nets:
            with self._state.write() as db:
                db.executemany("DELETE FROM guards WHERE network = ? AND net = ?", _rows(_NOBODY, nets))

    def guards(self, network: str | None = None) -> frozenset[Net]:
        """All guards, or those of one network."""
        with self._state.read() as db:
            return frozenset(_guards(db, network))

    def networks(self) -> tuple[str, ...]:
        """Who has guards, or had."""
        with self._state.read() as db:
            return tuple(n for (n,) in db.execute("SELECT network FROM guarded ORDER BY network"))

    def doubt(self, nets: Collection[Net]) -> tuple[Net, ...]:
        """Note that packets may have gone to these; those that nobody had doubts about."""
        with self._state.write() as db:
            known = {n for (n,) in db.execute("SELECT net FROM flows_unsure")}
            _doubt(db, nets)
            return tuple(n for n in nets if str(n) not in known)

    def trust(self, nets: Collection[Net]) -> None:
        """Take that back."""
        with self._state.write() as db:
            db.executemany("DELETE FROM flows_unsure WHERE net = ?", ((str(n),) for n in nets))

    def leave(self, given_back: Iterable[Address]) -> None:
        """Note that conntrack may have flows of these addresses."""
        with self._state.write() as db:
            mark_flows_left(db, given_back)

    def left(self) -> Left:
        """All that is noted, and who has such addresses meanwhile."""
        with self._state.read() as db:
            given_back = tuple(_read(addresses.decode_address, db.execute("SELECT address FROM flows_left")))
            ranges: tuple[Net, ...] = tuple(_read(ip_network, db.execute("SELECT net FROM flows_unsure")))
            held = list(db.execute("SELECT address FROM addresses JOIN flows_left USING (address)"))
            for net in ranges:
                bounds = addresses.encode_address(net[0]), addresses.encode_address(net[-1])
                held += db.execute("SELECT address FROM addresses WHERE address BETWEEN ? AND ?", bounds)
            return Left(given_back, ranges, frozenset(_read(addresses.decode_address, held)))

    def forgotten(self, given_back: Collection[Address], nets: Collection[Net]) -> None:
        """The flows of these are gone."""
        with self._state.write() as db:
            gone = ((addresses.encode_address(a),) for a in given_back)
            db.executemany("DELETE FROM flows_left WHERE address = ?", gone)
            db.executemany("DELETE FROM flows_unsure WHERE net = ?", ((str(n),) for n in nets))


def mark_flows_left(db: sqlite3.Connection, given_back: Iterable[Address]) -> None:
    """In the transaction of who gives them back."""
    db.executemany("INSERT OR IGNORE INTO flows_left VALUES (?)", ((addresses.encode_address(a),) for a in given_back))


def is_marked(db: sqlite3.Connection, address: Address) -> bool:
    """Whether flows of this very address are left."""
    row = db.execute("SELECT 1 FROM flows_left WHERE address = ?", (addresses.encode_address(address),)).fetchone()
    unsure = db.execute("SELECT net FROM flows_unsure").fetchall()  # few, and soon gone
    known: list[Net] = list(_read(ip_network, unsure))
    return row is not None or len(known) < len(unsure) or any(address in net for net in known)


def key(db: sqlite3.Connection, network: str) -> str:
    """What the network's guards were made from; empty without any."""
    row = db.execute("SELECT key FROM guarded WHERE network = ?", (network,)).fetchone()
    return str(row[0]) if row else ""


def _left_over(db: sqlite3.Connection, before: set[Net]) -> tuple[Net, ...]:
    """Those of before that no network has now, and what an earlier call has left of such: all are nobody's."""
    now = _guards(db)
    db.executemany("INSERT OR IGNORE INTO guards VALUES (?, ?)", _rows(_NOBODY, before - now))
    db.executemany("DELETE FROM guards WHERE network = ? AND net = ?", _rows(_NOBODY, now))
    return tuple(sorted(_guards(db, _NOBODY), key=str))


def _guards(db: sqlite3.Connection, network: str | None = None) -> set[Net]:
    if network is None:
        return set(_read(ip_network, db.execute("SELECT DISTINCT net FROM guards WHERE network <> ?", (_NOBODY,))))
    return set(_read(ip_network, db.execute("SELECT net FROM guards WHERE network = ?", (network,))))


def _read(parse: Callable[[str], T], rows: Iterable[tuple[str]]) -> Iterator[T]:
    """What the rows say; one that is damaged is named and left out."""
    for (text,) in rows:
        try:
            yield parse(text)
        except (ValueError, TypeError, IndexError) as e:
            LOG.error("the state file has a record that can't be read, which is left out: %r: %s", text, e)


def _doubt(db: sqlite3.Connection, nets: Iterable[Net]) -> None:
    db.executemany("INSERT OR IGNORE INTO flows_unsure VALUES (?)", ((str(n),) for n in nets))


def _rows(network: str, nets: Iterable[Net]) -> list[tuple[str, str]]:
    return [(network, str(n)) for n in nets]
