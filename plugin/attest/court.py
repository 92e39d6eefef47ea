"""Suspicions and two tables in; of each a packet that shows it, that there is none, or why neither is known, out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from calico_rkt.compiler.diagnostics import cut_short
from calico_rkt.plugin.attest.chains import Compared
from calico_rkt.plugin.attest.decide import decide
from calico_rkt.plugin.attest.oracle import PASSING, Right, Wanted, opening_of, right
from calico_rkt.plugin.attest.outcome import Difference
from calico_rkt.plugin.attest.packet import Packet
from calico_rkt.plugin.attest.probes import Hints, packets
from calico_rkt.plugin.attest.ruleset import Chain, KernelRule, Table
from calico_rkt.plugin.attest.walk import End, Fate, fates

_FEW = 300
"""Packets that are tried for a suspicion before all are compared at once."""
_MOST = 40
"""Suspicions for which a witness is looked for, where they could not be compared."""
_MOST_TRIED = 100_000
"""Packets after which none is looked for any more: half a minute."""


@dataclass
class Suspicion:
    """Something of the kernel that is not as it should be; compared: where it is a network's chain that was read.

    about: the chain's or set's name; by_itself: whether it is more than what packets meet today, so that comparing
    them says nothing of it.
    """

    what: str
    about: str
    hints: Hints = field(default_factory=Hints)
    compared: Compared | None = None
    network: str = ""
    by_itself: bool = False


class Court:
    """Leads packets through both, and keeps what came of it."""

    def __init__(self, table: Table, wanted: Wanted) -> None:
        self.table, self.wanted = table, wanted
        self.differences: list[Difference] = []
        self.open: list[str] = []
        self.alike: list[str] = []
        self.tried = 0

    def try_each(self, suspicions: Sequence[Suspicion]) -> None:
        """A few packets that should show it; then all at once; where that is not possible, more of them."""
        left = [s for s in suspicions if not self._is_shown(s, _FEW)]
        undecided: list[str] = []
        if left and not self.differences and not any(s.by_itself for s in suspicions):
            undecided = self._decide(suspicions)
            if not undecided:
                return
        for number, suspicion in enumerate(left):
            look = number < _MOST and self.tried < _MOST_TRIED
            if not (look and self._is_shown(suspicion, None)) and not self._is_shown_in_its_chain(suspicion):
                words = (
                    "; ".join(undecided) or "no packet was found that fares differently, and not every one was tried"
                )
                self.open.append(f"{suspicion.what}: {words}")

    def _is_shown(self, suspicion: Suspicion, most: int | None) -> bool:
        """Whether one of so many packets shows it; None: of all that are made for it."""
        for packet in islice(packets(self.wanted, suspicion.hints), most):
            verdict = self._both(packet)
            if verdict is not None and verdict[0] is not None and verdict[0].end is not verdict[1].end:
                self.differences.append(shown(suspicion.what, packet, *verdict))  # type: ignore[arg-type]
                return True
        return False

    def _is_shown_in_its_chain(self, suspicion: Suspicion) -> bool:
        found = suspicion.compared
        if found is None or found.packet is None:
            return False
        self.differences.append(_in_its_chain(suspicion, found))
        return True

    def _decide(self, suspicions: Sequence[Suspicion]) -> list[str]:
        """Compare all packets at once; why that was not possible, or nothing where it was."""
        about = {s.about for s in suspicions}
        chains = [f"{kind}-{network_id}" for network_id in self.wanted.networks for kind in ("out", "in")]
        found = decide(self.table, self.wanted, [n for n in chains if n not in about and n in self.table.chains], about)
        self.tried += found.tried
        if found.packet is not None:
            should = right(self.wanted, found.packet)
            if should is None or should.end is found.kernel:
                return [f"what is right for {found.packet} is said in two ways"]
            fate = next(f for f in fates(self.table, found.packet) if f.end is found.kernel)
            what = cut_short([s.what for s in suspicions], 3, "; ")
            self.differences.append(shown(what, found.packet, fate, should))
        elif not found.open:
            self.alike += [s.what for s in suspicions if not self._is_shown_in_its_chain(s)]
        return found.open

    def try_all(self) -> None:
        """Where nothing is suspected, some packets of every kind all the same: who proves may be wrong, too."""
        self._is_shown(Suspicion("a packet fares otherwise than its rules say", ""), None)

    def _both(self, packet: Packet) -> tuple[Fate | None, Right] | None:
        """The packet's one fate in the kernel (None: not known) and the right one; None where there is none."""
        should = right(self.wanted, packet)
        if should is None:
            return None
        before = opening_of(self.wanted, packet)
        if before is not None and any(f.end is not End.THROUGH for f in fates(self.table, before)):
            return None  # there is no such flow
        self.tried += 1
        found = fates(self.table, packet)
        sure = len({f.end for f in found}) == 1 and found[0].end is not End.UNKNOWN
        return (found[0] if sure else None), should


def shown(what: str, packet: Packet, fate: Fate, should: Right) -> Difference:
    """A difference with its witness."""
    passes = fate.end in PASSING
    rule = "; ".join(map(str, _named(fate.handed_on))) if passes else str(fate.where or "")
    return Difference(what, fate.end.value, should.words, packet, None, rule, should.span)


def _named(rules: Iterable[KernelRule]) -> list[KernelRule | Chain]:
    """Of the rules that handed a packet on those of networks, else all: a guard that knows it is no news."""
    found = list(rules)
    return [r for r in found if r.chain.startswith(("out-", "in-", "host-"))] or list(found)


def _in_its_chain(suspicion: Suspicion, found: Compared) -> Difference:
    words = {True: "passes this chain", False: "is dropped in this chain"}
    return Difference(
        suspicion.what,
        words[found.kernel_allows],
        words[not found.kernel_allows],
        None,
        found.packet,
        str(found.rule) if found.rule is not None else "the end of the chain",
        found.reviewed.span if found.reviewed is not None else None,
    )
