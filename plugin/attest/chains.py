"""A network's chain in the kernel and the reviewed network in; whether both let the same packets through, out.

The chain is turned into rules by the target's own reader, and compared as sets of packets: every packet is decided.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.evaluate import Packet as Opening
from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.model import Action, Match, Rule
from calico_rkt.compiler.ir.rule_parts import labels_of, selectors_of
from calico_rkt.compiler.packets.budget import UndecidedError
from calico_rkt.compiler.packets.compare import allowed_apart, told_apart
from calico_rkt.compiler.targets.nftables.leads import led, read_leads
from calico_rkt.compiler.targets.nftables.read_rule import Drop, read_line
from calico_rkt.compiler.targets.readback import unreadable
from calico_rkt.plugin.attest.ruleset import Chain, KernelRule

_END = Rule(Action.ALLOW)
"""A chain that ends without a verdict hands on: the packet passes. (In a network's rules the end is deny.)"""


def _likeness(rule: Rule) -> tuple[Action, Match]:
    """A reviewed rule about both families may be written as two, one a family."""
    return rule.action, replace(rule.match, ip_version=None)


@dataclass(frozen=True)
class _Found:
    """What is decided of the packets that come by; the rule as it is written; and the kernel's line that says it."""

    rule: Rule
    written: Rule
    by: KernelRule


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


def compared(
    chain: Chain, wanted: tuple[Rule, ...], sets: Collection[str], chains: Mapping[str, Chain] = MappingProxyType({})
) -> Compared:
    """sets: the names of the table's sets, into which rules may look; chains: those that ports may be led to."""
    found: list[_Found] = []
    unread = []
    for rule in chain.rules:
        if not rule.decides:
            continue
        try:
            found += _read(rule, set(sets), chains)
        except CompileError:
            unread.append(rule)
    rules = (*(f.rule for f in found), _END)
    reviewed, there = set(map(_likeness, wanted)), {_likeness(f.written) for f in found}
    # A map's elements are parts of rules: none of them need be one that somebody wrote.
    others = (
        f.by
        for f in found
        if _likeness(f.written) not in reviewed and f.written.match != Match() and f.by.verdict_map is None
    )
    suspects = tuple(others)
    lacking = tuple(r for r in wanted if _likeness(r) not in there)
    if unread:
        return Compared(unread=tuple(unread), suspects=(*suspects, *unread), lacking=lacking)
    if rules[:-2] == wanted and rules[-2:] == (Rule(Action.DENY), _END):
        return Compared()
    try:
        # Maps say little as the rules do, and those are told apart by what is alike at the beginning and the end.
        apart = allowed_apart if any(f.by.verdict_map for f in found) else told_apart
        packet = apart(rules, wanted, labels_of(selectors_of((*rules, *wanted))))
    except UndecidedError as e:
        return Compared(suspects=suspects, lacking=lacking, undecided=str(e))
    if packet is None:
        return Compared()
    by_kernel, by_review = evaluate(rules, packet), evaluate(wanted, packet)
    decides = next((f.by for f in found if f.rule is by_kernel.rule), None)
    return Compared(packet, by_kernel.allowed, decides, by_review.rule, (), suspects, lacking)


def _read(rule: KernelRule, sets: set[str], chains: Mapping[str, Chain], depth: int = 0) -> Iterator[_Found]:
    """What a line says, and where it leads away what the lines there say; CompileError of unknown words.

    From a chain that ports lead to, all that is left may be led to one more; ours leads no further.
    """
    words = list(rule.words)
    if "goto" not in words:
        for read in read_line(words, sets):
            said = Rule(Action.DENY) if isinstance(read, Drop) else read
            yield _Found(said, said, rule)
        return
    for lead in read_leads(words):
        if depth > (lead.match is None):
            raise unreadable("nftables", f"{rule.chain} leads further, which ours never does")
        there = chains[lead.chain].rules if lead.chain in chains else ()
        found = [f for other in there if other.decides for f in _read(other, sets, chains, depth + 1)]
        # Who is led to the end of a chain, or to none, is handed on as by the end of the first one.
        for one in (*found, _Found(_END, _END, rule)):
            yield from (_Found(said, one.written, one.by) for said, _ in led(lead, [one.rule]))
