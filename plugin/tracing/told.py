"""A packet and who is on this host in; what became of it, by whose rule, and what to do, as plain values out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from calico_rkt.compiler.ir.evaluate import End as OpeningEnd
from calico_rkt.compiler.ir.evaluate import Packet as Opening
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Icmp
from calico_rkt.plugin.containers.listed import Row
from calico_rkt.plugin.containers.meant import End, Kind
from calico_rkt.plugin.link import state
from calico_rkt.plugin.link.sockets import host_socket
from calico_rkt.plugin.tracing import base_words, table
from calico_rkt.plugin.tracing.events import Event, Header
from calico_rkt.plugin.tracing.lines import Decision, Lines
from calico_rkt.plugin.tracing.packets import Fate, Packet
from calico_rkt.plugin.tracing.rules import KernelRule, Rules

_DIGEST = re.compile(r' comment "sha256:[^"]*"\Z')
"""What a network's last rule says of its digest."""
_LONGEST = 240
"""Letters of a rule that are shown."""
_FORWARDING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


@dataclass(frozen=True, slots=True)
class Told:
    """One packet as it is told. by are the decisions that it met, the last one of a drop is what dropped it.

    kernel is the deciding rule as nft has it. sent_to is the destination that it was sent to, where that was changed on
    the way; left_as is its source as it left, where that was. sender and receiver name ends of ours.
    """

    fate: Fate
    reply: bool
    header: Header
    sender: str
    receiver: str
    by: tuple[Decision, ...]
    kernel: str = ""
    cure: str = ""
    sent_to: str = ""
    left_as: str = ""


class Teller:
    """Says what packets met; rows are this host's endpoints."""

    def __init__(self, rows: Iterable[Row], lines: Lines, destination: End) -> None:
        self._rules = Rules()
        self._lines = lines
        self._destination = destination
        found = list(rows)
        self._by_ifname = {r.host_ifname: r for r in found}
        self._by_address = {a: r for r in found for a in r.addresses if r.state != "gone"}

    def tell(self, packet: Packet, translated: Mapping[tuple[int, str, int], frozenset[tuple[str, int]]]) -> Told:
        """What became of it; translated as the table has it."""
        header = packet.first
        opening = self._opening(packet)
        decisions = [d for step in packet.steps[:-1] if (d := self._decision(step, opening)) is not None]
        kernel, cure = "", ""
        if packet.fate is Fate.DROPPED:
            rule = self._rules.of(packet.by)
            kernel = _kernel_words(packet.by, rule)
            last, cure = self._dropped(packet, rule, opening)
            decisions.append(last)
        elif packet.fate is Fate.LOST:
            last, cure = _lost(packet)
            decisions.append(last)
        elif not packet.iif and not decisions:
            decisions.append(Decision("the host", "it reaches its own containers always"))
        sent_to, left_as = _translations(packet, translated)
        return Told(
            packet.fate,
            self._is_reply(packet),
            header,
            self._sender(packet),
            self._receiver(packet),
            tuple(dict.fromkeys(decisions)),
            kernel,
            cure,
            sent_to,
            left_as,
        )

    def _opening(self, packet: Packet) -> Opening:
        """The packet as rules see it: with what its ends are, and the destination that it was sent on to."""
        first, last = packet.first, packet.last
        ends = []
        for address, port in ((first.source, first.sport), (last.destination, last.dport)):
            row = self._by_address.get(address)
            labels = None if row is None else {object_id(row.network): ""}
            ends.append(OpeningEnd(ip_address(address), labels, port or 0))
        icmp = None if first.type is None else Icmp(first.type, first.code or 0)
        return Opening(ends[0], ends[1], first.protocol, icmp)

    def _decision(self, step: Event, opening: Opening) -> Decision | None:
        """What let it on: a rule of a network's chain; a verdict that only leads there says nothing."""
        if not base_words.is_ours(step.table) or step.verdict not in ("return", "accept") or not step.handle:
            return None
        rule = self._rules.of(step)
        return self._lines.of(step.chain, rule.number, opening) if rule else None

    def _dropped(self, packet: Packet, rule: KernelRule | None, opening: Opening) -> tuple[Decision, str]:
        step = packet.by
        if step.verdict != "drop":
            word = (
                "handed to a program (queue), which gave it back to nobody"
                if step.verdict == "queue"
                else "taken out of the way (stolen)"
            )
            return Decision(f"table {step.family} {step.table}", word), f"nft list table {step.family} {step.table}"
        if not base_words.is_ours(step.table):
            cure = f"nft list chain {step.family} {step.table} {step.chain}"
            return Decision("another firewall on this host", "not a rule of ours"), f"{cure}; calico-rkt status"
        number = rule.number if rule else 0
        if (decision := self._lines.of(step.chain, number, opening)) is not None:
            return decision, ""
        found = base_words.meaning(step.table, step.chain, rule.text if rule else "", packet.iif, packet.oif)
        return Decision(found.stage, self._owned(found.words, packet)), _filled(found.cure, packet.first)

    def _owned(self, words: str, packet: Packet) -> str:
        """For a forged source: whose address it is, and which would be right."""
        if packet.by.chain == "prerouting" and packet.iif in self._by_ifname:
            row = self._by_ifname[packet.iif]
            owner = self._by_address.get(packet.first.source)
            whose = f", which is {owner.shown}'s" if owner else ""
            return f"{row.shown} sends with {packet.first.source}{whose}; its own is {', '.join(row.addresses)}"
        return words

    def _is_reply(self, packet: Packet) -> bool:
        ours = (self._rules.of(step) for step in packet.steps if step.table == table.NAME)
        return any(rule is not None and rule.text.endswith(f'comment "{table.REPLY}"') for rule in ours)

    def _sender(self, packet: Packet) -> str:
        """Who sent it: an interface says that, an address may be anybody's."""
        address = packet.first.source
        row, owner = self._by_ifname.get(packet.iif), self._by_address.get(address)
        if row is not None:
            return f"{row.shown} ({row.network})"
        if not packet.iif:
            return f"the host ({address})"
        return f"{packet.iif}, with the address of {owner.shown} ({owner.network})" if owner else ""

    def _receiver(self, packet: Packet) -> str:
        address = packet.last.destination
        row = self._by_ifname.get(packet.oif) or self._by_address.get(address)
        if row is not None:
            return f"{row.shown} ({row.network})"
        to_host = self._destination.kind is Kind.HOST or any(s.chain == "last_input" for s in packet.steps)
        return f"the host ({address})" if to_host and not packet.oif else ""


