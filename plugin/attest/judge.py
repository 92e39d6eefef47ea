"""The kernel as it was read and what is wanted in; the attestation out.

First everything is compared as it stands: guards by their text, sets and maps element by element, networks' chains as
sets of packets. What is alike there is equal, with no packet sent. Each thing that is not alike is a suspicion
(court.py): packets that could show it are led through the kernel's rules and through the reviewed ones, and one that
fares differently is the witness. Where none of a few does, all packets are compared at once (decide.py): either one
fares differently, or none does, and the suspicion is told and harmless. Where that can't be decided, it stays open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from calico_rkt.plugin.attest.chains import Compared, compared
from calico_rkt.plugin.attest.court import Court, Suspicion
from calico_rkt.plugin.attest.elsewhere import elsewhere, marks
from calico_rkt.plugin.attest.guards import GUARDS
from calico_rkt.plugin.attest.membership import wrong_sets
from calico_rkt.plugin.attest.oracle import Wanted
from calico_rkt.plugin.attest.outcome import Attestation
from calico_rkt.plugin.attest.probes import Hints
from calico_rkt.plugin.attest.reading import Seen
from calico_rkt.plugin.attest.ruleset import OURS, KernelRule, Table
from calico_rkt.plugin.attest.walk import ORDER
from calico_rkt.plugin.link.groups import group_of

_TRACKED = -200
"""The priority at which connection tracking looks at packets: before it no rule knows what they are."""
_BEFORE_PIECES = ("prerouting", "foreign")
"""Chains that see pieces of packets one by one: what comes in the place of a rule may hold for the first one alone."""
_PROTOCOL = re.compile(r'"(?:protocol|base)": "(\w+)"')
_NETWORK_CHAINS = ("out", "in", "host")


def judge(seen: Seen, wanted: Wanted) -> Attestation:
    """All that can be said of our table and the packets of recorded endpoints."""
    place = seen.rules.tables.get(OURS)
    strange = sorted({e.network_id for e in wanted.endpoints} - set(wanted.networks))
    open_ = [f"network {i} has endpoints here and is not in the workspace: nobody reviewed its rules" for i in strange]
    if place is None and OURS in seen.rules.unread:
        return Attestation((), (*open_, f"the table inet calico_rkt: {seen.rules.unread[OURS]}"), _settled(wanted))
    own = {e.ifname: group_of(e.network_id) for e in wanted.endpoints}  # whose host end is in another one: host.py
    table = replace(place or Table(OURS, {}, {}), groups={**seen.groups, **own})
    table = replace(table, sets={n: s if n not in seen.unsaid else s.unread() for n, s in table.sets.items()})
    in_force = Table(OURS, {}, {}) if seen.dormant else table
    wanted = replace(wanted, unmarked=wanted.unmarked and not marks(seen.rules))
    court = Court(in_force, wanted)
    if wanted.endpoints and (place is None or in_force is not table):
        words = "is not in the kernel" if place is None else "is dormant: no hook calls it"
        suspicions: Sequence[Suspicion] = [Suspicion(f"the nftables table inet calico_rkt {words}", "", by_itself=True)]
    elif place is None:
        suspicions = []
    else:
        suspicions = list(_suspicions(table, wanted))
        if seen.unsaid:  # what is listed is not all that there is: a comparison would be of something else
            suspicions = [replace(s, by_itself=True) for s in suspicions]
    if suspicions:
        court.try_each(suspicions)
    else:
        court.try_all()
    open_ += court.open
    open_ += [f"{words}: what it says more can't be read" for words in seen.unsaid.values()]
    others = elsewhere(seen.rules, wanted)
    return Attestation(
        (*court.differences, *others.differences),
        (*open_, *others.open),
        _settled(wanted),
        len(wanted.networks),
        tuple(court.alike),
        court.tried,
    )


def _settled(wanted: Wanted) -> int:
    """Of how many endpoints something is proven: one that is being attached may be there in parts."""
    return sum(e.settled for e in wanted.endpoints)


def _suspicions(table: Table, wanted: Wanted) -> Iterator[Suspicion]:
    yield from _guards(table)
    for wrong in wrong_sets(table, wanted):
        hints = Hints(networks=dict.fromkeys(wrong.networks))
        for element in wrong.elements[:20]:
            hints.of_element(element)
        _read_by(table, wrong.name, hints)
        yield Suspicion(wrong.words, wrong.name, hints, by_itself=wrong.odd)
    yield from _networks(table, wanted)


def _read_by(table: Table, name: str, hints: Hints) -> None:
    """What rules that look into a set ask beside: a packet that they let through has to fit all of it."""
    for chain in table.chains.values():
        for rule in chain.rules:
            if f"@{name}" in rule.words:
                hints.of_kernel_rule(rule, table.sets)


def _guards(table: Table) -> Iterator[Suspicion]:
    for name, guard in GUARDS.items():
        chain = table.chains.get(name)
        if chain is None:
            yield Suspicion(f"chain {name} is not there", name)
            continue
        have = (chain.kind, chain.hook, chain.priority, chain.policy)
        want = (guard.kind, guard.hook, guard.priority, "accept" if guard.hook else "")
        if have != want:
            words = f"chain {name} has {_hook_words(*have)}, not {_hook_words(*want)}"
            yield Suspicion(words, name, by_itself=have[:3] != want[:3])
        rules = [r for r in chain.rules if r.decides]
        yield from _rules_apart(name, [" ".join(r.words) for r in rules], guard.rules, rules)
    for chain in table.base_chains():
        if chain.name not in GUARDS and (chain.policy == "drop" or any(r.decides for r in chain.rules)):
            hints = Hints()
            for rule in chain.rules:
                hints.of_kernel_rule(rule, table.sets)
            words = f"chain {chain.name} is none of ours, and hook {chain.hook} calls it"
            yield Suspicion(words, chain.name, hints, by_itself=chain.hook not in ORDER or chain.priority <= _TRACKED)


def _hook_words(kind: str, hook: str, priority: int, policy: str) -> str:
    return f"type {kind} hook {hook} priority {priority} policy {policy}" if hook else "no hook"


def _rules_apart(
    name: str, have: Sequence[str], want: Sequence[str], rules: Sequence[KernelRule]
) -> Iterator[Suspicion]:
    apart = [o for o in SequenceMatcher(None, want, have, autojunk=False).get_opcodes() if o[0] != "equal"]
    gone_some = name in _BEFORE_PIECES and any(a < b for _, a, b, _, _ in apart)
    for _, a, b, c, d in apart:
        hints = Hints()
        for rule in rules[c:d]:
            hints.of_kernel_rule(rule)
        gone = "; ".join(f"`{words}`" for words in want[a:b])
        come = "; ".join(f"`{words}`" for words in have[c:d])
        words = f"{come} should not be there" if not gone else f"{gone} should be there"
        words = f"chain {name}, rule {_number(rules, c)}: {f'{come} should be {gone}' if gone and come else words}"
        yield Suspicion(words, name, hints, by_itself=gone_some and any(map(_asks_transport, rules[c:d])))


def _asks_transport(rule: KernelRule) -> bool:
    """Whether a rule asks for what only the first piece of a packet has: ports, types, flags."""
    return any(
        part not in ("ip", "ip6")
        for statement in rule.statements
        for part in _PROTOCOL.findall(json.dumps(statement, sort_keys=True))
    )


def _number(rules: Sequence[KernelRule], at: int) -> int:
    """The place in the kernel's chain; behind its last rule where there is no such rule."""
    return rules[at].number if at < len(rules) else (rules[-1].number + 1 if rules else 1)


