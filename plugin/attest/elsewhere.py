"""The tables of others in; what of them may keep packets of ours from their way, or change them, out.

An accept elsewhere ends nothing of ours: each table has its say. A source that is translated behind the last filter
changes nobody's right to be there. So what matters is a drop, a reject, another destination, and what changes how the
kernel sees a packet (marks, zones, notrack, flowtables). Each chain is gone through for all packets of ours at once,
with what is known of all of them; where some may meet such a rule, packets that it speaks of are tried one by one. One
that is surely dropped and should pass is a difference; else the rule is named, and open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.targets.nftables.json_words import Statement
from calico_rkt.plugin.attest.everybody import Everybody
from calico_rkt.plugin.attest.leading import led_to
from calico_rkt.plugin.attest.oracle import PASSING, Wanted, right
from calico_rkt.plugin.attest.outcome import Difference
from calico_rkt.plugin.attest.packet import Packet
from calico_rkt.plugin.attest.probes import Hints, packets
from calico_rkt.plugin.attest.ruleset import OURS, Chain, KernelRule, KernelRules, Table, is_idle
from calico_rkt.plugin.attest.walk import End, Fate, fates, through

_L3 = ("ip", "ip6", "inet")
_HOOKS = {
    "prerouting": (True, False),
    "input": (True,),
    "forward": (True, False),
    "output": (False,),
    "postrouting": (True, False),
}
"""By hook, whether packets from endpoints (True) and to endpoints (False) pass it."""
_HARMLESS = ("accept", "return", "match", "counter", "log", "comment", "limit", "jump", "goto", "continue")


@dataclass(frozen=True)
class Found:
    """What others' tables come to: differences are proven, open is what could not be decided."""

    differences: tuple[Difference, ...]
    open: tuple[str, ...]


def elsewhere(rules: KernelRules, wanted: Wanted) -> Found:
    """Nothing where no endpoint is here."""
    differences: list[Difference] = []
    open_ = [f"table {' '.join(place)} can not be read: {why}" for place, why in rules.unread.items() if place != OURS]
    if not wanted.endpoints:
        return Found((), ())
    for place, table in rules.tables.items():
        if place == OURS or place in rules.dormant:
            continue
        for chain in table.base_chains():
            at_ip = place[0] in _L3 and chain.hook in _HOOKS
            for one in _chain(table, chain, wanted) if at_ip else _below(table, chain):
                if isinstance(one, Difference):
                    differences.append(one)
                else:
                    open_.append(one)
    return Found(tuple(differences), tuple(dict.fromkeys(open_)))


def marks(rules: KernelRules) -> bool:
    """Whether any rule may give packets a mark; iptables' own targets, of which nft says nothing, may."""
    if rules.unread:
        return True
    statements = (
        (kind, value)
        for table in rules.tables.values()
        for chain in table.chains.values()
        for rule in chain.rules
        for statement in rule.statements
        for kind, value in statement.items()
    )
    return any(kind == "xt" or (kind == "mangle" and "mark" in str(value)) for kind, value in statements)


def _below(table: Table, chain: Chain) -> Iterator[str]:
    """A chain below IP (netdev, bridge, arp, a device's of inet): anything but an accept may concern frames of ours."""
    where = f" on {chain.device}" if chain.device else ""
    if chain.policy == "drop":
        yield f"{chain} (hook {chain.hook}{where}) drops what no rule of it accepts, perhaps frames of ours"
    for other in led_to(table, chain):
        for rule in other.rules:
            if not all(_is_harmless(statement, table) for statement in rule.statements):
                yield f"{rule} (hook {chain.hook}{where}) may concern frames of ours"
                return


def _is_harmless(statement: Statement, table: Table) -> bool:
    """Whether a part of a rule does no more than let through and lead on, by any verdict of its map."""
    ((kind, value),) = statement.items()
    if kind != "vmap":
        return kind in _HARMLESS or is_idle(kind, value)
    data = value["data"]
    if isinstance(data, str):
        known = table.sets.get(data.removeprefix("@"))
        return known is not None and all(v.partition(" ")[0] in _HARMLESS for v in known.elements.values())
    return all(_is_harmless(verdict, table) for _, verdict in data["set"])


def _chain(table: Table, chain: Chain, wanted: Wanted) -> Iterator[Difference | str]:
    versions = {"ip": (4,), "ip6": (6,)}.get(table.place[0], (4, 6))
    told: set[int] = set()
    for outgoing in _HOOKS.get(chain.hook, ()):
        for version in versions:
            held = tuple(a for a in wanted.by_address if a.version == version)
            if not held:
                continue
            everybody = Everybody(outgoing, chain.hook, version, held, own=_own(chain, outgoing, version, wanted))
            for fate in through(table, chain, everybody):
                if fate.end in PASSING or id(fate.where) in told:
                    continue
                told.add(id(fate.where))
                yield _witnessed(table, fate, everybody, wanted) or _open(fate, everybody)


def _own(chain: Chain, outgoing: bool, version: int, wanted: Wanted) -> tuple[Address, ...]:
    """Addresses of the host's that packets of endpoints have here, since they are translated, beside their own.

    What is masqueraded has them behind routing, and its answers before it. (Those meet no chain of nat.)
    """
    there = chain.hook == "postrouting" if outgoing else chain.hook == "prerouting" and chain.kind != "nat"
    if not there or not any(e.ip_masq for e in wanted.endpoints):
        return ()
    found = (*wanted.locals, *wanted.host.values())
    return tuple(dict.fromkeys(a for a in found if a.version == version and not a.is_link_local and not a.is_loopback))


def _open(fate: Fate, everybody: Everybody) -> str:
    where = fate.where
    if fate.end is End.DROP:
        ending = "drops" if isinstance(where, KernelRule) else "drops by its policy"
        return f"{where} {ending} what may be {everybody} that are allowed"
    return f"{where} does what can't be judged here to what may be {everybody}"


def _witnessed(table: Table, fate: Fate, everybody: Everybody, wanted: Wanted) -> Difference | None:
    """A packet that should pass and surely does not."""
    if fate.end is not End.DROP:
        return None
    hints = Hints()
    if isinstance(fate.where, KernelRule):
        hints.of_kernel_rule(fate.where, table.sets)
    for packet in packets(wanted, hints):
        ours = packet.iif if everybody.outgoing else packet.oif
        if packet.version != everybody.version or ours not in wanted.by_ifname:
            continue
        should = right(wanted, packet)
        if should is None or not should.passes:
            continue
        found = _fates(table, packet)
        if len(found) == 1 and found[0].end is End.DROP and found[0].where is fate.where:
            what = f"{fate.where} drops what the review allows"
            return Difference(what, "is dropped", should.words, packet, None, str(fate.where), should.span)
    return None


def _fates(table: Table, packet: Packet) -> tuple[Fate, ...]:
    """As walk has it; of a chain that a family has alone, the other family's packets meet nothing."""
    version = {"ip": 4, "ip6": 6}.get(table.place[0], packet.version)
    return fates(table, packet) if version == packet.version else (Fate(End.THROUGH),)
