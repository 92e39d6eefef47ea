"""A Network in, the 2015 Calico model out: a profile's tags and rules as etcd v2 holds them, in one JSON document.

Felix of 2015 (felix/frules.py) drops the match on an address in the chain of the other family, opens it there,
and turns what it can't render into a drop: so ip_version always stands beside an address or an ICMP protocol.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from calico_rkt import __version__
from calico_rkt.compiler.diagnostics import Diagnostic, error, raise_errors
from calico_rkt.compiler.ir.canonical import digest, port_object
from calico_rkt.compiler.ir.model import (
    ICMP,
    ICMPV6,
    SCTP,
    TCP,
    UDP,
    UDPLITE,
    Action,
    Match,
    Network,
    Rule,
    Side,
    ToHost,
)
from calico_rkt.compiler.ir.resolved import nets, ports
from calico_rkt.compiler.ir.selector import Op, Selector
from calico_rkt.compiler.targets.limits import check_limits, protocol_name, refuse
from calico_rkt.compiler.targets.printing import render_template

_NAMES: dict[int, str] = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMPV6: "icmpv6", SCTP: "sctp", UDPLITE: "udplite"}
_TAG = re.compile(r"[a-zA-Z0-9_.-]+")
_POSITIVE = "list what the rule is about instead, or use a datastore of today's Calico"


def write_calico_v1(network: Network) -> str:
    """The document: `tags`, and `rules` with the digest in a key beside the lists, which Felix passes over.

    Raises CompileError for what the model has no words for: Log, negations, selectors other than has() and
    their OR, ports of protocols other than TCP and UDP, an endpoint_to_host of one's own.
    """
    check_calico_v1(network)
    return render_template(
        "calico_v1/profile.json.j2",
        id=json.dumps(network.id),
        lists=[("inbound_rules", _objects(network.ingress)), ("outbound_rules", _objects(network.egress))],
        name=json.dumps(network.name),
        digest=json.dumps(digest(network)),
        version=json.dumps(__version__),
    )


def check_calico_v1(network: Network) -> None:
    """Raise what write_calico_v1() would raise."""
    if network.endpoint_to_host is not ToHost.DROP:
        raise_errors(
            [
                error(
                    "CR535",
                    f"endpoint_to_host: {network.endpoint_to_host.value} is Felix's own setting on a Calico cluster",
                    hint="leave it out here and set DefaultEndpointToHostAction",
                )
            ]
        )
    check_limits(network, _check)


def parts(rules: Iterable[Rule]) -> tuple[int, ...]:
    """How many of the document's rules each rule has become: what puts them together again."""
    return tuple(len(list(_pairs(rule.match))) for rule in rules)


def _check(where: str, rule: Rule) -> Iterator[Diagnostic]:
    m = rule.match
    if rule.action is Action.LOG:
        yield refuse("CR530", where, rule, "the 2015 model has no log action", "leave it out for this datastore")
    for key, given in (("notProtocol", m.not_protocol), ("notICMP", m.not_icmp)):
        if given is not None:
            yield _negation(where, rule, key)
    for name, side in (("source", m.source), ("destination", m.destination)):
        for key, negated in (("notNets", side.not_nets), ("notPorts", side.not_ports)):
            if negated:
                yield _negation(where, rule, f"{name}.{key}")
        if side.not_selector is not None:
            yield _negation(where, rule, f"{name}.notSelector")
        if side.selector is not None and not _tags(side):
            hint = "name the networks: `network: NAME` or a list of them"
            yield refuse("CR532", where, rule, f"the 2015 model knows tags only, and {side.selector} is none", hint)
        if side.ports and m.protocol not in (TCP, UDP):
            # Felix takes such a rule and renders an unconditional drop.
            name_ = protocol_name(m.protocol or 0)
            yield refuse("CR533", where, rule, f"the 2015 model has ports for TCP and UDP only, not for {name_}")
    if (m.protocol, m.ip_version) in ((ICMP, 6), (ICMP, None), (ICMPV6, 4), (ICMPV6, None)):
        wanted = "ICMP needs ipVersion 4" if m.protocol == ICMP else "ICMPv6 needs ipVersion 6"
        yield refuse("CR534", where, rule, f"{wanted} in the 2015 model")


def _negation(where: str, rule: Rule, key: str) -> Diagnostic:
    return refuse("CR531", where, rule, f"the 2015 model has no negation: {key}", _POSITIVE)


def _tags(side: Side) -> tuple[str, ...]:
    """The tags that a selector is an OR of; none where it is anything else."""
    selector = side.selector
    if selector is None:
        return ()
    parts: Sequence[Selector] = selector.operands if selector.op is Op.OR else (selector,)
    keys = tuple(part.key for part in parts if part.op is Op.HAS and _TAG.fullmatch(part.key))
    return keys if len(keys) == len(parts) else ()


def _objects(rules: Iterable[Rule]) -> list[list[tuple[str, str]]]:
    """Each rule as the pairs of its JSON object; a list of addresses or tags is one rule an element."""
    return [list(_object(rule, source, destination)) for rule in rules for source, destination in _pairs(rule.match)]


def _pairs(m: Match) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    return product(_ends(m.source, "src"), _ends(m.destination, "dst"))


def _ends(side: Side, prefix: str) -> list[dict[str, str]]:
    addresses: Sequence[str | None] = [*dict.fromkeys(str(net) for net in nets(side.nets))] or [None]
    tags: Sequence[str | None] = _tags(side) or [None]
    return [
        {key: json.dumps(value) for key, value in ((f"{prefix}_net", net), (f"{prefix}_tag", tag)) if value is not None}
        for net, tag in product(addresses, tags)
    ]


def _object(rule: Rule, source: dict[str, str], destination: dict[str, str]) -> Iterator[tuple[str, str]]:
    m = rule.match
    yield "action", json.dumps(rule.action.value.lower())
    if m.ip_version is not None:
        yield "ip_version", str(m.ip_version)
    if m.protocol is not None:
        yield "protocol", json.dumps(_NAMES.get(m.protocol, m.protocol))
    if m.icmp is not None:
        yield "icmp_type", str(m.icmp.type)
        if m.icmp.code is not None:
            yield "icmp_code", str(m.icmp.code)
    yield from source.items()
    if m.source.ports:
        yield "src_ports", json.dumps([port_object(port) for port in ports(m.source.ports)])
    yield from destination.items()
    if m.destination.ports:
        yield "dst_ports", json.dumps([port_object(port) for port in ports(m.destination.ports)])