def _kernel_words(step: Event, rule: KernelRule | None) -> str:
    where = f"table {step.family} {step.table}, chain {step.chain}"
    if not step.handle:
        return f"{where}: its policy is drop"
    text = _DIGEST.sub("", rule.text) if rule else ""
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."  # a map may have thousands of elements
    return f"{where}, rule {rule.number + 1}: {text}" if rule else f"{where}: a rule that is gone by now"


def _lost(packet: Packet) -> tuple[Decision, str]:
    header = packet.last
    version = 6 if ":" in header.destination else 4
    hooks = {step.chain for step in packet.steps if step.table == table.NAME}
    route = f"ip route get {header.destination} from {header.source}" + (f" iif {packet.iif}" if packet.iif else "")
    if hooks <= {"prerouting", "whole"}:
        name = _FORWARDING[version]
        if _read(name) == "0":
            return Decision("routing", f"forwarding is off on this host: {name} = 0"), "calico-rkt restore"
        way = _way(header.destination)
        if way is not None and way.route is None:
            kind = "an unreachable route keeps it from" if way.unreachable else "the host has no route to"
            return Decision("routing", f"{kind} {header.destination}"), route
        words = (
            "no nftables rule dropped it, and it came no further: the reverse path filter, a size beyond the MTU, or a "
            "rule of iptables-legacy"
        )
        return Decision("routing", words), f"{route}; iptables-legacy -S"
    words = (
        "no nftables rule dropped it, and it came no further: a rule of iptables-legacy, or another part of the kernel"
    )
    return Decision("behind our policy", words), f"iptables-legacy -S; {route}"


def _way(address: str) -> state.Way | None:
    try:
        with host_socket() as socket:
            return state.lookup(socket, ip_address(address))
    except OSError:
        return None


def _read(name: str) -> str:
    try:
        return Path("/proc/sys", *name.split(".")).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _filled(cure: str, header: Header) -> str:
    return cure.replace("SOURCE", header.source).replace("DESTINATION", header.destination)


def _translations(
    packet: Packet, translated: Mapping[tuple[int, str, int], frozenset[tuple[str, int]]]
) -> tuple[str, str]:
    first, last = packet.first, packet.last
    sent_to = left_as = ""
    if first.sport is not None and first.dport is not None:
        if (first.destination, first.dport) != (last.destination, last.dport):
            sent_to = end(first.destination, first.dport)
        else:
            before = translated.get((first.sport, first.destination, first.dport), frozenset())
            if len(before) == 1:
                ((address, port),) = before
                sent_to = end(address, port)
    if (first.source, first.sport) != (last.source, last.sport):
        left_as = end(last.source, last.sport)
    return sent_to, left_as


def end(address: str, port: int | None) -> str:
    """An end of a flow in one word."""
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
