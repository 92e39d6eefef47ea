"""The kernel in; its whole ruleset by libnftables' JSON out, with what that listing does not say of our table.

A listing leaves out what nft takes for implied, and sometimes what is not. So what was listed of our table is loaded
into an empty namespace and compared with the kernel's own bytes: where these differ, the listing is not believed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from calico_rkt.plugin.attest.ruleset import OURS, KernelRules, Place, parsed
from calico_rkt.plugin.enforce.nft import libnftables, scratch, transactions
from calico_rkt.plugin.enforce.nft.elements import TABLE
from calico_rkt.plugin.enforce.nft.ruleset import Ruleset, read_ruleset
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import state
from calico_rkt.plugin.link.sockets import host_socket

_ATTEMPTS = 5
_STATE = ("counter",)
"""Expressions that hold what was counted, which a listing without state does not have."""


@dataclass(frozen=True, slots=True)
class Seen:
    """rules: the whole ruleset. unsaid: by chain or set of ours, what the listing does not say of it.

    dormant: whether our table's hooks are taken out, which nft 1.0.6 leaves out of its JSON. groups: the device group
    of each interface.
    """

    rules: KernelRules
    unsaid: dict[str, str]
    dormant: bool = False
    groups: Mapping[str, int] = field(default_factory=dict)


def read_kernel() -> Seen:
    """Everything of one generation of the ruleset. CniError where it changes all the while."""
    for _ in range(_ATTEMPTS):
        with transactions.held() as socket:
            before, flags = socket.generation(), socket.flags(TABLE)
        objects, unread, dormant = _listed()
        unsaid = {}
        if OURS not in unread and any(_is_ours(o.get("table", {})) for o in objects):
            text = libnftables.listed_whole(f"list table inet {TABLE}")
            with transactions.held() as socket:
                there = read_ruleset(socket)
            try:
                unsaid = dict(_unsaid(there, scratch.made_of(text), _with_patterns(objects)))
            except libnftables.NftError as e:  # `iif eth0` is a number of this host's
                unsaid = {TABLE: f"the table inet {TABLE} is listed as no other host takes it ({e.msg})"}
        with transactions.held() as socket:
            if socket.generation() == before:
                return Seen(parsed(objects, unread, dormant), unsaid, flags is not None and flags.dormant, _groups())
    raise CniError(Code.TRY_AGAIN, f"the ruleset changed {_ATTEMPTS} times while it was read", "try again")


def _is_ours(table: Mapping[str, Any]) -> bool:
    return (table.get("family"), table.get("name")) == OURS


def _with_patterns(objects: Iterable[Mapping[str, Any]]) -> set[str]:
    """Sets and maps of ours with patterns of names: nft lists a name that ends with `*` itself as one."""
    bodies = (body for one in objects for kind, body in one.items() if kind in ("set", "map"))
    ours = (b for b in bodies if (b["family"], b["table"]) == OURS)
    return {b["name"] for b in ours if '*"' in json.dumps(b.get("elem", []))}


def _groups() -> dict[str, int]:
    with host_socket() as host:
        return {name: group for name, _, group in state.groups(host, kind="")}


def _listed() -> tuple[tuple[dict[str, Any], ...], dict[Place, str], set[Place]]:
    """The ruleset in one call, what is left out of it and why, and the tables that are dormant.

    A table that a process holds is left out, since nft 1.0.6 can't list it.
    """
    with transactions.held() as socket:
        tables = socket.tables({**transactions.FAMILIES, **transactions.BELOW_IP})
    unread: dict[Place, str] = {(f, n): "a process holds it (nft's flag owner)" for f, n, said in tables if said.owner}
    dormant = {(family, name) for family, name, said in tables if said.dormant}
    if not unread:
        return libnftables.list_numbers("list ruleset"), unread, dormant
    found: list[dict[str, Any]] = []
    for family, name, _ in tables:
        if (family, name) not in unread:
            found += libnftables.list_numbers(f"list table {family} {name}")
    return tuple(found), unread, dormant


def _unsaid(there: Ruleset, back: Ruleset, patterned: Collection[str]) -> Iterator[tuple[str, str]]:
    for name, chain in there.chains.items():
        if back.chains.get(name) != chain:
            yield name, f"chain {name} has more than nft lists of it"
            continue
        rules, listed = there.rules[name], back.rules.get(name, ())
        for number, rule in enumerate(rules, 1):
            if number > len(listed) or _stateless(rule) != _stateless(listed[number - 1]):
                yield name, f"chain {name}, rule {number} has more than nft lists of it"
                break
    for name, kind in there.sets.items():
        if back.sets.get(name) != kind:
            yield name, f"set {name} has more than nft lists of it"
        elif name in patterned and _keys(there, name) != _keys(back, name):
            yield name, f"set {name} has other names than nft lists"


def _keys(ruleset: Ruleset, name: str) -> set[bytes]:
    return {content.key for content in ruleset.elements[name]}


def _stateless(rule: object) -> object:
    expressions = rule[0] if isinstance(rule, tuple) else ()
    return tuple(e for e in expressions if e[0] not in _STATE)
