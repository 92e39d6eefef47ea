"""Every target by its name: a Network in, text out, and what the text says read back by the target's own rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from calico_rkt.compiler.ir import Network
from calico_rkt.compiler.targets import calico_v1, calico_v3, nftables
from calico_rkt.compiler.targets.calico_v1_read import read as read_v1
from calico_rkt.compiler.targets.calico_v3_read import read as read_v3
from calico_rkt.compiler.targets.compare import MakePeers, by_label, by_member, difference
from calico_rkt.compiler.targets.nftables_read import read as read_nftables
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
        """The first thing that the text does not say as the network does; None when they agree."""
        return difference(network, self.reader(text), self.peers)


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        target.name: target
        for target in (
            Target("calico-v3", lambda network, _: calico_v3.write(network), read_v3, by_label),
            Target("calico-v1", lambda network, _: calico_v1.write(network), read_v1, by_label),
            Target("nftables", lambda network, ids: nftables.write(network, known_ids=ids), read_nftables, by_member),
        )
    }
)
