"""The reviewed networks, the records and the kernel's table in; the table that there should be, as one to walk, out.

Guards are read from their words (guards.py), sets made of the records, networks' chains of the reviewed rules: nothing
of it is taken from who writes the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from calico_rkt.compiler.ir.evaluate import matches
from calico_rkt.compiler.ir.model import Action, Match, Network, Rule, Side
from calico_rkt.compiler.targets.nftables.json_words import Statement
from calico_rkt.plugin.attest.guards import GUARDS
from calico_rkt.plugin.attest.membership import leads_home, wanted_elements
from calico_rkt.plugin.attest.oracle import Wanted, opening_packet
from calico_rkt.plugin.attest.packet import Packet
from calico_rkt.plugin.attest.ruleset import OURS, REVIEWED, Chain, KernelRule, Set, Table

Part = tuple[tuple[str, ...], Callable[[Packet], bool]]
_VERDICTS = ("accept", "drop", "return", "masquerade")


def reviewed_table(table: Table, wanted: Wanted) -> Table:
    """What the kernel's table should be; of endpoints that come or go, what it has of them is right."""
    chains = {
        name: Chain(OURS, name, guard.kind, guard.hook, guard.priority, "accept" if guard.hook else "")
        for name, guard in GUARDS.items()
    }
    chains = {name: replace(chain, rules=_rules(name, GUARDS[name].rules)) for name, chain in chains.items()}
    for network_id, network in wanted.networks.items():
        for name, body in _of_network(network_id, network, wanted):
            chains[name] = Chain(OURS, name, rules=tuple(body))
    need, may = wanted_elements(wanted)
    sets = {}
    for name in {*need, *table.sets}:
        found = table.sets.get(name, Set(name, (), {}))
        allowed = may.get(name, {})
        there = {k: v for k, v in found.elements.items() if allowed.get(k) == v or leads_home(name, k, v)}
        sets[name] = replace(found, elements={**there, **need.get(name, {})})
    return Table(OURS, chains, sets, groups=table.groups)


def _rules(chain: str, lines: Sequence[str]) -> tuple[KernelRule, ...]:
    return tuple(KernelRule(OURS, chain, n, tuple(statements(line.split()))) for n, line in enumerate(lines, 1))


def _of_network(network_id: str, network: Network, wanted: Wanted) -> Iterator[tuple[str, list[KernelRule]]]:
    for kind, rules in (("out", network.egress), ("in", network.ingress)):
        name = f"{kind}-{network_id}"
        body = [
            KernelRule(OURS, name, n, (*_parts(rule.match, wanted), {_verdict(rule.action): None}))
            for n, rule in enumerate((r for r in rules if r.action is not Action.LOG), 1)
        ]
        yield name, [*body, KernelRule(OURS, name, len(body) + 1, ({"drop": None},))]
    name = f"host-{network_id}"
    yield name, [KernelRule(OURS, name, 1, ({network.endpoint_to_host.value: None},))]


def _verdict(action: Action) -> str:
    return "return" if action is Action.ALLOW else "drop"


def _parts(match: Match, wanted: Wanted) -> Iterator[Statement]:
    """A rule's conditions one by one, each with the fields of a packet that it asks for."""
    source, destination = match.source, match.destination
    for fields, part in (
        ((), Match(ip_version=match.ip_version)),
        (("protocol",), Match(protocol=match.protocol, not_protocol=match.not_protocol)),
        (("protocol", "icmp"), Match(icmp=match.icmp, not_icmp=match.not_icmp)),
        (("source",), Match(source=_address(source))),
        (("destination",), Match(destination=_address(destination))),
        (("protocol", "sport"), Match(source=_ports(source))),
        (("protocol", "dport"), Match(destination=_ports(destination))),
    ):
        if part != Match():
            yield {REVIEWED: (fields, _fits(Rule(Action.ALLOW, part), wanted))}


def _fits(rule: Rule, wanted: Wanted) -> Callable[[Packet], bool]:
    return lambda packet: matches(rule, opening_packet(wanted, packet))


def _address(side: Side) -> Side:
    return replace(side, ports=(), not_ports=())


def _ports(side: Side) -> Side:
    return Side(ports=side.ports, not_ports=side.not_ports)


def statements(words: Sequence[str]) -> Iterator[Statement]:
    """The words of a guard as nft's JSON has them."""
    at = 0
    while at < len(words):
        word = words[at]
        if word in _VERDICTS:
            yield {word: None}
            at += 1
        elif word in ("jump", "goto"):
            yield {word: {"target": words[at + 1]}}
            at += 2
        else:
            left, at = _left(words, at)
            if words[at] == "vmap":
                yield {"vmap": {"key": left, "data": words[at + 1]}}
                at += 2
                continue
            op = "!=" if words[at] == "!=" else "in" if "ct" in left and left["ct"]["key"] == "state" else "=="
            right, at = _right(words, at + (op == "!="))
            yield {"match": {"op": op, "left": left, "right": right}}


def _left(words: Sequence[str], at: int) -> tuple[dict[str, Any], int]:
    parts = []
    while True:
        part, at = _field(words, at)
        parts.append(part)
        if words[at] != ".":
            return ({"concat": parts} if len(parts) > 1 else part), at
        at += 1


def _field(words: Sequence[str], at: int) -> tuple[dict[str, Any], int]:
    word, then = words[at], words[at + 1 :]
    if word == "meta":
        return {"meta": {"key": then[0]}}, at + 2
    if word == "ct" and then[0] in ("original", "reply"):
        return {"ct": {"key": f"{then[1]} {then[2]}", "dir": then[0]}}, at + 4
    if word == "ct":
        return {"ct": {"key": then[0]}}, at + 2
    if word == "fib":
        return {"fib": {"result": then[1], "flags": [then[0]]}}, at + 3
    if word.startswith(("iif", "oif")):
        return {"meta": {"key": word}}, at + 1
    return {"payload": {"protocol": word, "field": then[0]}}, at + 2


def _right(words: Sequence[str], at: int) -> tuple[Any, int]:
    if words[at] != "{":
        return _value(words[at]), at + 1
    end = words.index("}", at)
    return {"set": [_value(w) for w in words[at + 1 : end] if w != ","]}, end + 1


def _value(word: str) -> Any:  # noqa: ANN401 - nft's JSON
    if word == "missing":
        return False
    if word.replace(",", "").isdecimal():
        numbers = [int(n) for n in word.split(",")]
        return numbers if len(numbers) > 1 else numbers[0]
    address, slash, length = word.partition("/")
    return {"prefix": {"addr": address, "len": int(length)}} if slash else word
