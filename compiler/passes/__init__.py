"""A lowered Network in, a resolved, canonical Network out: the passes, in the order they run.

The doors are lower.py, which makes the Network, and run_passes here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from calico_rkt.compiler.diagnostics import Diagnostic
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.passes.families import families
from calico_rkt.compiler.passes.merge import merge
from calico_rkt.compiler.passes.resolve import resolve

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.definitions import Definitions

Pass = Callable[[Network, "Definitions | None"], tuple[Network, tuple[Diagnostic, ...]]]
"""A pass knows the network that it changes, and the workspace's shared names, None where it has none."""

PASSES: tuple[Pass, ...] = (
    resolve,  # names become what they stand for
    families,  # one rule a family, where a rule is about addresses or ICMP
    merge,  # nets and ports in one order, overlaps joined
)


def run_passes(network: Network, definitions: Definitions | None) -> tuple[Network, tuple[Diagnostic, ...]]:
    """The network after every pass, and what all of them found; a rule with an error is left out on the way."""
    found: list[Diagnostic] = []
    for step in PASSES:
        network, diagnostics = step(network, definitions)
        found += diagnostics
    return network, tuple(found)
