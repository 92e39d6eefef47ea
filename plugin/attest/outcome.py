"""What an attestation comes to: nothing differs, these packets fare differently, or this is open and why."""

from __future__ import annotations

from dataclasses import dataclass, field

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.evaluate import Packet as Opening
from calico_rkt.compiler.packets.wording import packet_words
from calico_rkt.plugin.attest.packet import Packet

EQUAL, DIFFERENT, NOT_PROVEN = 0, 1, 3
"""The exit statuses."""


@dataclass(frozen=True, slots=True)
class Difference:
    """what: the thing in the kernel that is not as it should be. kernel, reviewed: what each makes of the packet.

    witness: a packet of this host that shows it. opening: one that shows it in a chain alone, where the other end of
    every such packet denies it today, or nobody here can send it.
    rule: the rule in the kernel that decides, in words; span: the reviewed line that does.
    """

    what: str
    kernel: str
    reviewed: str
    witness: Packet | None = None
    opening: Opening | None = None
    rule: str = ""
    span: Span | None = None

    @property
    def packet_words(self) -> str:
        """The packet as people write it down."""
        if self.witness is not None:
            return str(self.witness)
        return packet_words(self.opening) if self.opening is not None else ""


@dataclass(frozen=True, slots=True)
class Attestation:
    """differences are proven; open is what could not be decided, in words with the reason."""

    differences: tuple[Difference, ...] = ()
    open: tuple[str, ...] = ()
    endpoints: int = 0
    networks: int = 0
    alike: tuple[str, ...] = ()
    """What is not as it should be, and changes no packet's way: this was proven."""
    tried: int = field(default=0, compare=False)
    """Packets that went through the kernel's rules and the reviewed ones on the way."""

    @property
    def status(self) -> int:
        if self.differences:
            return DIFFERENT
        return NOT_PROVEN if self.open else EQUAL
