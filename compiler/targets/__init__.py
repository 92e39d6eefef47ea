"""Every target by its name: a Network in, text out, and what the text says read back by the target's own rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from calico_rkt.compiler.evaluate import Packet, evaluate
from calico_rkt.compiler.ir import Network, Rule
from calico_rkt.compiler.packets.budget import UndecidedError
from calico_rkt.compiler.packets.equal import told_apart
from calico_rkt.compiler.packets.words import packet_words
from calico_rkt.compiler.targets.compare import MakePeers, by_label, by_member, difference
from calico_rkt.compiler.targets.readback import ReadBack


@dataclass(frozen=True, slots=True)
class Target:
    """One output of the compiler. known_ids (the ids of all networks here) matters to nftables only."""

    name: str
    writer: Callable[[Network, frozenset[str] | None], str]
    reader: Callable[[str], ReadBack]
    peers: MakePeers

    def write(self, network: Network, *, known_ids: frozenset[str] | None = None) -> str:
        """The text; CompileError (CR5xx) naming each rule that the target can not say."""
        return self.writer(network, known_ids)

    def read(self, text: str) -> ReadBack:
        """What the text says, by the target's own semantics; CompileError where it is none of the target's."""
        return self.reader(text)

    def differs(self, network: Network, text: str) -> str | None:
        """What the text does not say as the network does, and where there is one a packet that shows it; None: nothing.

        Rule by rule, and over all packets: lists that say the same rule by rule allow the same, and where one of
        the two comparisons were wrong the other would still see it.
        """
        back = self.reader(text)
        found = difference(network, back, self.peers)
        witness = self._witness(network, back)
        return found if witness is None else f"{found or 'the rules read back alike'}; {witness}"

    def _witness(self, network: Network, back: ReadBack) -> str | None:
        for direction in ("ingress", "egress"):
            lists = getattr(network, direction), getattr(back, direction)
            ids = mentioned_keys((*lists[0], *lists[1])) if self.peers is by_member else frozenset()
            try:
                packet = told_apart(*lists, ids)
            except UndecidedError:
                continue  # what is equal rule by rule needs no more, and what isn't is refused anyway
            if packet is not None:
                verdicts = ["allows" if evaluate(rules, packet).allowed else "denies" for rules in lists]
                shown = f"{packet_words(packet)}{_labels(packet)}"
                return f"for example {direction} {verdicts[0]} {shown}, and the text {verdicts[1]} it"
        return None


def mentioned_keys(rules: Iterable[Rule]) -> frozenset[str]:
    """Every label that a selector of the rules names."""
    sides = (side for rule in rules for side in (rule.match.source, rule.match.destination))
    return frozenset(a.key for side in sides for s in (side.selector, side.not_selector) if s for a in s.atoms)


def _labels(packet: Packet) -> str:
    ends = (("from", packet.source), ("to", packet.destination))
    return "".join(f" {word} an endpoint with {dict(e.labels)}" for word, e in ends if e.labels)


# Each is imported when it is asked: a command needs one of them, and all of them take as long as its own work.
def _write_v3(network: Network, _: frozenset[str] | None) -> str:
    from calico_rkt.compiler.targets import calico_v3

    return calico_v3.write(network)


def _read_v3(text: str) -> ReadBack:
    from calico_rkt.compiler.targets import calico_v3_read

    return calico_v3_read.read(text)


def _write_v1(network: Network, _: frozenset[str] | None) -> str:
    from calico_rkt.compiler.targets import calico_v1

    return calico_v1.write(network)


def _read_v1(text: str) -> ReadBack:
    from calico_rkt.compiler.targets import calico_v1_read

    return calico_v1_read.read(text)


def _write_nftables(network: Network, known_ids: frozenset[str] | None) -> str:
    from calico_rkt.compiler.targets import nftables

    return nftables.write(network, known_ids=known_ids)


def _read_nftables(text: str) -> ReadBack:
    from calico_rkt.compiler.targets import nftables_read

    return nftables_read.read(text)


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        target.name: target
        for target in (
            Target("calico-v3", _write_v3, _read_v3, by_label),
            Target("calico-v1", _write_v1, _read_v1, by_label),
            Target("nftables", _write_nftables, _read_nftables, by_member),
        )
    }
)
