"""A table and a packet in; what the table's chains do with it, and the rule that decides, out.

Where a condition is not known, both ways are gone: what comes out is every fate that the packet may have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from calico_rkt.plugin.attest import conditions
from calico_rkt.plugin.attest.everybody import Everybody
from calico_rkt.plugin.attest.packet import Packet
from calico_rkt.plugin.attest.ruleset import OURS, REVIEWED, Chain, KernelRule, Table, is_idle, map_element
from calico_rkt.plugin.attest.verdict_maps import VerdictMap

DEEPEST = 16  # NFT_JUMP_STACK_SIZE: the kernel refuses more
_MOST = 20_000
"""Ways that one packet may take through a table; beyond, it is not known."""
ORDER = {"prerouting": 0, "forward": 1, "input": 1, "output": 1, "postrouting": 2}
PASSED = ("counter", "log", "comment", "continue")


class End(Enum):
    """What becomes of a packet in a table."""

    THROUGH = "passes"
    DROP = "is dropped"
    TRANSLATED = "passes with another source"
    UNKNOWN = "is not known"


ENDS = {"accept": End.THROUGH, "drop": End.DROP, "translate": End.TRANSLATED, "unknown": End.UNKNOWN}
"""What it means where a base chain says it."""


@dataclass(frozen=True)
class Fate:
    """where: the rule that decides, or the chain whose policy does; None where none does.

    handed_on: of a packet that passes, the rules that returned or accepted it on its way.
    """

    end: End
    where: KernelRule | Chain | None = None
    handed_on: tuple[KernelRule, ...] = ()


@dataclass
class _Way:
    """What is counted and noted while one packet goes through one chain; known: the ways through those it calls."""

    left: int = _MOST
    known: dict[str, list[tuple[str, KernelRule | Chain | None]]] = field(default_factory=dict)
    handed_on: list[KernelRule] = field(default_factory=list)


def hooks_of(packet: Packet) -> tuple[str, ...]:
    """The hooks that a packet passes, in order."""
    if not packet.iif:
        return ("output", "postrouting")
    return ("prerouting", "forward", "postrouting") if packet.oif else ("prerouting", "input")


def fates(table: Table, packet: Packet) -> tuple[Fate, ...]:
    """Every fate that the packet may have in a table; one where all is known."""
    hooks = hooks_of(packet)
    packet = replace(packet, groups=(table.groups.get(packet.iif), table.groups.get(packet.oif)))
    asked = (c for c in table.base_chains() if c.hook in hooks and (c.kind != "nat" or conditions.begins(packet)))
    chains = sorted(asked, key=lambda c: (ORDER[c.hook], c.priority))
    found: dict[End, Fate] = {}
    passing: list[Fate] = [Fate(End.THROUGH)]
    handed_on: list[KernelRule] = []
    for chain in chains:
        way = _Way()
        outcomes = list(_through(table, chain, packet, way))
        handed_on += way.handed_on
        for outcome in outcomes:
            if outcome.end in (End.DROP, End.UNKNOWN):
                found.setdefault(outcome.end, outcome)
        on = [o for o in outcomes if o.end in (End.THROUGH, End.TRANSLATED)]
        if not on:
            return tuple(found.values())
        translated = [o for o in on if o.end is End.TRANSLATED]
        if translated:
            passing = [*translated, *(passing if len(translated) < len(on) else [])]
        elif on[0].where is not None and passing[0].end is End.THROUGH:
            passing = [on[0]]
    return (*found.values(), *(replace(p, handed_on=tuple(handed_on)) for p in passing))


def through(table: Table, chain: Chain, packet: Packet | Everybody) -> tuple[Fate, ...]:
    """The fates in one base chain alone."""
    return tuple(_through(table, chain, packet, _Way()))


def _through(table: Table, chain: Chain, packet: Packet | Everybody, way: _Way) -> Iterator[Fate]:
    """The fates in one base chain."""
    seen: dict[tuple[End, int], Fate] = {}
    for verdict, where in _run(table, chain, packet, chain.hook, way, 0):
        end = ENDS.get(verdict)
        if end is None:  # came back: the policy decides
            fate = Fate(End.DROP, chain) if chain.policy == "drop" else Fate(End.THROUGH)
        else:
            fate = Fate(end, where)
        seen.setdefault((fate.end, id(fate.where)), fate)
    yield from seen.values()


_Verdict = tuple[str, KernelRule | Chain | None]


def _run(
    table: Table, chain: Chain, packet: Packet | Everybody, hook: str, way: _Way, depth: int
) -> Iterator[_Verdict]:
    """Each way through a chain: accept, drop, translate, unknown; or back, to who called it."""
    for rule in chain.rules:
        outcomes = list(_rule(table, rule, packet, hook, way, depth))
        yield from (o for o in outcomes if o[0] != "on")
        if all(o[0] != "on" for o in outcomes):
            return
    yield "back", None


def _rule(
    table: Table, rule: KernelRule, packet: Packet | Everybody, hook: str, way: _Way, depth: int
) -> Iterator[_Verdict]:
    """Each way out of a rule; `on` goes to the next."""
    for number, statement in enumerate(rule.statements):
        ((kind, value),) = statement.items()
        if kind == "match":
            held = conditions.holds(value, packet, table.sets, hook)
            if held is False:
                yield "on", None
                return
            if held is None:
                yield from _not_known(way, rule)
        elif kind == REVIEWED:
            if not (isinstance(packet, Packet) and value[1](packet)):
                yield "on", None
                return
        elif kind in ("limit", "quota") or is_idle(kind, value):
            yield from _not_known(way, rule)
        elif kind == "reject":
            held = conditions.rejects(value, packet)
            if held is None:
                yield from _not_known(way, rule)
            yield ("on", None) if held is False else ("drop", rule)
            return
        elif kind == "vmap":
            verdicts = _looked_up(value, rule.verdict_maps[number], table, packet, hook)
            for verdict in verdicts:
                if verdict != "continue":
                    yield from _verdict(table, rule, verdict, packet, hook, way, depth)
            if "continue" not in verdicts:
                return
        elif kind in PASSED:
            continue
        else:
            yield from _verdict(table, rule, as_words(kind, value), packet, hook, way, depth)
            return
    yield "on", None


def _not_known(way: _Way, rule: KernelRule) -> Iterator[_Verdict]:
    way.left -= 1
    yield ("on", None) if way.left > 0 else ("unknown", rule)


def as_words(kind: str, value: Any) -> str:  # noqa: ANN401 - nft's JSON
    """A verdict of a rule as a map's element has it."""
    return f"{kind} {value['target']}" if kind in ("jump", "goto") else kind


