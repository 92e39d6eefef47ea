"""A 2015 document and how many of its rules each rule became in, the Network that it was written from out.

The model has one address and one tag a rule, so writing multiplies rules; the digest says whether they are put
together as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from calico_rkt.compiler.diagnostics import CompileError, error
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.model import Network, Rule, Side
from calico_rkt.compiler.ir.selector import any_of
from calico_rkt.compiler.targets.calico_v1.read import read_calico_v1

Parts = tuple[Sequence[int], Sequence[int]]
"""For ingress and egress: how many rules of the document each rule became."""


def verify_calico_v1(text: str, parts: Parts | None) -> Network:
    """The Network. Raises CompileError when the document was edited: the digest does not fit. parts None: one each."""
    back = read_calico_v1(text)
    if not back.digest:
        raise CompileError([error("CR512", f"the profile {back.id} has no digest: it is not one of ours")])
    if back.labels != (back.id,):
        raise CompileError([error("CR511", f"the profile {back.id} does not apply the one label {back.id}")])
    ingress, egress = parts or ((), ())
    network = Network(back.name, back.id, _whole(back.ingress, ingress), _whole(back.egress, egress))
    if digest(network) != back.digest:
        message = f"the profile {back.id} was edited: its rules have {digest(network)}, its own note is {back.digest}"
        hint = "apply the reviewed files again, or take the change over into them"
        raise CompileError([error("CR513", message, hint=hint)])
    return network


def _whole(rules: Sequence[Rule], parts: Sequence[int]) -> tuple[Rule, ...]:
    if not parts:
        return tuple(rules)
    if sum(parts) != len(rules) or min(parts) < 1:
        return ()  # no digest fits to this
    return tuple(_joined(run) for run in _runs(rules, parts))


def _runs(rules: Sequence[Rule], parts: Sequence[int]) -> Iterator[Sequence[Rule]]:
    at = 0
    for length in parts:
        yield rules[at : at + length]
        at += length


def _joined(run: Sequence[Rule]) -> Rule:
    """One rule with the addresses and tags of all: the other fields are the same in each."""
    first = run[0]
    if len(run) == 1:
        return first
    source = _side(first.match.source, [r.match.source for r in run])
    destination = _side(first.match.destination, [r.match.destination for r in run])
    return replace(first, match=replace(first.match, source=source, destination=destination))


def _side(first: Side, sides: Iterable[Side]) -> Side:
    given = tuple(sides)
    nets = tuple(dict.fromkeys(net for side in given for net in side.nets))
    selectors = tuple(dict.fromkeys(side.selector for side in given if side.selector is not None))
    return replace(first, nets=nets, selector=any_of(selectors) if selectors else None)
