"""The words of one nftables rule in, the IR rule that it means out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, summarize_address_range

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.model import Action, Icmp, LogLimit, Match, Net, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import ALL, Selector, all_of, any_of, has
from calico_rkt.compiler.targets.readback import unreadable

_TRANSPORTS = {"tcp": 6, "udp": 17, "sctp": 132}
_ICMPS = {"icmp": (4, 1), "icmpv6": (6, 58)}
_FAMILIES = {"ip": 4, "ip6": 6}
_KINDS: tuple[type[IPv4Network], type[IPv6Network]] = IPv4Network, IPv6Network
_LIMIT = re.compile(r"limit rate ([0-9]{1,9})/second burst ([0-9]{1,9}) packets\Z")
_ENDS = {"saddr": "source", "daddr": "destination", "sport": "source", "dport": "destination"}


@dataclass(frozen=True, slots=True)
class Drop:
    """A drop of everything with a comment: the end of a chain."""

    comment: str


@dataclass(slots=True)
class _Side:
    nets: tuple[Net, ...] = ()
    not_nets: tuple[Net, ...] = ()
    ports: tuple[PortRange, ...] = ()
    not_ports: tuple[PortRange, ...] = ()
    within: list[Selector] = field(default_factory=list)
    without: list[Selector] = field(default_factory=list)

    def done(self) -> Side:
        return Side(
            self.nets,
            self.not_nets,
            self.ports,
            self.not_ports,
            all_of(self.within) if self.within else None,
            any_of(self.without) if self.without else None,
        )


@dataclass(slots=True)
class _State:
    words: list[str]
    sets: set[str]
    at: int = 0
    version: int | None = None
    protocol: int | None = None
    not_protocol: int | None = None
    icmp: Icmp | None = None
    not_icmp: Icmp | None = None
    sides: dict[str, _Side] = field(default_factory=lambda: {"source": _Side(), "destination": _Side()})

    def next(self) -> str:
        self.at += 1
        return self.words[self.at - 1] if self.at <= len(self.words) else ""

    def take(self, *words: str) -> bool:
        if self.words[self.at : self.at + len(words)] != list(words):
            return False
        self.at += len(words)
        return True

    def of_family(self, version: int) -> None:
        if self.version not in (None, version):
            raise self.bad("two families in one rule")
        self.version = version

    def of_protocol(self, number: int) -> None:
        if self.protocol not in (None, number):
            raise self.bad("two protocols in one rule")
        self.protocol = number

    def match(self) -> Match:
        source, destination = (side.done() for side in self.sides.values())
        return Match(self.version, self.protocol, self.not_protocol, self.icmp, self.not_icmp, source, destination)

    def number(self, most: int) -> int:
        word = self.next()
        if not word.isdecimal() or int(word) > most:
            raise self.bad(f"{word!r} is no number up to {most}")
        return int(word)

    def values(self) -> list[str]:
        """One value, or the values of an anonymous set."""
        if not self.take("{"):
            return [self.next()]
        found = [self.next()]
        while self.take(","):
            found.append(self.next())
        if not self.take("}"):
            raise self.bad("a set is not closed")
        return found

    def bad(self, why: str) -> CompileError:
        return unreadable("nftables", f"{why}: `{' '.join(self.words)}`")


def read_limit(words: list[str]) -> LogLimit | None:
    """The limit that words begin with: `limit rate N/second burst N packets`; None where they don't."""
    found = _LIMIT.match(" ".join(words[:6]))
    return LogLimit(int(found[1]), int(found[2])) if found else None


def read_rule(words: list[str], sets: set[str]) -> Rule | Drop:
    """The rule; a final `drop comment "..."` without a match is a Drop. CompileError (CR510) for unknown words."""
    state = _State(words, sets)
    while (word := state.next()) in _READERS:
        _READERS[word](word, state)
    rest = words[state.at - 1 :]
    match = state.match()
    if len(rest) == 3 and rest[:2] == ["drop", "comment"] and match == Match():
        return Drop(rest[2].strip('"'))
    if rest == ["return"]:
        return Rule(Action.ALLOW, match)
    if rest == ["drop"]:
        return Rule(Action.DENY, match)
    if read_limit(rest) is not None and rest[6:8] == ["log", "prefix"] and len(rest) == 9 and rest[8].startswith('"'):
        return Rule(Action.LOG, match)
    raise state.bad("unknown words")


def read_line(words: list[str], sets: set[str]) -> tuple[Rule | Drop, ...]:
    """What a line means: as read_rule, or the rules of a map that it ends with, one an element."""
    return tuple(_map(words, sets)) if words[-1:] == ["}"] and "vmap" in words else (read_rule(words, sets),)


