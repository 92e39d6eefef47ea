"""The YAML of one direction's rules in, Rules out: Calico's v3 rule grammar, all of it checked here.

Calico's own tools no longer check the rules of a Profile (there is no CRD for it, and the constraints moved
into CRDs), so nothing behind this module would notice a bad one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.model import (
    ANY_SIDE,
    ICMP,
    ICMPV6,
    PORT_PROTOCOLS,
    Action,
    Icmp,
    Match,
    NameRef,
    Net,
    PortRange,
    Rule,
    Side,
)
from calico_rkt.compiler.ir.selector import Selector, SelectorError, parse_selector
from calico_rkt.compiler.text.fields import (
    Field,
    Form,
    Problems,
    Reasons,
    did_you_mean,
    fields_of,
    items_of,
    kind,
    text_of,
)
from calico_rkt.compiler.text.nodes import Mapping, Node, Scalar, Sequence
from calico_rkt.compiler.text.values import (
    BadValueError,
    is_everything,
    parse_net,
    parse_network,
    parse_number,
    parse_port,
    parse_protocol,
)

SELF = "self"
"""In a default rule set, the network that the set is used for."""

MOST_RULES, MOST_NETS, MOST_PORTS = 1024, 256, 50
"""Calico v3's limits for one direction and for one field; they bind a plain Profile, our form has none."""

DEFINITION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

DEFAULT = "default"
"""Where the default rules stand in a list."""
RULE_KEYS = (
    "action", "ipVersion", "protocol", "notProtocol", "icmp", "notICMP", "source", "destination", "metadata",
)  # fmt: skip
SIDE_KEYS = ("nets", "notNets", "selector", "notSelector", "ports", "notPorts")
_NOT_IN_RULES: Reasons = {
    "http": ("HTTP is matched by Calico's application layer policy, which a profile's endpoints do not have",
             "say it with protocol and ports"),
}  # fmt: skip
_NOT_IN_SIDES: Reasons = {
    "namespaceSelector": ("a network's endpoints have no namespaces, so this selects nobody or everybody",
                          "use selector on labels, or network: NAME"),
    "serviceAccounts": ("service accounts exist in Kubernetes only", "use selector on labels, or network: NAME"),
    "services": ("services exist in Kubernetes only", "name the addresses in nets, the ports in ports"),
    "domains": ("names of hosts are no part of open source Calico", "name the addresses in nets"),
}  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UseDefault:
    """The item `default` in a list of rules: the default rules of that direction stand here."""

    span: Span


Item = Rule | UseDefault


def parse_rules(field: Field, form: Form, problems: Problems) -> tuple[Item, ...]:
    """The rules of one direction in their order; a rule with an error is left out and the error reported."""
    out: list[Item] = []
    items = items_of(field.value, field.key.text, problems)
    if form is Form.V3 and len(items) > MOST_RULES:
        problems.error("CR326", f"{len(items)} rules; Calico takes {MOST_RULES} a direction", field.key.span)
    for item in items:
        if isinstance(item, Scalar):
            marker = _default(item, form, problems)
            if marker and any(isinstance(o, UseDefault) for o in out):
                problems.error("CR323", "`default` stands here a second time", item.span, "keep one of them")
            elif marker:
                out.append(marker)
            continue
        before = len(problems.found)
        rule = _RuleReader(form, problems).rule(item)
        if rule is not None and not any(d.is_error for d in problems.found[before:]):
            out.append(rule)
    return tuple(out)


def _default(item: Scalar, form: Form, problems: Problems) -> UseDefault | None:
    if item.text != DEFAULT:
        hint = did_you_mean(item.text, (DEFAULT,)) if form is Form.OURS else ""
        problems.error("CR302", f"a rule must be a mapping, not {item.text!r}", item.span, hint)
    elif form is not Form.OURS:
        hint = "write the rules out, or use calico-rkt's own form (network: NAME at the top)"
        problems.error("CR324", f"a {form.value} knows no `default`", item.span, hint)
    else:
        return UseDefault(item.span)
    return None


