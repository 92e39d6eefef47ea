"""Rules in, diagnostics out: what no target can say, and what only a finished pass may hand over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from calico_rkt.compiler.diagnostics import Diagnostic, error, raise_errors
from calico_rkt.compiler.ir.model import ICMP, ICMPV6, PORT_PROTOCOLS, PROTOCOL_NAMES, Network, Rule
from calico_rkt.compiler.ir.resolved import is_resolved, versions

Check = Callable[[str, Rule], Iterator[Diagnostic]]


def check_limits(network: Network, target: Check) -> None:
    """Raise CompileError with everything of all rules that the target, or any target, can not say."""
    found: list[Diagnostic] = []
    for direction, rules in (("ingress", network.ingress), ("egress", network.egress)):
        for number, rule in enumerate(rules, 1):
            where = f"{direction} rule {number}"
            found += _common(where, rule)
            found += target(where, rule)
    raise_errors(found)


def refuse(code: str, where: str, rule: Rule, why: str, hint: str = "") -> Diagnostic:
    """The error of one rule, named by direction and number, at the line that it came from."""
    return error(code, f"{where}: {why}", rule.span, hint=hint)


def _common(where: str, rule: Rule) -> Iterator[Diagnostic]:
    m = rule.match
    resolved = True
    for side in (m.source, m.destination):
        if not is_resolved(side):
            resolved = False
            yield refuse("CR501", where, rule, "a name in it is not resolved")
        if (side.ports or side.not_ports) and m.protocol not in PORT_PROTOCOLS:
            yield refuse("CR502", where, rule, "ports need a protocol that has them: TCP, UDP or SCTP")
    if (m.icmp or m.not_icmp) and (m.protocol, m.ip_version) not in ((ICMP, 4), (ICMPV6, 6)):
        yield refuse(
            "CR503", where, rule, "an ICMP type needs protocol ICMP with ipVersion 4, or ICMPv6 with ipVersion 6"
        )
    if not resolved:
        return
    found = versions(m.source, m.destination)
    if found and found != {m.ip_version}:
        yield refuse("CR504", where, rule, f"its addresses are not of its one family (IPv{m.ip_version})")


def protocol_name(number: int) -> str:
    """Calico's name of a protocol for a message, or its number."""
    return PROTOCOL_NAMES.get(number, str(number))
