"""The kernel's table in; all of it that decides about packets, as values that can be compared, out.

What netlink gives is compared, not what nft prints: nft leaves out what it takes for implied.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from errno import ENOENT

from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.enforce.nft.elements import TABLE
from calico_rkt.plugin.enforce.nft.kernel_numbers import INET, text
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netlink import KNOWN_SHAPE, attribute, attributes, plain

_GET_CHAIN, _GET_RULE, _GET_SET, _GET_ELEMENT = (10 << 8 | kind for kind in (4, 7, 10, 13))
"""NFNL_SUBSYS_NFTABLES and NFT_MSG_*; below NFTA_* of linux/netfilter/nf_tables.h."""
_ATTEMPTS = 100
_OF_TABLE, _SECOND = 1, 2
_CHAIN_NAME, _CHAIN_DECIDES = 3, (4, 5, 7, 10)  # HOOK, POLICY, TYPE, FLAGS
_HOOK, _HOOK_DECIDES = 4, (1, 2)  # HOOKNUM, PRIORITY
_RULE_CHAIN, _EXPRESSIONS, _USERDATA = 2, 4, 7
_NAME, _DATA, _IMMEDIATE_DATA = 1, 2, 2  # EXPR_*, IMMEDIATE_DATA
_SET_NAME, _SET_FLAGS, _SET_DECIDES = 2, 3, (3, 4, 5, 6, 7, 11, 15, 17, 18)
_ANONYMOUS = 1  # NFT_SET_ANONYMOUS
_LIST_ELEMENTS, _KEY, _VALUE, _NOT_CONTENT = 3, 1, 1, (5, 6)  # EXPIRATION, USERDATA
_TO, _VERDICT, _CODE, _TO_CHAIN, _GOTO = 2, 2, 1, 2, (-4).to_bytes(4, "big", signed=True)
_FLAGS, _END = 3, 1  # NFT_SET_ELEM_INTERVAL_END
_SETS_OF = {"lookup": 1, "dynset": 1, "objref": 4}  # the attribute that names a set


@dataclass(frozen=True, slots=True)
class Content:
    """An element: its key, the chain that a map's verdict goes to, and whatever else it has by attribute."""

    key: bytes
    chain: str = ""
    more: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Ruleset:
    """What the table has: chains by name with hook, policy, type; rules in order; named sets; their elements.

    A rule is its expressions and its comment; an anonymous set stands in it by what it holds.
    """

    chains: dict[str, tuple[tuple[int, bytes], ...]]
    rules: dict[str, tuple[object, ...]]
    sets: dict[str, tuple[tuple[int, bytes], ...]]
    elements: dict[str, frozenset[Content]]


def read_ruleset(socket: netlink.Socket) -> Ruleset:
    """The table inet calico_rkt of the socket's namespace; empty where there is none."""
    with KNOWN_SHAPE:
        return _read(socket)


def _read(socket: netlink.Socket) -> Ruleset:
    chains = {}
    for found in _chains(socket):
        chains[plain(found[_CHAIN_NAME])] = _chain(found)
    sets: dict[str, tuple[tuple[int, bytes], ...]] = {}
    anonymous: dict[bytes, object] = {}
    elements: dict[str, frozenset[Content]] = {}
    for body in _dump(socket, _GET_SET, attribute(_OF_TABLE, text(TABLE))):
        found = attributes(body[4:])
        name, kind = found[_SET_NAME], tuple((k, found[k]) for k in _SET_DECIDES if k in found)
        content = frozenset(_elements(socket, name))
        if int.from_bytes(found.get(_SET_FLAGS, b""), "big") & _ANONYMOUS:
            anonymous[name] = kind, content
        else:
            sets[plain(name)], elements[plain(name)] = kind, content
    rules: dict[str, list[object]] = {name: [] for name in chains}
    for body in _dump(socket, _GET_RULE, attribute(_OF_TABLE, text(TABLE))):
        found = attributes(body[4:])
        rule = _expressions(found.get(_EXPRESSIONS, b""), anonymous), found.get(_USERDATA, b"")
        rules.setdefault(plain(found[_RULE_CHAIN]), []).append(rule)
    return Ruleset(chains, {c: tuple(r) for c, r in rules.items()}, sets, elements)


def keys_of(socket: netlink.Socket, name: str) -> frozenset[bytes]:
    """The keys of one set or map; none where it is not there."""
    with KNOWN_SHAPE:
        return frozenset(content.key for content in _elements(socket, text(name)))


def chain_names(socket: netlink.Socket) -> frozenset[str]:
    """The names of all chains of the table; none where it is not there."""
    with KNOWN_SHAPE:
        return frozenset(plain(found[_CHAIN_NAME]) for found in _chains(socket))


