"""Two tables and what is wanted in; whom of the endpoints each condition and element speaks of, and how, out.

A text is an endpoint's where it is its interface's name or one of its addresses, to the letter. Any other (a net, a
pattern, a port) is a general one: it speaks of whoever is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calico_rkt.compiler.ir.resolved import nets
from calico_rkt.compiler.targets.nftables.json_words import value_words
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.ruleset import Table, map_element

Tuple = tuple[str, ...]


@dataclass
class Mentions:
    """Who is spoken of, endpoints by their number.

    patterns: what names one of them, with its own name or address left open. apart: those that are named together
    with another one. general: texts that name none.
    """

    owners: Mapping[str, tuple[int, str]]
    patterns: dict[int, set[tuple[object, ...]]] = field(default_factory=dict)
    apart: set[int] = field(default_factory=set)
    general: set[str] = field(default_factory=set)

    def add(self, where: tuple[object, ...], texts: Tuple) -> None:
        """texts: a value on the right of a condition, part by part. where: what it stands in, with what it leads to."""
        spoken_of = {self.owners[t][0] for t in texts if t in self.owners}
        self.general |= {t for t in texts if t not in self.owners}
        if len(spoken_of) > 1:
            self.apart |= spoken_of
        for number in spoken_of:
            pattern = tuple(self.owners[t][1] if t in self.owners else f"={t}" for t in texts)
            self.patterns.setdefault(number, set()).add((*where, *pattern))


def owners(endpoints: Sequence[Known]) -> tuple[dict[str, tuple[int, str]], set[int]]:
    """By text the number of the endpoint and which of its own it is; and those that have one that another has, too."""
    found: dict[str, tuple[int, str]] = {}
    shared: set[int] = set()
    for number, endpoint in enumerate(endpoints):
        own = [(endpoint.ifname, "interface"), *((str(a), f"address {n}") for n, a in enumerate(endpoint.addresses))]
        for text, role in own:
            other, _ = found.setdefault(text, (number, role))
            if found[text] != (number, role):
                shared |= {other, number}
    return found, shared


def mentions(tables: Iterable[Table], wanted: Wanted, own: Mapping[str, tuple[int, str]]) -> Mentions:
    """Everything that either table, a reviewed rule or the host's ranges and addresses say."""
    found = Mentions(own)
    for number, table in enumerate(tables):
        for name, known in table.sets.items():
            for key, to in known.elements.items():
                found.add((number, name, to), tuple(key.split(" . ")))
        for chain in table.chains.values():
            for rule in chain.rules:
                for at, statement in enumerate(rule.statements):
                    for texts, to in _literals(statement):
                        found.add((number, chain.name, rule.number, at, to), texts)
    for network in wanted.networks.values():
        for reviewed in (*network.ingress, *network.egress):
            for side in (reviewed.match.source, reviewed.match.destination):
                found.general |= {str(n) for n in nets((*side.nets, *side.not_nets))}
    found.general |= {str(n) for n in wanted.ranges}
    return found


def _literals(statement: Mapping[str, Any]) -> Iterator[tuple[Tuple, str]]:
    """Values that stand in a rule, with what a map leads to."""
    if "match" in statement:
        right = statement["match"]["right"]
        if isinstance(right, str) and right.startswith("@"):
            return
        values = right["set"] if isinstance(right, dict) and "set" in right else right
        for value in values if isinstance(values, list) else [values]:
            yield _texts(value), ""
    elif "vmap" in statement and isinstance(statement["vmap"]["data"], dict):
        for pair in statement["vmap"]["data"]["set"]:
            yield _texts(pair[0]), map_element(pair)[1]


def _texts(value: Any) -> Tuple:  # noqa: ANN401 - nft's JSON
    return (
        tuple(map(value_words, value["concat"]))
        if isinstance(value, dict) and "concat" in value
        else (value_words(value),)
    )