def _map(words: list[str], sets: set[str]) -> Iterator[Rule]:
    """The rules of a line that ends with `KEY . KEY vmap { VALUE . VALUE : VERDICT, ... }`: one an element.

    An element matches what a line with the same fields matches. Most pairs of elements that share a packet the kernel
    refuses; of two boxes that cross it takes both, and the first one decides (tests/kernel/test_maps.py).
    """
    at = words.index("vmap")
    start = at - 2
    while start > 2 and words[start - 1] == ".":
        start -= 3
    front, keys, body = words[:start], words[start:at], words[at + 2 : -1]
    if start < 0 or keys[2::3] != ["."] * (len(keys) // 3) or words[at + 1 : at + 2] != ["{"] or words[-1] != "}":
        raise unreadable("nftables", f"what map is `{' '.join(words[: at + 3])}`?")
    pairs = [keys[n : n + 2] for n in range(0, len(keys), 3)]
    size = 2 * len(pairs) + 1  # values with dots between them, `:`, the verdict; then a comma
    marks = ["."] * (len(pairs) - 1) + [":"]
    for at in range(0, len(body), size + 1):
        element = body[at : at + size]
        values = element[:-1:2]
        line = [
            *front,
            *(word for key, value in zip(pairs, values, strict=False) for word in (*key, value)),
            element[-1],
        ]
        rule = read_rule(line, sets)
        if element[1::2] != marks or body[at + size : at + size + 1] not in ([","], []) or isinstance(rule, Drop):
            raise unreadable("nftables", f"`{' '.join(element)}` is no element of `{' '.join(keys)} vmap`")
        yield rule


def _meta(_: str, state: _State) -> None:
    if state.take("nfproto"):
        families = {"ipv4": 4, "ipv6": 6}
        word = state.next()
        if word not in families:
            raise state.bad("an unknown family")
        state.of_family(families[word])
    elif state.take("l4proto", "!="):
        if state.not_protocol is not None:
            raise state.bad("two negated protocols")
        state.not_protocol = state.number(255)
    elif state.take("l4proto"):
        state.of_protocol(state.number(255))
    else:
        raise state.bad("an unknown meta key")


def _address(family: str, state: _State) -> None:
    version = _FAMILIES[family]
    state.of_family(version)
    end = state.next()
    if end not in ("saddr", "daddr"):
        raise state.bad("no address")
    side, negated = state.sides[_ENDS[end]], state.take("!=")
    values = state.values()
    if values[0].startswith("@"):
        (side.without if negated else side.within).append(_members(values, version, state))
        return
    nets = tuple(net for value in values for net in _nets(value, version, state))
    if side.not_nets if negated else side.nets:
        raise state.bad("two lists for one address")
    if negated:
        side.not_nets = nets
    else:
        side.nets = nets


def _members(values: list[str], version: int, state: _State) -> Selector:
    name = values[0][1:]
    prefix = f"m{version}-"
    if len(values) > 1 or name not in state.sets or not (name.startswith(prefix) or name == f"all{version}"):
        raise state.bad(f"{values[0]} is no declared set of this family")
    return ALL if name == f"all{version}" else has(name.removeprefix(prefix))


def _nets(value: str, version: int, state: _State) -> Iterable[Net]:
    """An address, a CIDR, or all addresses from one to another."""
    first, dash, last = value.partition("-")
    found: tuple[Net, ...]
    try:
        found = tuple(_range(first, last)) if dash else (_KINDS[":" in value](value),)
    except (ValueError, TypeError) as e:
        raise state.bad(str(e)) from e
    if any(net.version != version for net in found):
        raise state.bad("an address of the other family")
    return found


def _range(first: str, last: str) -> Iterator[Net]:
    a, b = ip_address(first), ip_address(last)
    if isinstance(a, IPv4Address) and isinstance(b, IPv4Address):
        return summarize_address_range(a, b)
    if isinstance(a, IPv6Address) and isinstance(b, IPv6Address):
        return summarize_address_range(a, b)
    raise ValueError(f"{first} and {last} are of two families")


def _transport(name: str, state: _State) -> None:
    state.of_protocol(_TRANSPORTS[name])
    end = state.next()
    if end not in ("sport", "dport"):
        raise state.bad("no port")
    side, negated = state.sides[_ENDS[end]], state.take("!=")
    ports = tuple(_port(value, state) for value in state.values())
    if side.not_ports if negated else side.ports:
        raise state.bad("two lists for one port")
    if negated:
        side.not_ports = ports
    else:
        side.ports = ports


def _port(value: str, state: _State) -> PortRange:
    lo, dash, hi = value.partition("-")
    if not lo.isdecimal() or not (hi if dash else lo).isdecimal():
        raise state.bad(f"{value!r} is no port")
    found = PortRange(int(lo), int(hi if dash else lo))
    if not found.lo <= found.hi <= 65535:
        raise state.bad(f"{value!r} is no port")
    return found


def _icmp(name: str, state: _State) -> None:
    version, protocol = _ICMPS[name]
    state.of_family(version)
    state.of_protocol(protocol)
    if state.take("type", ".", name, "code", "!=", "{") and state.not_icmp is None:
        kind = state.number(255)
        if not state.take("."):
            raise state.bad("a type without a code")
        state.not_icmp = Icmp(kind, state.number(255))
        if not state.take("}"):
            raise state.bad("a set is not closed")
    elif state.take("type", "!=") and state.not_icmp is None:
        state.not_icmp = Icmp(state.number(255))
    elif state.take("type") and state.icmp is None:
        state.icmp = Icmp(state.number(255))
    elif state.take("code") and state.icmp is not None and state.icmp.code is None:
        state.icmp = Icmp(state.icmp.type, state.number(255))
    else:
        raise state.bad("unknown ICMP words")


_READERS: dict[str, Callable[[str, _State], None]] = {
    "meta": _meta,
    **dict.fromkeys(_FAMILIES, _address),
    **dict.fromkeys(_TRANSPORTS, _transport),
    **dict.fromkeys(_ICMPS, _icmp),
}