def ends_of_chains(socket: netlink.Socket) -> dict[str, tuple[int | None, bytes]]:
    """By each chain's name what its last rule does, if that is a verdict and nothing else, and its user data.

    The verdict is a number of linux/netfilter.h or nf_tables.h; None of another rule, and where there is none.
    """
    with KNOWN_SHAPE:
        last: dict[bytes, bytes] = {}
        chains = [plain(found[_CHAIN_NAME]) for found in _chains(socket)]
        for body in _dump(socket, _GET_RULE, attribute(_OF_TABLE, text(TABLE))):
            last[netlink.first(body, _RULE_CHAIN, 4)] = body
        found = {plain(chain): attributes(body[4:]) for chain, body in last.items()}
        ends = {c: (_bare_verdict(f.get(_EXPRESSIONS, b"")), f.get(_USERDATA, b"")) for c, f in found.items()}
        return {chain: ends.get(chain, (None, b"")) for chain in chains}


def _bare_verdict(data: bytes) -> int | None:
    parts = list(_pairs(data))
    expression = attributes(parts[0][1]) if len(parts) == 1 else {}
    if plain(expression.get(_NAME, b"")) != "immediate":
        return None
    loaded = attributes(attributes(expression.get(_DATA, b"")).get(_IMMEDIATE_DATA, b""))
    verdict = attributes(loaded.get(_VERDICT, b""))
    return int.from_bytes(verdict[_CODE], "big", signed=True) if verdict.keys() == {_CODE} else None


def _chains(socket: netlink.Socket) -> Iterator[dict[int, bytes]]:
    for body in _dump(socket, _GET_CHAIN, b""):
        found = attributes(body[4:])
        if found[_OF_TABLE] == text(TABLE) and body[0] == INET[0]:
            yield found


def parts_of(chains: Collection[str], socket: netlink.Socket) -> frozenset[str]:
    """The chains that ports are led to from these, by the table in the kernel: in-web/1, in-web/2 of in-web."""
    return frozenset(name for name in chain_names(socket) if "/" in name and name.partition("/")[0] in chains)


def _chain(found: dict[int, bytes]) -> tuple[tuple[int, bytes], ...]:
    kept = {k: found[k] for k in _CHAIN_DECIDES if k in found}
    if _HOOK in kept:
        at = attributes(kept[_HOOK])
        kept[_HOOK] = b"".join(at.get(k, b"") for k in _HOOK_DECIDES)
    return tuple(sorted(kept.items()))


def _expressions(data: bytes, anonymous: dict[bytes, object]) -> tuple[object, ...]:
    found = []
    for _, one in _pairs(data):
        expression = attributes(one)
        name = plain(expression[_NAME])
        content: object = expression.get(_DATA, b"")
        if name in _SETS_OF:
            parts = attributes(expression[_DATA])
            content = tuple((k, anonymous.get(v, v) if k == _SETS_OF[name] else v) for k, v in sorted(parts.items()))
        found.append((name, content))
    return tuple(found)


def _elements(socket: netlink.Socket, name: bytes) -> Iterator[Content]:
    request = attribute(_OF_TABLE, text(TABLE)) + attribute(_SECOND, name)
    for body in _dump(socket, _GET_ELEMENT, request):
        for _, element in _pairs(attributes(body[4:]).get(_LIST_ELEMENTS, b"")):
            found = attributes(element)
            key = attributes(found.pop(_KEY, b"")).get(_VALUE, b"")
            if not any(key) and int.from_bytes(found.get(_FLAGS, b""), "big") & _END:
                continue  # nft puts the end of no interval before all others, or leaves it out: it says nothing
            verdict = attributes(attributes(found.get(_TO, b"")).get(_VERDICT, b""))
            chain = plain(verdict[_TO_CHAIN]) if verdict.get(_CODE) == _GOTO and _TO_CHAIN in verdict else ""
            yield Content(
                key,
                chain,
                tuple((k, v) for k, v in sorted(found.items()) if k not in _NOT_CONTENT and not (chain and k == _TO)),
            )


def _dump(socket: netlink.Socket, kind: int, request: bytes) -> list[bytes]:
    for _ in range(_ATTEMPTS):
        try:
            found, whole = socket.dump_once(kind, INET + request)
        except netlink.NetlinkError as e:
            if e.errno == ENOENT:  # no table, or a set that has gone meanwhile
                return []
            raise
        if whole:
            return found
    raise CniError(Code.TRY_AGAIN, f"the nftables table inet {TABLE} changed {_ATTEMPTS} times while it was read")


def _pairs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Attributes in order, those of one kind each by itself."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            return
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
