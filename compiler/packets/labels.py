"""Selectors in, the label sets that tell endpoints apart out: every way in which an endpoint can answer them."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from itertools import chain, combinations, product

from calico_rkt.compiler.ir.selector import Op, Selector
from calico_rkt.compiler.packets.budget import UndecidedError

Labels = Mapping[str, str] | None
"""An endpoint's labels; None for the host and the outside, which have none that a selector could see."""

MOST = 4096
"""Label sets that one analysis tells apart; beyond, it is undecided."""
_PARTS = (Op.CONTAINS, Op.STARTS, Op.ENDS)


def label_classes(selectors: Iterable[Selector], network_ids: frozenset[str]) -> tuple[Labels, ...]:
    """One label set for every way in which the selectors' atoms can be true together; the first is None.

    An endpoint carries the label of one network of network_ids at most, and with the value "" as our profiles
    apply it; every other key is independent. UndecidedError beyond MOST.
    """
    atoms: dict[str, set[Selector]] = {}
    for selector in selectors:
        for atom in selector.atoms:
            atoms.setdefault(atom.key, set()).add(atom)
    networks = sorted(atoms.keys() & network_ids)
    factors: list[list[dict[str, str]]] = [[{}, *({n: ""} for n in networks)]]
    count = len(factors[0])
    for key in sorted(atoms.keys() - network_ids):
        factors.append(_values(key, atoms[key]))
        count *= len(factors[-1])
        if count > MOST:
            raise UndecidedError(
                f"selectors on {len(factors)} independent labels tell more than {MOST} endpoints apart"
            )
    return (None, *({k: v for part in parts for k, v in part.items()} for parts in product(*factors)))


def _values(key: str, atoms: set[Selector]) -> list[dict[str, str]]:
    """The absence of the label, and a value for each set of atoms that can hold together.

    A value that nobody mentions is told apart only by its longest known beginning, its longest known end and
    what it contains; those parts, joined by a character that no pattern has, make such a value.
    """
    mentioned = sorted({v for a in atoms for v in a.values})
    pieces = {op: sorted({v for a in atoms if a.op is op for v in a.values}) for op in _PARTS}
    contained = pieces[Op.CONTAINS]
    if 2 ** len(contained) * (len(pieces[Op.STARTS]) + 1) * (len(pieces[Op.ENDS]) + 1) > MOST:
        raise UndecidedError(f"the patterns on the label {key} tell more than {MOST} values apart")
    used = set("".join(mentioned))
    pad = next(
        c for c in chain(string.ascii_lowercase, string.digits, map(chr, range(0xE000, 0xF8FF))) if c not in used
    )
    subsets = chain.from_iterable(combinations(contained, n) for n in range(len(contained) + 1))
    made = [
        pad.join((start, *subset, end))
        for subset, start, end in product(subsets, ("", *pieces[Op.STARTS]), ("", *pieces[Op.ENDS]))
    ]
    ordered = sorted(atoms, key=str)
    out: dict[tuple[bool, ...], dict[str, str]] = {}
    for labels in ({}, *({key: v} for v in (*mentioned, *made))):
        out.setdefault(tuple(a.matches(labels) for a in ordered), labels)
    return list(out.values())
