"""A chain and a box of packets in; the parts of the box with what the chain does to each, out. Every packet is in one.

What walk.py does for one packet this does for all at once. Chains of networks that are as they were reviewed are not
gone into: both tables let the same packets through them, so one word stands for what they say.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from calico_rkt.compiler.ir.model import ICMPV6
from calico_rkt.plugin.attest import conditions
from calico_rkt.plugin.attest.asking import Question
from calico_rkt.plugin.attest.bare import is_more
from calico_rkt.plugin.attest.boxes import Box, assumed
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.regions import Space
from calico_rkt.plugin.attest.ruleset import REVIEWED, Chain, KernelRule, Set, Table, is_idle
from calico_rkt.plugin.attest.walk import DEEPEST, ENDS, ORDER, PASSED, End, as_words

CHAIN = "chain "
"""What is assumed of a network's chain begins with it, and goes on with the chain's name."""
_VERDICTS = {"accept": "accept", "drop": "drop", "masquerade": "translate"}


class TooManyError(Exception):
    """More parts than can be gone through."""


@dataclass
class Ways:
    """One of the two tables, and what is the same in both: chains by name, True or False where they say one thing only.

    left: how many parts may still be looked at, over all that is compared.
    """

    name: str
    table: Table
    alike: Mapping[str, bool | None]
    left: list[int]
    space: Space = field(init=False)

    def through(self, chain: Chain, box: Box) -> Iterator[tuple[End, Box]]:
        """What a chain that a hook calls does; one of nat is not asked about what belongs to no flow."""
        if chain.kind == "nat" and self.space.version == 6:
            own = self.space.mask("protocol", lambda p: p == ICMPV6)
            apart = self.space.mask("icmp", lambda i: i.type in conditions.NOT_TRACKED)
            untracked = box.within(protocol=own, icmp=apart)
            if all(untracked.masks):
                yield End.THROUGH, untracked
                for rest in (box.within(protocol=~own), box.within(protocol=own, icmp=~apart)):
                    if all(rest.masks):
                        yield from self._through(chain, rest)
                return
        yield from self._through(chain, box)

    def _through(self, chain: Chain, box: Box) -> Iterator[tuple[End, Box]]:
        for verdict, part in self._run(chain, box, chain.hook, 0):
            if verdict == "back":
                yield (End.DROP if chain.policy == "drop" else End.THROUGH), part
            else:
                yield ENDS[verdict], part

    def called(self, name: str, box: Box, hook: str) -> Iterator[tuple[str, Box]]:
        """What a chain that others call says: `back` where it hands on."""
        return self._run(self.table.chains[name], box, hook, 1)

    def _run(self, chain: Chain, box: Box, hook: str, depth: int) -> Iterator[tuple[str, Box]]:
        here = [box]
        for rule in chain.rules:
            if not rule.decides:
                continue
            on: list[Box] = []
            for one in here:
                for verdict, part in self._rule(rule, one, hook, depth):
                    if verdict == "on":
                        on.append(part)
                    else:
                        yield verdict, part
            here = on
            self.left[0] -= len(here)
            if self.left[0] < 0:
                raise TooManyError
            if not here:
                return
        for one in here:
            yield "back", one

    def _rule(self, rule: KernelRule, box: Box, hook: str, depth: int) -> Iterator[tuple[str, Box]]:
        here = [box]
        for statement in rule.statements:
            ((kind, value),) = statement.items()
            if kind in PASSED:
                continue
            if kind == "reject":
                for one in here:
                    for held, part in self._asked(kind, value, rule, hook, one):
                        yield ("drop" if held else "on"), part
                return
            if kind in ("match", "limit", "quota", REVIEWED) or is_idle(kind, value):
                fitting: list[Box] = []
                for one in here:
                    for held, part in self._asked(kind, value, rule, hook, one):
                        if held:
                            fitting.append(part)
                        else:
                            yield "on", part
                here = fitting
                continue
            going: list[Box] = []
            for one in here:
                if kind != "vmap":
                    yield from self._verdict(as_words(kind, value), one, hook, depth)
                    continue
                for verdict, part in self._looked_up(value, rule, hook, one):
                    if verdict == "continue":  # behind the map, in this rule
                        going.append(part)
                    else:
                        yield from self._verdict(verdict, part, hook, depth)
            if not going:
                return
            here = going
        for one in here:
            yield "on", one

    def _asked(self, kind: str, value: Any, rule: KernelRule, hook: str, box: Box) -> Iterator[tuple[bool, Box]]:  # noqa: ANN401
        if kind == "match":
            place = self._place(rule, value["left"], value["right"])
            yield from self.space.split(self.name, value, hook, place, box)
        elif kind == "reject":
            words = f"reject {json.dumps(value, sort_keys=True)}"
            yield from self.space.split_by(
                words, Question(("protocol",), partial(conditions.rejects, value)), box, words
            )
        elif kind == REVIEWED:
            words = f"{self._by_rule(rule)}|{id(value)}"
            yield from self.space.split_by(words, Question(*value), box, words)
        else:
            yield from assumed(box, f"{self._by_rule(rule)}|{kind}")

    def _place(self, rule: KernelRule, left: Mapping[str, Any], right: Any) -> str:  # noqa: ANN401 - nft's JSON
        """Where a condition is asked: its chain, or its rule where it may hold at first, and not when asked again."""
        if isinstance(right, str):
            known = self.table.sets.get(right.removeprefix("@"))
            limited = known is not None and known.is_limited
        else:
            limited = isinstance(right, dict) and any(map(is_more, right.get("set", ())))
        if limited or "numgen" in left or left == {"meta": {"key": "random"}}:
            return self._by_rule(rule)
        return rule.chain

    def _by_rule(self, rule: KernelRule) -> str:
        return f"{self.name}|{rule.chain}|{rule.number}"

    def _looked_up(self, value: Mapping[str, Any], rule: KernelRule, hook: str, box: Box) -> Iterator[tuple[str, Box]]:
        """The verdict of a map by name, one after the other of those that it has."""
        data = value["data"]
        if not isinstance(data, str) or data.removeprefix("@") not in self.table.sets:
            yield "unknown", box
            return
        name, key = data.removeprefix("@"), value["key"]
        known = self.table.sets[name]
        own = "" if self.space.is_one(name) else self.name
        place = f"{own}|{hook}|{self._place(rule, key, data)}|{data}|{json.dumps(key, sort_keys=True)}"
        names = self.space.fields(key, hook)
        found = self.space.sorted_by(place, names, lambda p: conditions.of_named_map(key, known, p, hook))
        if found is None:
            yield from self._one_by_one(place, names, known, key, hook, box)
            return
        at, verdicts = found
        for verdict, mask in verdicts.items():
            if box.masks[at] & mask:
                part = box.having(at, box.masks[at] & mask)
                if verdict is None:
                    yield from self._one_by_one(place, names, known, key, hook, part)
                else:
                    yield verdict, part

    def _one_by_one(
        self,
        place: str,
        names: tuple[str, ...] | None,
        known: Set,
        key: Any,  # noqa: ANN401 - nft's JSON
        hook: str,
        box: Box,
    ) -> Iterator[tuple[str, Box]]:
        """Each verdict of a map, asked for by itself: what is not known is assumed."""
        here = [box]
        for verdict in dict.fromkeys(known.elements.values()):
            left: list[Box] = []
            words = f"{place}|{verdict}"
            question = Question(names, lambda p, v=verdict: _leads(known, key, p, hook, v))  # type: ignore[misc]
            for one in here:
                for held, part in self.space.split_by(words, question, one, words):
                    if held:
                        yield verdict, part
                    else:
                        left.append(part)
            here = left
        for one in here:
            yield "break", one

    def _verdict(self, words: str, box: Box, hook: str, depth: int) -> Iterator[tuple[str, Box]]:
        kind, _, target = words.partition(" ")
        if kind in _VERDICTS:
            yield _VERDICTS[kind], box
        elif kind == "return":
            yield "back", box
        elif kind == "break":
            yield "on", box
        elif kind in ("jump", "goto") and target in self.table.chains and depth < DEEPEST:
            back = "on" if kind == "jump" else "back"
            for verdict, part in self._called(target, box, hook, depth + 1):
                yield (back if verdict == "back" else verdict), part
        else:
            yield "unknown", box

    def _called(self, name: str, box: Box, hook: str, depth: int) -> Iterator[tuple[str, Box]]:
        if name not in self.alike:
            yield from self._run(self.table.chains[name], box, hook, depth)
            return
        allows = self.alike[name]
        answers = assumed(box, f"{CHAIN}{name}") if allows is None else [(allows, box)]
        for allowed, part in answers:
            yield ("back" if allowed else "drop"), part


def chains_at(table: Table, hooks: Collection[str], kind: Kind) -> list[Chain]:
    """The chains that a packet of this kind meets at these hooks, in order."""
    found = (c for c in table.base_chains() if c.hook in hooks and (c.kind != "nat" or kind is Kind.NEW))
    return sorted(found, key=lambda c: (ORDER[c.hook], c.priority))


def _leads(known: Set, key: Any, packet: Packet, hook: str, verdict: str) -> bool | None:  # noqa: ANN401 - nft's JSON
    found = conditions.of_named_map(key, known, packet, hook)
    return None if found is None else found == verdict
