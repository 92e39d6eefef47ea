"""Conditions and a set of packets in; those of them that fulfil it, and those that do not, out: nothing is left open.

A set of packets is a box (boxes.py) of values that stand for all others (values.py). Whether a value fulfils a
condition is asked of conditions.py, by packets that have it: there is one meaning of conditions, and no second here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from calico_rkt.plugin.attest import conditions
from calico_rkt.plugin.attest.asking import Question, field_of, pairs_of
from calico_rkt.plugin.attest.boxes import PLACES, Box, Field, assumed, parts
from calico_rkt.plugin.attest.layout import Layout
from calico_rkt.plugin.attest.oracle import Wanted
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.ruleset import Set
from calico_rkt.plugin.attest.values import Values


class Space(Layout):
    """All packets of one kind and family, and what was asked of them."""

    def __init__(
        self,
        values: Values,
        wanted: Wanted,
        kind: Kind,
        version: int,
        sets: Mapping[str, Mapping[str, Set]],
        known: dict[object, Field | None],
        groups: Mapping[str, int],
    ) -> None:
        """sets: by table. known: what questions that ask nothing of conntrack came to, for all kinds of packets."""
        super().__init__(values, wanted, kind, version, groups)
        self.sets, self._known, self._of_all = sets, dict[object, Field | None](), known
        self._ones: dict[str, bool] = {}
        self._asked: dict[tuple[str, int, str], tuple[Question, str]] = {}
        self._sorted: dict[str, dict[str | None, int]] = {}

    def is_one(self, name: str) -> bool:
        """Whether a set has the same in all tables."""
        if name not in self._ones:
            found = [table[name].elements if name in table else None for table in self.sets.values()]
            self._ones[name] = all(elements == found[0] for elements in found)
        return self._ones[name]

    def split(
        self, table: str, match: Mapping[str, Any], hook: str, chain: str, box: Box
    ) -> Iterator[tuple[bool, Box]]:
        """The parts of a box that fulfil nft's condition, and those that don't. table: whose sets it looks into.

        chain: where it is asked. What can't be decided is one thing for both tables in one place, of one set.
        """
        place = table, id(match), hook
        if place not in self._asked:
            right, sets = match["right"], self.sets[table]
            own = "" if not isinstance(right, str) or self.is_one(right.removeprefix("@")) else table
            question = Question(
                self.fields(match["left"], hook),
                lambda p: conditions.holds(match, p, sets, hook),
                pairs_of(match, sets),
            )
            self._asked[place] = question, f"{own}|{hook}|{json.dumps(match, sort_keys=True)}"
        question, words = self._asked[place]
        return self.split_by(words, question, box, f"{chain}|{words}", '"ct"' in words)

    def split_by(
        self, place: str, question: Question, box: Box, assumption: str, by_flow: bool = False
    ) -> Iterator[tuple[bool, Box]]:
        """The same by any question. place: what it is kept by; by_flow: whether it asks something of conntrack."""
        kept = self._known if by_flow else self._of_all
        if place not in kept:
            kept[place] = field_of(self, question)
        found = kept[place]
        return assumed(box, assumption) if found is None else parts(found, box, assumption)

    def sorted_by(
        self, place: str, names: tuple[str, ...] | None, answer: Callable[[Packet], str | None]
    ) -> tuple[int, Mapping[str | None, int]] | None:
        """The field that a question of one field asks for, and by answer the values that have it.

        None where it asks for another number of fields.
        """
        if names is None or len(names) != 1:
            return None
        if place not in self._sorted:
            found: dict[str | None, int] = {}
            for n, value in enumerate(self.values[names[0]]):
                one = answer(self.packet({names[0]: value}))
                found[one] = found.get(one, 0) | 1 << n
            self._sorted[place] = {one: self.lifted(names[0], mask) for one, mask in found.items()}
        return PLACES[names[0]], self._sorted[place]

    def fields(self, left: Any, hook: str) -> tuple[str, ...] | None:  # noqa: ANN401 - nft's JSON
        """The fields that a condition asks for; None where it asks for more than is here."""
        if not isinstance(left, dict) or len(left) != 1:
            return None
        ((kind, what),) = left.items()
        if kind == "concat":
            parts = [self.fields(part, hook) for part in what]
            if None in parts:
                return None
            return tuple(dict.fromkeys(n for p in parts for n in p or ()))
        key = what.get("field") or what.get("key", "") if isinstance(what, dict) else ""
        if kind == "payload":
            return _PAYLOAD.get(key)
        if kind == "meta":
            return _META.get(key)
        if kind == "fib":
            known = self.version in self.wanted.guarded and self.version in self.wanted.way_out
            return ("source",) if known else None
        if kind == "ct" and key == "state":
            return ("protocol", "icmp") if self.version == 6 else ()
        if kind == "ct" and key.endswith("saddr") and hook != "prerouting":
            original = what.get("dir") == "original"
            if self.kind is Kind.INVALID:
                return ()
            if self.kind is Kind.ERROR:
                return ("first",) if original else ("last",)
            end = "source" if original is not (self.kind is Kind.REPLY) else "destination"
            return (end, "protocol", "icmp") if self.version == 6 and self.kind is Kind.NEW else (end,)
        return None


_PAYLOAD = {
    "saddr": ("source",),
    "daddr": ("destination",),
    "protocol": ("protocol",),
    "sport": ("protocol", "sport"),
    "dport": ("protocol", "dport"),
    "type": ("protocol", "icmp"),
    "code": ("protocol", "icmp"),
}
_META: dict[str, tuple[str, ...]] = {
    "iif": ("iif",),
    "iifname": ("iif",),
    "iifgroup": ("iif",),
    "oif": ("oif",),
    "oifname": ("oif",),
    "oifgroup": ("oif",),
    "l4proto": ("protocol",),
    "nfproto": (),
    "protocol": (),
    "mark": ("iif",),
}
