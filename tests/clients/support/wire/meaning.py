"""A packet and the files that decide in, where docs/semantics.md says it arrives out: by evaluator, and by explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address

from calico_rkt.compiler.grammar.expectations import Expectation, ExpectedEnd
from calico_rkt.compiler.ir.evaluate import End, Packet
from calico_rkt.compiler.ir.model import Action, Icmp, NameRef
from calico_rkt.compiler.review.explain import Case, cases
from calico_rkt.compiler.review.parties import Kind
from calico_rkt.compiler.review.snapshot import World
from tests.clients.support.wire.packets import HOSTS, OUTSIDES, PORTED, Sent
from tests.worlds import plain_verdict, within

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Endpoint:
    """One interface of one container: its place (`c1/eth0`), its network, its addresses by family."""

    place: str
    network: str
    addresses: Mapping[int, Address]


class Meaning:
    """What the world's files say of packets between these endpoints, the host and the outside."""

    def __init__(self, world: World, endpoints: Mapping[str, Endpoint], *, checksums: bool = True) -> None:
        self.world, self._endpoints, self._checksums = world, endpoints, checksums
        self._at = {a: e for e in endpoints.values() for a in e.addresses.values()}
        outside = world.party(Kind.OUTSIDE)
        assert outside is not None
        self._owned = outside.not_nets
        self._cases = cache(self._asked)

    def owns(self, address: Address) -> bool:
        """Whether a network may give the address to an endpoint."""
        return any(address.version == n.version and address in n for n in self._owned)

    def opens(self, sent: Sent) -> bool:
        """Whether it opens a flow, so that rules are about it."""
        return sent.opens(checksums=self._checksums)

    def is_true(self, sent: Sent) -> bool:
        """Whether the source is an address that the sender has."""
        if sent.place in self._endpoints:
            return sent.source in self._endpoints[sent.place].addresses.values()
        if sent.place == "host":
            return sent.source in HOSTS.values()
        return sent.source in OUTSIDES.values() or not (self.owns(sent.source) or sent.source in self._at)

    def receiver(self, sent: Sent) -> str | None:
        """The place that has the destination; None: nobody has it."""
        if sent.destination in self._at:
            return self._at[sent.destination].place
        if sent.destination in HOSTS.values():
            return "host"
        return None if self.owns(sent.destination) else "outside"

    def arrives(self, sent: Sent) -> str | None:
        """Where it arrives, as the evaluator has it over whole lists; None: nowhere."""
        to = self.receiver(sent)
        if to is None or not self.is_true(sent):
            return None
        sender, receiver = self._endpoints.get(sent.place), self._endpoints.get(to)
        if not self.opens(sent) and sent.place != "host" and (sender or receiver):
            return None
        verdict = plain_verdict(
            self._packet(sent),
            self.world.networks[sender.network] if sender else None,
            self.world.networks[receiver.network] if receiver else None,
            from_host=sent.place == "host",
            to_host=to == "host",
        )
        return to if verdict is not False else None  # what is left to the host passes: it has no other firewall

    def explained(self, sent: Sent) -> str | None:
        """The same as `explain` has it; only for packets that open a flow, between parties that it knows."""
        to = self.receiver(sent)
        assert to is not None
        packet = self._packet(sent)
        told = [
            c for c in self._cases(self._party(sent.place), self._party(to)) if any(within(f, packet) for f in c.flows)
        ]
        assert len(told) == 1, f"explain has {len(told)} cases that hold {sent}: {told}"
        return to if told[0].fate.allowed is not False else None

    def can_explain(self, sent: Sent) -> bool:
        """Whether it is a packet that `explain` speaks of."""
        to = self.receiver(sent)
        judged = sent.place in self._endpoints or to in self._endpoints
        return to is not None and judged and self.opens(sent) and self.is_true(sent)

    def why(self, sent: Sent) -> str:
        """What `explain` says, for people."""
        if not self.can_explain(sent):
            return "explain does not speak of it"
        to = self.receiver(sent)
        assert to is not None
        packet = self._packet(sent)
        return "; ".join(
            f"{stage.words}: {rule.span if rule else 'no rule'}"
            for c in self._cases(self._party(sent.place), self._party(to))
            if any(within(f, packet) for f in c.flows)
            for stage, rule in c.fate.rules
        )

    def _party(self, place: str) -> str:
        return self._endpoints[place].network if place in self._endpoints else place

    def _asked(self, source: str, destination: str) -> tuple[Case, ...]:
        ends = [
            ExpectedEnd(word=p) if p in ("host", "outside") else ExpectedEnd(networks=(NameRef(p),))
            for p in (source, destination)
        ]
        return tuple(cases(self.world, Expectation("", ends[0], ends[1], Action.ALLOW)))

    def _packet(self, sent: Sent) -> Packet:
        sport, dport = sent.ports if sent.protocol in PORTED and sent.protocol != 136 else (0, 0)
        icmp = Icmp(*sent.icmp) if sent.is_icmp else None
        return Packet(
            End(sent.source, self._labels(sent.source), sport),
            End(sent.destination, self._labels(sent.destination), dport),
            sent.protocol,
            icmp,
        )

    def _labels(self, address: Address) -> dict[str, str] | None:
        found = self._at.get(address)
        return {self.world.networks[found.network].id: ""} if found else None
