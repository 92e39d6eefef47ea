"""Some of the label sets that an end can have in, a selector that holds for these and for no other of them out."""

from __future__ import annotations

from dataclasses import replace

from calico_rkt.compiler.ir.selector import Op, Selector, all_of, any_of, negate
from calico_rkt.compiler.packets.space import Space

_OPPOSITE = {Op.EQUAL: Op.NOT_EQUAL, Op.NOT_EQUAL: Op.EQUAL, Op.IN: Op.NOT_IN, Op.NOT_IN: Op.IN}
_DENYING = (Op.NOT, Op.NOT_EQUAL, Op.NOT_IN)


def choice(space: Space, chosen: int, possible: int) -> Selector:
    """A selector for the classes of chosen, told apart from the rest of possible; both are masks over space.classes.

    It speaks of the atoms of the space's own rules only: a class stands for every label set that answers them alike.
    """
    atoms = [(atom, space.holding(atom)) for atom in space.atoms]
    terms: list[Selector] = []
    left = chosen
    while left:
        one = left & -left
        literals = [(a, m) if m & one else (_not(a), ~m) for a, m in atoms]
        literals.sort(key=lambda found: found[0].op not in _DENYING)  # what says no is left out first
        kept = _needed([m for _, m in literals], possible & ~chosen)
        covered = possible
        for n in kept:
            covered &= literals[n][1]
        terms.append(all_of(literals[n][0] for n in kept))
        left &= ~covered
    return any_of(terms)


def _not(atom: Selector) -> Selector:
    """The opposite of an atom; a label that is missing passes `!=` and `not in`."""
    return replace(atom, op=_OPPOSITE[atom.op]) if atom.op in _OPPOSITE else negate(atom)


def _needed(masks: list[int], others: int) -> list[int]:
    """Positions of masks that together exclude all of others; none of them can be left out."""
    kept = list(range(len(masks)))
    for n in range(len(masks)):
        rest = others
        for other in kept:
            if other != n:
                rest &= masks[other]
        if not rest:
            kept.remove(n)
    return kept