def _looked_up(
    value: Mapping[str, Any], there: VerdictMap | None, table: Table, packet: Packet | Everybody, hook: str
) -> list[str]:
    """The verdicts that a map may have for the packet: one where its key is known; `break` where it has none.

    there: the map, where it stands in the rule.

    `continue` goes on behind the map in the same rule, `break` at the next one.
    """
    if there is not None and isinstance(packet, Packet):
        found = conditions.of_map(conditions.field(value["key"], packet, hook), there)
        if found != "unknown":
            return [found or "break"]
    data = value["data"]
    if isinstance(data, str) and data.removeprefix("@") in table.sets:
        named = table.sets[data.removeprefix("@")]
        one = conditions.of_named_map(value["key"], named, packet, hook)
        if one is not None:
            return [one]
        known = named.elements
    elif isinstance(data, dict) and isinstance(data.get("set"), list):
        known = dict(map_element(pair) for pair in data["set"])
    else:
        return ["unknown"]
    return [*dict.fromkeys(known.values()), "break"]


def _verdict(
    table: Table, rule: KernelRule, words: str, packet: Packet | Everybody, hook: str, way: _Way, depth: int
) -> Iterator[_Verdict]:
    kind, _, target = words.partition(" ")
    if kind in ("accept", "drop"):
        if kind == "accept":
            way.handed_on.append(rule)
        yield kind, rule
    elif kind == "return":
        way.handed_on.append(rule)
        yield "back", rule
    elif kind == "break":
        yield "on", None
    elif kind == "masquerade" or (kind == "snat" and rule.table != OURS):
        yield "translate", rule
    elif kind in ("jump", "goto") and target in table.chains and depth < DEEPEST:
        back = "on" if kind == "jump" else "back"
        if target not in way.known:
            way.known[target] = list(_run(table, table.chains[target], packet, hook, way, depth + 1))
        for verdict, where in way.known[target]:
            yield (back, where) if verdict == "back" else (verdict, where or rule)
    else:
        yield "unknown", rule