class _RuleReader:
    """Reads one rule; form says whose grammar holds, problems takes what is wrong."""

    def __init__(self, form: Form, problems: Problems) -> None:
        self.form, self.problems = form, problems

    def rule(self, node: Node) -> Rule | None:
        fields = self._fields(node, RULE_KEYS, "a rule", _NOT_IN_RULES)
        action = self._action(fields.get("action"), node)
        protocol = self._value(fields.get("protocol"), parse_protocol)
        not_protocol = self._value(fields.get("notProtocol"), parse_protocol)
        match = Match(
            ip_version=self._ip_version(fields.get("ipVersion")),
            protocol=protocol,
            not_protocol=not_protocol,
            icmp=self._icmp(fields.get("icmp"), protocol),
            not_icmp=self._icmp(fields.get("notICMP"), protocol),
            source=self._side(fields.get("source"), protocol, fields),
            destination=self._side(fields.get("destination"), protocol, fields),
        )
        for key in ("protocol", "notProtocol"):
            self._check_family(fields.get(key), match)
        if "metadata" in fields:
            # Calico's rule annotations are for people and decide nothing.
            fields_of(fields["metadata"].value, ("annotations",), "a rule's metadata", self.problems)
        return Rule(action, match, node.span) if action else None

    def _fields(self, node: Node, known: tuple[str, ...], what: str, refused: Reasons) -> dict[str, Field]:
        return fields_of(node, known, what, self.problems, refused=refused, null_is_missing=self.form is Form.V3)

    def _action(self, field: Field | None, node: Node) -> Action | None:
        if field is None:
            if isinstance(node, Mapping):
                self.problems.error("CR304", "a rule without action", node.span, "action: Allow, Deny or Log")
            return None
        text = text_of(field.value, "action", self.problems)
        if text is None:
            return None
        known = {a.value: a for a in Action}
        if text.text in known:
            return known[text.text]
        if text.text == "Pass":
            reason = "Pass is refused: in a profile Calico's dataplanes disagree on what it does"
            self.problems.error("CR306", reason, text.span, "leave the rule out, or say Allow or Deny")
        else:
            self.problems.error("CR305", f"no action {text.text!r}", text.span, did_you_mean(text.text, known))
        return None

    def _value(self, field: Field | None, parse: Callable[[str], T]) -> T | None:
        if field is None:
            return None
        text = text_of(field.value, field.key.text, self.problems)
        return self._parsed(text, parse) if text else None

    def _parsed(self, text: Scalar, parse: Callable[[str], T]) -> T | None:
        try:
            return parse(text.text)
        except BadValueError as e:
            self.problems.error(e.code, e.message, text.span, e.hint)
            return None

    def _ip_version(self, field: Field | None) -> int | None:
        def parse(text: str) -> int:
            if text not in ("4", "6"):
                raise BadValueError("CR305", f"ipVersion must be 4 or 6, not {text!r}")
            return int(text)

        return self._value(field, parse)

    def _icmp(self, field: Field | None, protocol: int | None) -> Icmp | None:
        if field is None:
            return None
        name = field.key.text
        found = self._fields(field.value, ("type", "code"), name, {})
        kind_ = self._value(found.get("type"), lambda t: parse_number(t, "an ICMP type", 0, 254, "CR318"))
        code = self._value(found.get("code"), lambda t: parse_number(t, "an ICMP code", 0, 255, "CR318"))
        if protocol not in (ICMP, ICMPV6):
            hint = "protocol: ICMP or ICMPv6 beside it"
            self.problems.error("CR319", f"{name} needs a protocol that has types", field.key.span, hint)
        if "type" not in found and isinstance(field.value, Mapping):
            self.problems.error("CR304", f"{name} without type", field.key.span, "such as type: 8 (echo request)")
        return Icmp(kind_, code) if kind_ is not None else None

    def _check_family(self, field: Field | None, match: Match) -> None:
        """Calico's rule for protocol and notProtocol alike: ICMP is IPv4's, ICMPv6 is IPv6's."""
        if field is None:
            return
        number = match.protocol if field.key.text == "protocol" else match.not_protocol
        family = {ICMP: 4, ICMPV6: 6}.get(number or 0)
        if family and match.ip_version not in (None, family):
            name, other = ("ICMP", "ICMPv6") if family == 4 else ("ICMPv6", "ICMP")
            hint = f"{other} for ipVersion {match.ip_version}, or ipVersion: {family}"
            self.problems.error(
                "CR320", f"{name} beside ipVersion {match.ip_version}: {name} is IPv{family}'s", field.value.span, hint
            )

    def _side(self, field: Field | None, protocol: int | None, rule: dict[str, Field]) -> Side:
        if field is None:
            return ANY_SIDE
        name = field.key.text
        keys = SIDE_KEYS if self.form is Form.V3 else (*SIDE_KEYS, "network")
        found = self._fields(field.value, keys, name, _NOT_IN_SIDES)
        for key in ("ports", "notPorts"):
            if key in found and protocol not in PORT_PROTOCOLS and not self._protocol_failed(rule, protocol):
                hint = "protocol: TCP, UDP or SCTP beside it; one rule for each"
                said = "this protocol has none" if protocol else "the rule names no protocol"
                self.problems.error("CR312", f"{key} where {said}", found[key].key.span, hint)
        nets, not_nets = self._nets(found.get("nets")), self._nets(found.get("notNets"))
        return Side(
            nets=nets,
            not_nets=not_nets,
            ports=self._ports(found.get("ports")),
            not_ports=self._ports(found.get("notPorts")),
            selector=self._selector(found.get("selector")),
            not_selector=self._selector(found.get("notSelector")),
            networks=self._networks(found.get("network")),
        )

    @staticmethod
    def _protocol_failed(rule: dict[str, Field], protocol: int | None) -> bool:
        """A protocol that could not be read has its own diagnostic; its ports are not to blame."""
        return "protocol" in rule and protocol is None

    def _list(self, field: Field | None, most: int) -> tuple[Scalar, ...]:
        """The members of a list of nets or ports."""
        if field is None:
            return ()
        name, items = field.key.text, items_of(field.value, field.key.text, self.problems)
        if self.form is Form.V3 and len(items) > most:
            self.problems.error("CR326", f"{len(items)} {name}; Calico takes {most} in one field", field.key.span)
        if self.form is not Form.V3 and isinstance(field.value, Sequence) and not field.value.items:
            self._says_nothing(field)
        return tuple(t for i in items if (t := text_of(i, f"an item of {name}", self.problems)))

    def _says_nothing(self, field: Field) -> None:
        hint = "leave the key out if nothing is to be constrained"
        self.problems.error("CR322", f"an empty {field.key.text} constrains nothing in Calico", field.key.span, hint)

    def _nets(self, field: Field | None) -> tuple[Net | NameRef, ...]:
        out: list[Net | NameRef] = []
        for text in self._list(field, MOST_NETS):
            found = self._reference(text) or self._parsed(text, parse_net)
            if found is None or field is None:
                continue
            if not isinstance(found, NameRef):
                self._check_net(field, text, found, out)
            out.append(found)
        return tuple(out)

    def _check_net(self, field: Field, text: Scalar, net: Net, before: list[Net | NameRef]) -> None:
        name = field.key.text
        if name == "notNets" and is_everything(net):
            hint = f"ipVersion: {10 - net.version} says that a rule is not about IPv{net.version}"
            self.problems.error("CR316", f"{net} in notNets leaves no address", text.span, hint)
        first = before[0] if before else net
        if self.form is Form.V3 and not isinstance(first, NameRef) and first.version != net.version:
            hint = "one rule for each family, or calico-rkt's own form (network: NAME at the top), which splits them"
            self.problems.error("CR317", f"{name} mixes IPv4 and IPv6, which Calico refuses", text.span, hint)

    def _ports(self, field: Field | None) -> tuple[PortRange | NameRef, ...]:
        out: list[PortRange | NameRef] = []
        for text in self._list(field, MOST_PORTS):
            found = self._reference(text)
            if found is None and DEFINITION_NAME.fullmatch(text.text):
                reason = f"the named port {text.text!r} is not supported: endpoints here name no ports"
                self.problems.error("CR311", reason, text.span, "write its number")
                continue
            port = found or self._parsed(text, parse_port)
            if port is not None:
                out.append(port)
        return tuple(out)

    def _reference(self, text: Scalar) -> NameRef | None:
        """A definition's name, where a value begins like one; only our own form has definitions."""
        if self.form is not Form.V3 and DEFINITION_NAME.fullmatch(text.text):
            return NameRef(text.text, text.span)
        return None

    def _selector(self, field: Field | None) -> Selector | None:
        if field is None:
            return None
        text = text_of(field.value, field.key.text, self.problems)
        if text is None:
            return None
        if not text.text.strip(" \t"):
            if self.form is not Form.V3:
                self._says_nothing(field)
            return None
        try:
            return parse_selector(text.text)
        except SelectorError as e:
            self.problems.error("CR321", f"{field.key.text}: {e.message}", _inside(text, e.offset))
            return None

    def _networks(self, field: Field | None) -> tuple[NameRef, ...]:
        """`network: X` or `network: [X, Y]`, which is an OR."""
        if field is None:
            return ()
        if isinstance(field.value, Sequence):
            texts = self._list(field, 0)
        elif isinstance(field.value, Scalar):
            texts = (field.value,)
        else:
            self.problems.error("CR302", f"network must be a name, not {kind(field.value)}", field.value.span)
            return ()
        return tuple(NameRef(t.text, t.span) for t in texts if self._parsed(t, parse_network))


def _inside(text: Scalar, offset: int) -> Span:
    """The place of one character of a value, where the value stands on its line as it is; else the value's."""
    span = text.span
    start = span.text.find(text.text, span.column - 1, span.end_column - 1) if text.text else -1
    if start < 0:
        return span
    column = start + min(offset, len(text.text)) + 1
    return Span(span.path, span.line, column, column + 1, span.text)
