"""Fields of a side in, the same without names out: what a target or an analysis may count on after the resolve pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from calico_rkt.compiler.ir.model import ANY_SIDE, NameRef, Net, PortRange, Side


def nets(values: Iterable[Net | NameRef]) -> tuple[Net, ...]:
    """The networks of a field; TypeError on a name that no pass has resolved."""
    return tuple([value if not isinstance(value, NameRef) else _unresolved(value) for value in values])


def ports(values: Iterable[PortRange | NameRef]) -> tuple[PortRange, ...]:
    """The ports of a field; TypeError on a name that no pass has resolved."""
    return tuple([value if not isinstance(value, NameRef) else _unresolved(value) for value in values])


def versions(*sides: Side) -> frozenset[int]:
    """The address families that the sides' networks are of, the negated ones too."""
    return frozenset(net.version for side in sides for net in nets((*side.nets, *side.not_nets)))


def is_resolved(side: Side) -> bool:
    """Whether no name stands in the side any more."""
    if side is ANY_SIDE:
        return True
    for values in (side.networks, side.nets, side.not_nets, side.ports, side.not_ports):
        for value in values:
            if isinstance(value, NameRef):
                return False
    return True


def _unresolved(name: NameRef) -> NoReturn:
    raise TypeError(f"{name.name!r} is not resolved")
