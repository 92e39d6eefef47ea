"""A host's state file in, what it knows of addresses that nobody holds out: guards, and flows still to be forgotten.

GUARDS are the routes of each network that lead nowhere, beside the part of the conf that they were made from. A guard
that no network has any more stays there as nobody's until its route is out of the kernel: who dies in between leaves
none for ever. FLOWS_LEFT are addresses given back whose flows conntrack may still have; FLOWS_UNSURE are ranges that
packets may have gone to, since no guard was there. Who takes such an address next forgets its flows first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from ipaddress import ip_network

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.compiler.typed import TypeVar
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.log.tables import FLOWS_LEFT, FLOWS_UNSURE, GUARDS, Tables
from calico_rkt.plugin.store.log.texts import decode_address, encode_address, text_of
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
        with self._state.write() as tables:
            before, known = _guards_of(tables, network), _all_guards(tables)
            _put(tables, network, key, map(str, nets))
            _doubt(tables, [n for n in nets if str(n) not in known])
            return _left_over(tables, before)

    def forget_networks(self, networks: Collection[str]) -> tuple[Net, ...]:
        """Forget the guards of networks; those that no other has, until gone() is told of them."""
        with self._state.write() as tables:
            before = _all_guards(tables)
            for network in networks:
                tables.drop(GUARDS, text_of(network))
            return _left_over(tables, before)

    def gone(self, nets: Collection[Net]) -> None:
        """The routes of these guards of nobody's are out of the kernel."""
        if nets:
            with self._state.write() as tables:
                _put(tables, _NOBODY, None, _guards_of(tables, _NOBODY) - set(map(str, nets)))

    def guards(self, network: str | None = None) -> frozenset[Net]:
        """All guards, or those of one network."""
        with self._state.read() as tables:
            texts = _all_guards(tables) if network is None else _guards_of(tables, network)
            return frozenset(_read(ip_network, texts))

    def networks(self) -> tuple[str, ...]:
        """Who has guards, or had."""
        with self._state.read() as tables:
            entries = ((json.loads(name), json.loads(value)) for name, value in tables.of(GUARDS).items())
            return tuple(sorted(str(name) for name, (made_from, _) in entries if made_from is not None))

    def doubt(self, nets: Collection[Net]) -> tuple[Net, ...]:
        """Note that packets may have gone to these; those that nobody had doubts about."""
        with self._state.write() as tables:
            known = set(tables.of(FLOWS_UNSURE))
            _doubt(tables, nets)
            return tuple(n for n in nets if text_of(str(n)) not in known)

    def trust(self, nets: Collection[Net]) -> None:
        """Take that back."""
        with self._state.write() as tables:
            for net in nets:
                tables.drop(FLOWS_UNSURE, text_of(str(net)))

    def leave(self, given_back: Iterable[Address]) -> None:
        """Note that conntrack may have flows of these addresses."""
        with self._state.write() as tables:
            mark_flows_left(tables, given_back)

    def left(self) -> Left:
        """All that is noted, and who has such addresses meanwhile."""
        with self._state.read() as tables:
            noted = [json.loads(name) for name in tables.of(FLOWS_LEFT)]
            ranges: tuple[Net, ...] = tuple(_read(ip_network, _unsure(tables)))
            holders = tables.held.holders
            held = {text for text in noted if isinstance(text, str) and text in holders}
            for net in ranges:
                first, last = encode_address(net[0]), encode_address(net[-1])
                held.update(text for text in holders if first <= text <= last)
            given_back = tuple(_read(decode_address, noted))
            return Left(given_back, ranges, frozenset(_read(decode_address, held)))

    def forgotten(self, given_back: Collection[Address], nets: Collection[Net]) -> None:
        """The flows of these are gone."""
        with self._state.write() as tables:
            for address in given_back:
                tables.drop(FLOWS_LEFT, text_of(encode_address(address)))
            for net in nets:
                tables.drop(FLOWS_UNSURE, text_of(str(net)))


def mark_flows_left(tables: Tables, given_back: Iterable[Address]) -> None:
    """In the transaction of who gives them back."""
    for address in given_back:
        _note(tables, FLOWS_LEFT, encode_address(address))


def is_marked(tables: Tables, address: Address) -> bool:
    """Whether flows of this very address are left."""
    if tables.get(FLOWS_LEFT, text_of(encode_address(address))) is not None:
        return True
    if not tables.of(FLOWS_UNSURE):
        return False
    unsure = _unsure(tables)  # few, and soon gone
    known: list[Net] = list(_read(ip_network, unsure))
    return len(known) < len(unsure) or any(address in net for net in known)


def key(tables: Tables, network: str) -> str:
    """What the network's guards were made from; empty without any."""
    found = tables.get(GUARDS, text_of(network))
    return _made_from(found) if found else ""


@lru_cache(maxsize=64)
def _made_from(value: str) -> str:
    return str(json.loads(value)[0] or "")


def _left_over(tables: Tables, before: set[str]) -> tuple[Net, ...]:
    """Those of before that no network has now, and what an earlier call has left of such: all are nobody's."""
    known = _guards_of(tables, _NOBODY)
    nobodys = known | before
    if nobodys:
        nobodys -= _all_guards(tables)
    if nobodys != known:
        _put(tables, _NOBODY, None, nobodys)
    return tuple(_read(ip_network, sorted(nobodys)))


def _guards_of(tables: Tables, network: str) -> set[str]:
    found = tables.get(GUARDS, text_of(network))
    return set(_read(_text, json.loads(found)[1])) if found else set()


def _all_guards(tables: Tables) -> set[str]:
    """Those of every network; as texts, since a first ADD on a large host asks for all of them."""
    nobody = text_of(_NOBODY)
    values = (value for name, value in tables.of(GUARDS).items() if name != nobody)
    return set(_read(_text, (text for value in values for text in json.loads(value)[1])))


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError("no text")
    return text


def _put(tables: Tables, network: str, made_from: str | None, nets: Iterable[str]) -> None:
    texts = sorted(nets)
    if made_from is None and not texts:
        tables.drop(GUARDS, text_of(network))
    else:
        tables.put(GUARDS, text_of(network), text_of([made_from, texts]))


def _read(parse: Callable[[str], T], texts: Iterable[str]) -> Iterator[T]:
    """What the texts say; one that is damaged is named and left out."""
    for text in texts:
        try:
            yield parse(text)
        except (ValueError, TypeError, IndexError) as e:
            LOG.error("the state file has a record that can't be read, which is left out: %r: %s", text, e)


def _unsure(tables: Tables) -> list[str]:
    return [json.loads(name) for name in tables.of(FLOWS_UNSURE)]


def _doubt(tables: Tables, nets: Iterable[Net]) -> None:
    for net in nets:
        _note(tables, FLOWS_UNSURE, str(net))


def _note(tables: Tables, table: str, text: str) -> None:
    if tables.get(table, text_of(text)) is None:
        tables.put(table, text_of(text))
