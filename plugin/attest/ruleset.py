"""libnftables' JSON of the whole ruleset in; tables, chains, rules, sets and maps as values out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from calico_rkt.compiler.targets.nftables.json_words import Statement, rule_words, value_words
from calico_rkt.plugin.attest.bare import bare_element, bare_statement, is_unread
from calico_rkt.plugin.attest.shapes import check_element, check_pair, check_statement
from calico_rkt.plugin.attest.verdict_maps import VerdictMap, range_of, verdict_map
from calico_rkt.plugin.enforce.nft.elements import TABLE

REVIEWED = "reviewed"
"""A part of a rule that nft does not know: a condition of a reviewed one, with the fields that it asks for, and whether
a packet fits."""
NO_VERDICT = ("match", "counter", "log", "limit", "comment", "continue")
"""Parts of a rule that let the packet go on as it is."""
_MOST_WORDS = 60
"""Words of a rule that are shown: its map may have thousands of elements."""
Place = tuple[str, str]
"""A table: its family and its name."""
OURS: Place = ("inet", TABLE)


EVERY_KEY = "*"
"""The element of a set or map that stands for all keys that no other element has."""


def is_idle(kind: str, value: Any) -> bool:  # noqa: ANN401 - nft's JSON
    """Whether a part of a rule has a packet traced, or sets an option of TCP.

    Neither decides what becomes of it; what stands behind it in the rule is for those that have the option.
    """
    key = value.get("key") if kind == "mangle" and isinstance(value, dict) else None
    return isinstance(key, dict) and (key == {"meta": {"key": "nftrace"}} or set(key) == {"tcp option"})


@dataclass(frozen=True)
class KernelRule:
    """number: its place in the chain, from 1."""

    table: Place
    chain: str
    number: int
    statements: tuple[Statement, ...]
    comment: str = ""

    @cached_property
    def decides(self) -> bool:
        """Whether it does anything with a packet but count, log and trace it, or set its MSS."""
        return any(
            kind not in NO_VERDICT and not is_idle(kind, value)
            for statement in self.statements
            for kind, value in statement.items()
        )

    @cached_property
    def words(self) -> tuple[str, ...]:
        """As nft prints it, with numbers for names."""
        return tuple(rule_words(self.statements))

    @cached_property
    def verdict_maps(self) -> tuple[VerdictMap | None, ...]:
        """Of each part the map that stands in it; None of what is none, or is one by name."""
        return tuple(verdict_map(s["vmap"]["data"]) if "vmap" in s else None for s in self.statements)

    @property
    def verdict_map(self) -> VerdictMap | None:
        """The map that the rule ends with, where it stands in the rule."""
        return self.verdict_maps[-1] if self.statements else None

    def __str__(self) -> str:
        """As people find it: `chain out-web, rule 3: tcp dport 80 return`; the table where it is not ours."""
        words = self.words if len(self.words) <= _MOST_WORDS else (*self.words[:_MOST_WORDS], "...")
        return f"{chain_words(self.table, self.chain)}, rule {self.number}: `{' '.join(words)}`"


@dataclass(frozen=True)
class Chain:
    """kind, hook, priority and policy are empty and 0 for one that no hook calls; device is netdev's."""

    table: Place
    name: str
    kind: str = ""
    hook: str = ""
    priority: int = 0
    policy: str = ""
    device: str = ""
    rules: tuple[KernelRule, ...] = ()

    def __str__(self) -> str:
        return chain_words(self.table, self.name)


@dataclass(frozen=True)
class Set:
    """A set or a map by name. elements are keys in words, and of a map what they lead to (`goto out-web`).

    more: what it has beside type and elements (flags, timeouts), in words.
    """

    name: str
    type: tuple[str, ...]
    elements: Mapping[str, str]
    is_map: bool = False
    more: tuple[str, ...] = ()

    @cached_property
    def wide(self) -> tuple[str, ...]:
        """The elements that hold more than one value, since a part is a net, range, pattern, or nobody knows what."""
        return tuple(key for key in self.elements if any(map(_is_wide, key.split(" . "))))

    def unread(self) -> Set:
        """The same where nobody knows which keys lead to what it leads to."""
        return replace(self, elements={f'{{"unread": {n}}}': to for n, to in enumerate(self.elements.values())})

    @cached_property
    def is_limited(self) -> bool:
        """Whether an element holds some packets of its value alone."""
        return any("{" in key for key in self.wide)


def _is_wide(text: str) -> bool:
    return is_unread(text) or "/" in text or text.endswith("*") or ("-" in text and range_of(text) is not None)


@dataclass(frozen=True)
class Table:
    """groups: the device groups that interfaces are in, as far as they are known."""

    place: Place
    chains: Mapping[str, Chain]
    sets: Mapping[str, Set]
    flowtables: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    groups: Mapping[str, int] = field(default_factory=dict)

    def base_chains(self) -> tuple[Chain, ...]:
        """Those that a hook calls."""
        return tuple(c for c in self.chains.values() if c.hook)


@dataclass(frozen=True)
class KernelRules:
    """The whole ruleset. unread: tables that could not be read, each with the reason; dormant: those no hook calls."""

    tables: Mapping[Place, Table]
    unread: Mapping[Place, str] = field(default_factory=dict)
    dormant: Collection[Place] = ()


