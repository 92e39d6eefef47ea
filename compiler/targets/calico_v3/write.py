"""A Network in, the canonical Calico v3 Profile out: YAML that `calicoctl apply -f` takes as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from calico_rkt import __version__
from calico_rkt.compiler.diagnostics import Diagnostic, error, raise_errors
from calico_rkt.compiler.ir.canonical import (
    ANNOTATION_DIGEST,
    ANNOTATION_FORM,
    ANNOTATION_LOG_LIMIT,
    ANNOTATION_NETWORK,
    ANNOTATION_TO_HOST,
    ANNOTATION_VERSION,
    LINES,
    MOST_NETS,
    MOST_PORTS,
    MOST_RULES,
    digest,
    rule_object,
)
from calico_rkt.compiler.ir.model import ICMP, ICMPV6, USUAL_LOG_LIMIT, Network, Rule, ToHost
from calico_rkt.compiler.ir.resolved import nets
from calico_rkt.compiler.ir.selector_parser import LONGEST_SELECTOR
from calico_rkt.compiler.targets.calico_v3.parts import count, split
from calico_rkt.compiler.targets.limits import check_limits, refuse
from calico_rkt.compiler.targets.printing import render_template

Shape = str | int | list["Shape"] | dict[str, "Shape"]

_PLAIN = re.compile(
    r"[A-Za-z][A-Za-z0-9-]*(\.[A-Za-z][A-Za-z0-9-]*)*"  # a name
    r"|[0-9.]+/[0-9]+"  # an IPv4 network
    r"|has\([\w./-]+\)( (\|\||&&) has\([\w./-]+\))*",  # a selector of labels
    re.ASCII,
)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def write_calico_v3(network: Network) -> str:
    """The profile's text, in the form that the network has. Long nets and ports become several rules.

    Raises CompileError where Calico v3 has no words for a rule: a negated list beyond the limit, a direction
    of more than 1,024 rules.
    """
    ingress, egress = _written(network)
    annotations = {
        ANNOTATION_VERSION: __version__,
        ANNOTATION_DIGEST: digest(network),
        ANNOTATION_NETWORK: network.name,
    }
    if network.endpoint_to_host is not ToHost.DROP:
        annotations[ANNOTATION_TO_HOST] = network.endpoint_to_host.value
    if network.log_limit != USUAL_LOG_LIMIT:
        annotations[ANNOTATION_LOG_LIMIT] = str(network.log_limit)
    if network.form != LINES:
        annotations[ANNOTATION_FORM] = str(network.form)
    return render_template(
        "calico_v3/profile.yaml.j2",
        id=scalar(network.id),
        annotations=[(key, _quoted(value)) for key, value in sorted(annotations.items())],
        # Behind the key stands nothing before a list, `[]` for an empty one.
        directions=[
            (key, "" if rules else " []", [_view(rule) for rule in rules])
            for key, rules in (("ingress", ingress), ("egress", egress))
        ],
    )


def check_calico_v3(network: Network) -> None:
    """Raise what write_calico_v3() would raise."""
    _written(network)


def _written(network: Network) -> tuple[Sequence[Rule], Sequence[Rule]]:
    """The rules of both directions as they are written; raises CompileError where Calico v3 has no words for them."""
    check_rules(network)
    ingress, egress = split(network.ingress), split(network.egress)
    raise_errors(too_many("ingress", network.ingress, ingress))
    raise_errors(too_many("egress", network.egress, egress))
    return ingress, egress


def check_rules(network: Network) -> None:
    """Raise CompileError with all that Calico v3 has no words for, however many rules there are."""
    check_limits(network, _check)


def scalar(value: str | int) -> str:
    """A YAML scalar that every YAML version reads back as this value; plain where that is safe."""
    if isinstance(value, int):
        return str(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if '"' in value and value.isascii() and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return _quoted(value)


def _quoted(value: str) -> str:
    """As JSON, but a character beyond the first plane in YAML's own escape: YAML knows no surrogate pairs."""
    return "".join(f"\\U{ord(c):08x}" if ord(c) > 0xFFFF else json.dumps(c)[1:-1] for c in value).join('""')


def _check(where: str, rule: Rule) -> Iterator[Diagnostic]:
    m = rule.match
    for name, side in (("source", m.source), ("destination", m.destination)):
        if len(side.not_nets) > MOST_NETS:
            yield _too_long(where, rule, f"{name}.notNets", len(side.not_nets), MOST_NETS)
        if len(side.not_ports) > MOST_PORTS:
            yield _too_long(where, rule, f"{name}.notPorts", len(side.not_ports), MOST_PORTS)
        if any(net.prefixlen == 0 for net in nets(side.not_nets)):
            yield refuse("CR521", where, rule, f"{name}.notNets excludes every address, which Calico refuses")
        for selector in (side.selector, side.not_selector):
            if selector is not None and len(str(selector)) > LONGEST_SELECTOR:
                yield refuse("CR522", where, rule, f"a selector is longer than Calico's {LONGEST_SELECTOR} characters")
    for protocol in (m.protocol, m.not_protocol):
        if (protocol, m.ip_version) in ((ICMP, 6), (ICMPV6, 4)):
            yield refuse("CR523", where, rule, f"Calico takes no such ICMP with ipVersion {m.ip_version}")


def _too_long(where: str, rule: Rule, field: str, length: int, most: int) -> Diagnostic:
    return refuse("CR520", where, rule, f"{field} has {length} entries, Calico takes {most} and they can't be split")


def too_many(
    direction: str, rules: Sequence[Rule], written: Sequence[Rule], *, merged: bool = False
) -> Iterator[Diagnostic]:
    """The error of a direction that is written as more rules than Calico takes; none where it takes them."""
    if len(written) > MOST_RULES:
        lines = sum(map(count, rules))
        more = f" ({lines:,} with long lists split)" if lines > len(rules) else ""
        fewest = f"merged as far as they go they are {len(written):,}: " if merged else ""
        yield error(
            "CR524",
            f"{direction} has {len(rules):,} rules{more}, Calico takes {MOST_RULES:,} a direction",
            written[MOST_RULES].span,
            hint=f"{fewest}put the addresses of rules with the same action and ports into one rule",
        )


def _view(rule: Rule) -> dict[str, Any]:
    shape = rule_object(rule)
    sides = [(key, _entity(shape.pop(key))) for key in ("source", "destination") if key in shape]
    return {"action": shape.pop("action"), "fields": [(key, _inline(v)) for key, v in shape.items()], "sides": sides}


def _entity(entity: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Each field's key, what stands behind it, and the addresses below it: one a line, so that a diff shows one."""
    blocks = [(key, "", [scalar(net) for net in entity.pop(key)]) for key in ("nets", "notNets") if key in entity]
    return [*blocks, *((key, f" {_inline(value)}", []) for key, value in entity.items())]


def _inline(value: Shape) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return scalar(value)
