"""A Network and what was read back of its text in, how the two differ in meaning out, with a packet that shows it."""

from __future__ import annotations

from calico_rkt.compiler.ir.evaluate import Packet, evaluate
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.ir.rule_parts import labels_of, selectors_of
from calico_rkt.compiler.packets.budget import UndecidedError
from calico_rkt.compiler.packets.compare import told_apart
from calico_rkt.compiler.packets.wording import packet_words
from calico_rkt.compiler.targets.by_rule import by_label, by_member, difference
from calico_rkt.compiler.targets.readback import ReadBack


def differs(network: Network, back: ReadBack, *, on_cluster: bool) -> str | None:
    """The first difference in words; None where there is none.

    Rule by rule, and over all packets: lists that say the same rule by rule allow the same, and where one of
    the two comparisons were wrong the other would still see it.
    """
    found = difference(network, back, by_label if on_cluster else by_member)
    witness = _witness(network, back, on_cluster=on_cluster)
    return found if witness is None else f"{found or 'the rules read back alike'}; {witness}"


def _witness(network: Network, back: ReadBack, *, on_cluster: bool) -> str | None:
    for direction in ("ingress", "egress"):
        lists = getattr(network, direction), getattr(back, direction)
        ids = frozenset() if on_cluster else labels_of(selectors_of((*lists[0], *lists[1])))
        try:
            packet = told_apart(*lists, ids)
        except UndecidedError:
            continue  # what is equal rule by rule needs no more, and what isn't is refused anyway
        if packet is not None:
            verdicts = ["allows" if evaluate(rules, packet).allowed else "denies" for rules in lists]
            shown = f"{packet_words(packet)}{_labels(packet)}"
            return f"for example {direction} {verdicts[0]} {shown}, and the text {verdicts[1]} it"
    return None


def _labels(packet: Packet) -> str:
    ends = (("from", packet.source), ("to", packet.destination))
    return "".join(f" {word} an endpoint with {dict(e.labels)}" for word, e in ends if e.labels)