def _networks(table: Table, wanted: Wanted) -> Iterator[Suspicion]:
    used = {e.network_id for e in wanted.endpoints}
    for network_id, network in sorted(wanted.networks.items()):
        there = any(f"{kind}-{network_id}" in table.chains for kind in _NETWORK_CHAINS)
        if network_id not in used and not there:
            continue
        for kind, rules in (("out", network.egress), ("in", network.ingress)):
            name = f"{kind}-{network_id}"
            if name not in table.chains:
                hints = Hints(networks={network_id: None})
                yield Suspicion(f"chain {name} is not there", name, hints, network=network_id)
                continue
            found = compared(table.chains[name], rules, table.sets, table.chains)
            if not found.equal:
                hints = _hints_of(found, network_id, table)
                yield Suspicion(_chain_words(name, found), name, hints, found, network_id)
        yield from _to_host(table, network_id, network.endpoint_to_host.value)


def _to_host(table: Table, network_id: str, verdict: str) -> Iterator[Suspicion]:
    name = f"host-{network_id}"
    hints = Hints(networks={network_id: None})
    if name not in table.chains:
        yield Suspicion(f"chain {name} is not there", name, hints, network=network_id)
        return
    rules = [r for r in table.chains[name].rules if r.decides]
    have = "; ".join(" ".join(r.words) for r in rules)
    if have != verdict:
        for rule in rules:
            hints.of_kernel_rule(rule, table.sets)
        words = f"chain {name} says `{have or 'nothing'}`, and endpoint_to_host is {verdict}"
        yield Suspicion(words, name, hints, network=network_id)


def _chain_words(name: str, found: Compared) -> str:
    if found.unread:
        return f"{found.unread[0]} is none that a network's rules are written as"
    if found.suspects:
        return f"{found.suspects[0]} is in no reviewed rule"
    if found.undecided:
        return f"chain {name} could not be compared: {found.undecided}"
    if found.rule is not None:
        return f"{found.rule} decides what the reviewed rules decide otherwise"
    return f"chain {name} ends without a verdict of its own"


def _hints_of(found: Compared, network_id: str, table: Table) -> Hints:
    hints = Hints(networks={network_id: None})
    packet = found.packet
    if packet is not None:
        for end in (packet.source, packet.destination):
            hints.addresses[end.address] = None
            if end.port:
                hints.ports[end.port] = None
            hints.networks.update(dict.fromkeys(end.labels or ()))
        hints.protocols[packet.protocol] = None
        if packet.icmp is not None:
            hints.icmp[packet.icmp.type, packet.icmp.code or 0] = None
    for rule in found.suspects:
        hints.of_kernel_rule(rule, table.sets)
    for reviewed in found.lacking:
        hints.of_rule(reviewed)
    return hints
