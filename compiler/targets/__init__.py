"""Every target by its name: a Network in, text out, and what the text says read back by the target's own rules.

The door is TARGETS here; each target is a folder (calico_v3/, calico_v1/, nftables/) that writes and reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.targets.readback import ReadBack, wanted
from calico_rkt.compiler.values import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One output of the compiler. known_ids (the ids of all networks here) matters to nftables only.

    checker refuses what writer refuses, with the same words, and makes no text.

    on_cluster: whether its endpoints may be others', with any labels; else each has its network's label and no other.
    form: the network as it is written, where that may be in fewer rules than it has.
    """

    name: str
    writer: Callable[[Network, frozenset[str] | None], str]
    checker: Callable[[Network, frozenset[str] | None], None]
    reader: Callable[[str], ReadBack]
    on_cluster: bool
    form: Callable[[Network], Network] = lambda network: network

    def write(self, network: Network, *, known_ids: frozenset[str] | None = None) -> str:
        """The text; CompileError (CR5xx) naming each rule that the target can not say."""
        return self.writer(self.form(network), known_ids)

    def check(self, network: Network, *, known_ids: frozenset[str] | None = None) -> None:
        """Raise what write() would raise: who only asks whether it can be said need not wait for the text."""
        self.checker(network, known_ids)

    def read(self, text: str) -> ReadBack:
        """What the text says, by the target's own semantics; CompileError where it is none of the target's."""
        return self.reader(text)

    def differs(self, network: Network, text: str) -> str | None:
        """What the text does not say as the network does, and where there is one a packet that shows it; None: nothing.

        What reads back as the very same rules means the same; all else is compared for what it means.
        """
        back = self.reader(text)
        if (back.ingress, back.egress) == (network.ingress, network.egress) and back == wanted(network):
            return None
        from calico_rkt.compiler.targets.proof import differs

        return differs(network, back, on_cluster=self.on_cluster)


# Each is imported when it is asked: a command needs one of them, and all of them take as long as its own work.
def _write_v3(network: Network, _: frozenset[str] | None) -> str:
    from calico_rkt.compiler.targets.calico_v3.write import write_calico_v3

    return write_calico_v3(network)


def _check_v3(network: Network, _: frozenset[str] | None) -> None:
    from calico_rkt.compiler.targets.calico_v3.form import check_in_form

    check_in_form(network)


def _form_v3(network: Network) -> Network:
    from calico_rkt.compiler.targets.calico_v3.form import in_form

    return in_form(network)


def _read_v3(text: str) -> ReadBack:
    from calico_rkt.compiler.targets.calico_v3.read import read_calico_v3

    return read_calico_v3(text)


def _write_v1(network: Network, _: frozenset[str] | None) -> str:
    from calico_rkt.compiler.targets.calico_v1.write import write_calico_v1

    return write_calico_v1(network)


def _check_v1(network: Network, _: frozenset[str] | None) -> None:
    from calico_rkt.compiler.targets.calico_v1.write import check_calico_v1

    check_calico_v1(network)


def _read_v1(text: str) -> ReadBack:
    from calico_rkt.compiler.targets.calico_v1.read import read_calico_v1

    return read_calico_v1(text)


def _write_nftables(network: Network, known_ids: frozenset[str] | None) -> str:
    from calico_rkt.compiler.targets.nftables.write import write_nftables

    return write_nftables(network, known_ids=known_ids)


def _check_nftables(network: Network, known_ids: frozenset[str] | None) -> None:
    from calico_rkt.compiler.targets.nftables.write import check_nftables

    check_nftables(network, known_ids=known_ids)


def _read_nftables(text: str) -> ReadBack:
    from calico_rkt.compiler.targets.nftables.read import read_nftables

    return read_nftables(text)


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        target.name: target
        for target in (
            Target("calico-v3", _write_v3, _check_v3, _read_v3, on_cluster=True, form=_form_v3),
            Target("calico-v1", _write_v1, _check_v1, _read_v1, on_cluster=True),
            Target("nftables", _write_nftables, _check_nftables, _read_nftables, on_cluster=False),
        )
    }
)
