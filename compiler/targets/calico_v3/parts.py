"""A rule in, the rules out that Calico takes for it: a field's list is never longer than Calico's limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from math import prod
from typing import TypeVar

from calico_rkt.compiler.ir.canonical import MOST_NETS, MOST_PORTS
from calico_rkt.compiler.ir.model import Rule

_T = TypeVar("_T")


def parts(rule: Rule) -> Iterator[Rule]:
    """Rules that together match what the rule matches; the rule alone where its lists are short enough."""
    source, destination = rule.match.source, rule.match.destination
    if count(rule) == 1:
        yield rule
        return
    for from_nets, to_nets, from_ports, to_ports in product(
        _chunks(source.nets, MOST_NETS),
        _chunks(destination.nets, MOST_NETS),
        _chunks(source.ports, MOST_PORTS),
        _chunks(destination.ports, MOST_PORTS),
    ):
        match = replace(
            rule.match,
            source=replace(source, nets=from_nets, ports=from_ports),
            destination=replace(destination, nets=to_nets, ports=to_ports),
        )
        yield replace(rule, match=match)


def split(rules: Iterable[Rule]) -> list[Rule]:
    """The rules of a direction as they are written."""
    return [part for rule in rules for part in parts(rule)]


def count(rule: Rule) -> int:
    """How many rules it is written as."""
    source, destination = rule.match.source, rule.match.destination
    lengths = ((source.nets, MOST_NETS), (destination.nets, MOST_NETS))
    ports = ((source.ports, MOST_PORTS), (destination.ports, MOST_PORTS))
    return prod(max(1, -(-len(values) // most)) for values, most in (*lengths, *ports))


def _chunks(values: tuple[_T, ...], most: int) -> list[tuple[_T, ...]]:
    return [values[i : i + most] for i in range(0, len(values), most)] or [()]
