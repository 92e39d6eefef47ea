"""A network's chain in the kernel and the reviewed network in; whether both let the same packets through, out.

The chain is turned into rules by the target's own reader, and compared as sets of packets: every packet is decided.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.evaluate import Packet as Opening
from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.model import Action, Match, Rule
from calico_rkt.compiler.ir.rule_parts import labels_of, selectors_of
from calico_rkt.compiler.packets.budget import UndecidedError
from calico_rkt.compiler.packets.compare import told_apart
from calico_rkt.compiler.targets.nftables.read_rule import Drop, read_line
from calico_rkt.plugin.attest.ruleset import Chain, KernelRule

_END = Rule(Action.ALLOW)
"""A chain that ends without a verdict hands on: the packet passes. (In a network's rules the end is deny.)"""


def _likeness(rule: Rule) -> tuple[Action, Match]:
    """A reviewed rule about both families may be written as two, one a family."""
    return rule.action, replace(rule.match, ip_version=None)


@dataclass(frozen=True)
class Compared:
    """packet: one that the two treat differently, None where there is none, or where it is not known.

    unread: rules that the reader does not know. suspects: rules of the kernel that are not among the reviewed ones;
    lacking: reviewed rules that are not among the kernel's. undecided: why all could be read and not compared.
    """

    packet: Opening | None = None
    kernel_allows: bool = False
    rule: KernelRule | None = None
    reviewed: Rule | None = None
    unread: tuple[KernelRule, ...] = ()
    suspects: tuple[KernelRule, ...] = ()
    lacking: tuple[Rule, ...] = ()
    undecided: str = ""

    @property
    def equal(self) -> bool:
        return self.packet is None and not self.unread and not self.undecided


def compared(chain: Chain, wanted: tuple[Rule, ...], sets: Collection[str]) -> Compared:
    """sets: the names of the table's sets, into which rules may look."""
    found: list[tuple[Rule, KernelRule]] = []
    unread = []
    for rule in chain.rules:
        if not rule.decides:
            continue
        try:
            read = read_line(list(rule.words), set(sets))
        except CompileError:
            unread.append(rule)
            continue
        found += ((Rule(Action.DENY) if isinstance(one, Drop) else one, rule) for one in read)
    rules = (*(r for r, _ in found), _END)
    reviewed, there = set(map(_likeness, wanted)), set(map(_likeness, rules))
    # A map's elements are parts of rules: none of them need be one that somebody wrote.
    apart = (k for r, k in found if _likeness(r) not in reviewed and r.match != Match() and k.verdict_map is None)
    suspects = tuple(apart)
    lacking = tuple(r for r in wanted if _likeness(r) not in there)
    if unread:
        return Compared(unread=tuple(unread), suspects=(*suspects, *unread), lacking=lacking)
    if rules[:-2] == wanted and rules[-2:] == (Rule(Action.DENY), _END):
        return Compared()
    try:
        packet = told_apart(rules, wanted, labels_of(selectors_of((*rules, *wanted))))
    except UndecidedError as e:
        return Compared(suspects=suspects, lacking=lacking, undecided=str(e))
    if packet is None:
        return Compared()
    by_kernel, by_review = evaluate(rules, packet), evaluate(wanted, packet)
    decides = next((k for r, k in found if r is by_kernel.rule), None)
    return Compared(packet, by_kernel.allowed, decides, by_review.rule, (), suspects, lacking)
