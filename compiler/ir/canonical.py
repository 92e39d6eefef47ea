"""A Network in, its canonical form out: one digest and one JSON shape for all targets."""

from __future__ import annotations

import json

from calico_rkt.compiler.digest import sha256
from calico_rkt.compiler.ir.model import PROTOCOL_NAMES, USUAL_LOG_LIMIT, Icmp, Network, PortRange, Rule, Side
from calico_rkt.compiler.typed import Any

ANNOTATION_NETWORK = "calico-rkt.org/network"
ANNOTATION_DIGEST = "calico-rkt.org/digest"
ANNOTATION_VERSION = "calico-rkt.org/compiler"
ANNOTATION_LOG_LIMIT = "calico-rkt.org/log-limit"
ANNOTATION_TO_HOST = "calico-rkt.org/endpoint-to-host"
ANNOTATION_FORM = "calico-rkt.org/form"

LINES, MERGED = 1, 2
"""How a profile's lists are written: rule by rule as in the files (no annotation says so); long ones merged."""

API_VERSION, KIND = "projectcalico.org/v3", "Profile"
"""What a profile of today's Calico says it is."""
MOST_RULES, MOST_NETS, MOST_PORTS = 1024, 256, 50
"""Limits of Calico's v3 API (policy_common.go): rules of one direction, members of one field."""


def digest(network: Network) -> str:
    """`sha256:` and 64 hex digits over canonical JSON of what the network means, not how it is written."""
    meaning: dict[str, Any] = {
        "id": network.id,
        "network": network.name,
        "labelsToApply": {network.id: ""},
        "ingress": [rule_object(r) for r in network.ingress],
        "egress": [rule_object(r) for r in network.egress],
        "endpoint_to_host": network.endpoint_to_host.value,
    }
    if network.log_limit != USUAL_LOG_LIMIT:
        meaning["log_limit"] = str(network.log_limit)
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + sha256(text.encode()).hexdigest()


def rule_object(rule: Rule) -> dict[str, Any]:
    """A resolved rule in Calico's v3 JSON shape; keys that say nothing are left out."""
    m = rule.match
    out: dict[str, Any] = {"action": rule.action.value}
    if m.ip_version is not None:
        out["ipVersion"] = m.ip_version
    if m.protocol is not None:
        out["protocol"] = protocol_object(m.protocol)
    if m.not_protocol is not None:
        out["notProtocol"] = protocol_object(m.not_protocol)
    for key, icmp in (("icmp", m.icmp), ("notICMP", m.not_icmp)):
        if icmp is not None:
            out[key] = _icmp_object(icmp)
    for key, side in (("source", m.source), ("destination", m.destination)):
        entity = _side_object(side)
        if entity:
            out[key] = entity
    return out


def protocol_object(number: int) -> str | int:
    """Calico's name for a protocol where it has one, else the number."""
    return PROTOCOL_NAMES.get(number, number)


def port_object(port: PortRange) -> int | str:
    """A single port as a number, a range as `lo:hi` (Calico's numorstring.Port)."""
    return port.lo if port.lo == port.hi else f"{port.lo}:{port.hi}"


def _icmp_object(icmp: Icmp) -> dict[str, int]:
    return {"type": icmp.type} if icmp.code is None else {"type": icmp.type, "code": icmp.code}


def _side_object(side: Side) -> dict[str, Any]:
    # Here, not above: an ADD looks at texts of profiles, and makes none.
    from calico_rkt.compiler.ir.resolved import is_resolved, ports

    if not is_resolved(side):
        raise TypeError("names are resolved before a profile is made")
    out: dict[str, Any] = {}
    if side.nets:
        out["nets"] = [str(n) for n in side.nets]
    if side.not_nets:
        out["notNets"] = [str(n) for n in side.not_nets]
    if side.selector is not None:
        out["selector"] = str(side.selector)
    if side.not_selector is not None:
        out["notSelector"] = str(side.not_selector)
    if side.ports:
        out["ports"] = [port_object(p) for p in ports(side.ports)]
    if side.not_ports:
        out["notPorts"] = [port_object(p) for p in ports(side.not_ports)]
    return out
