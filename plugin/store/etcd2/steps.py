"""Profiles as they are and as they shall be in, single writes out, in an order in which no moment is more open.

etcd v2 writes one key at a time, and a flow passes when its sender's and its receiver's profile allow it. So whatever
takes something away is written first, and what adds something only when all that is done. Where one direction of a
profile does both, it is closed in between: for the blink of an apply new connections of that direction fail.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from calico_rkt.compiler.ir.model import Network, Rule
from calico_rkt.compiler.packets.budget import UndecidedError
from calico_rkt.compiler.packets.compare import newly_allowed
from calico_rkt.plugin.store.etcd2.client import Client
from calico_rkt.plugin.store.etcd2.profiles import rules_value


@dataclass(frozen=True, slots=True)
class Swap:
    """One key's rules: what stands there (None: nothing; old_network None: nothing that can be judged), and the new."""

    key: str
    old: str | None
    old_network: Network | None
    new: Network


@dataclass(frozen=True, slots=True)
class Step:
    """One write: the key has to have the value old, or must not exist where that is None."""

    key: str
    old: str | None
    new: str


def ordered(swaps: Sequence[Swap]) -> tuple[Step, ...]:
    """The writes, those that take away first. A single profile is one write, and so the whole of it at once."""
    if len(swaps) == 1:
        return (Step(swaps[0].key, swaps[0].old, rules_value(swaps[0].new)),)
    first, then = [], []
    for swap in swaps:
        between, final = _between(swap), rules_value(swap.new)
        if swap.old is None or between == swap.old_network:
            then.append(Step(swap.key, swap.old, final))
        elif between == swap.new:
            first.append(Step(swap.key, swap.old, final))
        else:
            middle = rules_value(between)
            first.append(Step(swap.key, swap.old, middle))
            then.append(Step(swap.key, middle, final))
    return (*first, *then)


def carry_out(client: Client, steps: Sequence[Step]) -> bool:
    """Do every step; one that is done already counts. False at the first key that somebody else wrote meanwhile."""
    for number, step in enumerate(steps):
        done = client.create(step.key, step.new) if step.old is None else client.swap(step.key, step.old, step.new)
        if not done:
            found = client.get(step.key)
            ours = {step.new, *(s.new for s in steps[number:] if s.key == step.key)}
            if found is None or found.value not in ours:
                return False
    return True


def encode_steps(node: str, steps: Sequence[Step]) -> str:
    """The steps as they are noted in etcd before the first of them: whoever comes later can finish them."""
    return json.dumps({"node": node, "steps": [asdict(s) for s in steps]})


def decode_steps(text: str) -> tuple[str, tuple[Step, ...]]:
    """The node that noted them, and the steps; none where the text is no such note."""
    try:
        raw = json.loads(text)
        steps = tuple(Step(s["key"], s["old"], s["new"]) for s in raw["steps"])
        texts = [(s.key, "" if s.old is None else s.old, s.new) for s in steps]
        return (str(raw["node"]), steps) if all(isinstance(t, str) for of in texts for t in of) else ("", ())
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", ()


def _between(swap: Swap) -> Network:
    """A network that allows nothing that the old or the new one does not allow, too."""
    old, new = swap.old_network, swap.new
    if old is None:
        return replace(new, ingress=(), egress=())
    return replace(new, ingress=_less(old.ingress, new.ingress), egress=_less(old.egress, new.egress))


def _less(old: tuple[Rule, ...], new: tuple[Rule, ...]) -> tuple[Rule, ...]:
    try:
        if newly_allowed(old, new, frozenset()) is None:
            return new
        if newly_allowed(new, old, frozenset()) is None:
            return old
    except UndecidedError:
        pass  # too many to tell in time: closed is never wrong
    return ()