def chain_words(table: Place, chain: str) -> str:
    """How a chain is called in an answer."""
    return f"chain {chain}" if table == OURS else f"chain {chain} of table {' '.join(table)}"


def parsed(
    objects: Iterable[Mapping[str, Any]],
    unread: Mapping[Place, str] | None = None,
    dormant: Collection[Place] = (),
) -> KernelRules:
    """The objects of `list ruleset`; a table that is listed in a shape which is not known here is unread, too."""
    listed: dict[Place, list[tuple[str, Mapping[str, Any]]]] = {}
    not_read = dict(unread or {})
    for one in objects:
        ((kind, body),) = one.items()
        if kind == "table" or "table" in body:
            listed.setdefault((body["family"], body["name" if kind == "table" else "table"]), []).append((kind, body))
    tables = {}
    for place, found in listed.items():
        try:
            tables[place] = _table(place, found)
        except (LookupError, TypeError, ValueError, AttributeError) as e:
            not_read[place] = f"nft lists it in a shape that is not known here ({type(e).__name__}: {e})"
    return KernelRules(tables, not_read, dormant)


def _table(place: Place, listed: Iterable[tuple[str, Mapping[str, Any]]]) -> Table:
    chains: dict[str, Mapping[str, Any]] = {}
    rules: dict[str, list[KernelRule]] = {}
    sets: dict[str, Set] = {}
    flowtables: list[str] = []
    flags: list[str] = []
    for kind, body in listed:
        if kind == "table":
            flags += _flags(body)
        elif kind == "chain":
            chains[body["name"]] = body
        elif kind == "rule":
            so_far = rules.setdefault(body["chain"], [])
            so_far.append(_rule(place, body, len(so_far) + 1))
        elif kind in ("set", "map"):
            sets[body["name"]] = _set(kind, body)
        elif kind == "flowtable":
            flowtables.append(body["name"])
    lost = rules.keys() - chains.keys()
    if lost:
        raise LookupError(f"rules of {', '.join(sorted(lost))}, which is no chain")
    found = {n: _chain(place, n, body, rules.get(n, ())) for n, body in chains.items()}
    return Table(place, found, sets, tuple(flowtables), tuple(flags))


def _rule(place: Place, body: Mapping[str, Any], number: int) -> KernelRule:
    for statement in body.get("expr", ()):
        check_statement(statement)
    statements = tuple(map(bare_statement, body.get("expr", ())))
    return KernelRule(place, body["chain"], number, statements, body.get("comment", ""))


def _flags(body: Mapping[str, Any]) -> list[str]:
    flags = body.get("flags", [])
    return [flags] if isinstance(flags, str) else [*flags]


def _chain(place: Place, name: str, body: Mapping[str, Any], rules: Sequence[KernelRule]) -> Chain:
    device, priority = body.get("dev", ""), body.get("prio", 0)
    if not isinstance(priority, int):
        raise TypeError(f"priority {priority!r}")
    return Chain(
        place,
        name,
        body.get("type", ""),
        body.get("hook", ""),
        priority,
        body.get("policy", ""),
        device if isinstance(device, str) else ", ".join(device),
        tuple(rules),
    )


_SET_KNOWN = {"family", "name", "table", "type", "handle", "elem", "map", "flags"}


def _set(kind: str, body: Mapping[str, Any]) -> Set:
    kinds = body["type"]
    is_map = kind == "map"
    for element in body.get("elem", ()):
        (check_pair if is_map and body.get("map") == "verdict" else check_element)(element)
    elements = dict(_element(e, is_map=is_map) for e in body.get("elem", ()))
    more = [f"{k} {body[k]}" for k in sorted(body.keys() - _SET_KNOWN)]
    more += [f"flag {flag}" for flag in _flags(body)]
    if is_map and body.get("map") != "verdict":
        more.append(f"to {body.get('map')}")
    return Set(body["name"], tuple(kinds if isinstance(kinds, list) else [kinds]), elements, is_map, tuple(more))


def map_element(pair: Any) -> tuple[str, str]:  # noqa: ANN401
    """A pair of a map that stands in a rule: its key and verdict in words."""
    return _element(pair, is_map=True)


def _element(found: Any, *, is_map: bool) -> tuple[str, str]:  # noqa: ANN401 - nft's JSON
    key, to = (found[0], _verdict(found[1])) if is_map and isinstance(found, list) else (found, "")
    key = bare_element(key)
    if isinstance(key, dict) and "concat" in key:
        return " . ".join(map(_value, key["concat"])), to
    return _value(key), to


def _value(found: Any) -> str:  # noqa: ANN401
    """An address as a packet's is said: nft says the last 32 bits of some as IPv4 does (`::203.0.113.9`)."""
    words = value_words(found)
    if ":" in words and "." in words:
        with suppress(ValueError):
            return str(ip_address(words))
    return words


def _verdict(found: Any) -> str:  # noqa: ANN401
    if isinstance(found, dict) and len(found) == 1:
        return " ".join(rule_words([found]))
    return value_words(found)
