"""The YAML of one direction's rules in, Rules out: Calico's v3 rule grammar, all of it checked here.

Calico's own tools no longer check the rules of a Profile (there is no CRD for it, and the constraints moved
into CRDs), so nothing behind this module would notice a bad one.
"""

from __future__ import annotations

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.grammar.headers import read_icmp
from calico_rkt.compiler.grammar.sides import SideReader
from calico_rkt.compiler.ir.canonical import MOST_RULES
from calico_rkt.compiler.ir.model import (
    ICMP,
    ICMPV6,
    Action,
    Icmp,
    Match,
    Rule,
)
from calico_rkt.compiler.text.fields import (
    Field,
    Form,
    Problems,
    Reasons,
    did_you_mean,
    fields_of,
    items_of,
    text_of,
)
from calico_rkt.compiler.text.nodes import Mapping, Node, Scalar
from calico_rkt.compiler.text.values import BadValueError, parse_protocol, value_of
from calico_rkt.compiler.values import dataclass

SELF = "self"
"""In a default rule set, the network that the set is used for."""

DEFAULT = "default"
"""Where the default rules stand in a list."""
RULE_KEYS = (
    "action", "ipVersion", "protocol", "notProtocol", "icmp", "notICMP", "source", "destination", "metadata",
)  # fmt: skip
_ACTIONS = {a.value: a for a in Action}
_NOT_IN_RULES: Reasons = {
    "http": ("HTTP is matched by Calico's application layer policy, which a profile's endpoints do not have",
             "say it with protocol and ports"),
}  # fmt: skip


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
    reader = _RuleReader(form, problems)
    for item in items:
        if isinstance(item, Scalar):
            marker = _default(item, form, problems)
            if marker and any(isinstance(o, UseDefault) for o in out):
                problems.error("CR323", "`default` stands here a second time", item.span, "keep one of them")
            elif marker:
                out.append(marker)
            continue
        before = len(problems.found)
        rule = reader.rule(item)
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
    """Reads rules; form says whose grammar holds, problems takes what is wrong."""

    def __init__(self, form: Form, problems: Problems) -> None:
        self.form, self.problems = form, problems

    def rule(self, node: Node) -> Rule | None:
        fields = self._fields(node, RULE_KEYS, "a rule", _NOT_IN_RULES)
        action = self._action(fields.get("action"), node)
        protocol = value_of(fields.get("protocol"), parse_protocol, self.problems)
        not_protocol = value_of(fields.get("notProtocol"), parse_protocol, self.problems)
        sides = SideReader(self.form, self.problems, protocol, protocol_failed="protocol" in fields and not protocol)
        match = Match(
            ip_version=value_of(fields.get("ipVersion"), _ip_version, self.problems),
            protocol=protocol,
            not_protocol=not_protocol,
            icmp=self._icmp(fields.get("icmp"), protocol),
            not_icmp=self._icmp(fields.get("notICMP"), protocol),
            source=sides.side(fields.get("source")),
            destination=sides.side(fields.get("destination")),
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
        if text.text in _ACTIONS:
            return _ACTIONS[text.text]
        if text.text == "Pass":
            reason = "Pass is refused: in a profile Calico's dataplanes disagree on what it does"
            self.problems.error("CR306", reason, text.span, "leave the rule out, or say Allow or Deny")
        else:
            self.problems.error("CR305", f"no action {text.text!r}", text.span, did_you_mean(text.text, _ACTIONS))
        return None

    def _icmp(self, field: Field | None, protocol: int | None) -> Icmp | None:
        return read_icmp(field, protocol, self.problems, null_is_missing=self.form is Form.V3) if field else None

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


def _ip_version(text: str) -> int:
    if text not in ("4", "6"):
        raise BadValueError("CR305", f"ipVersion must be 4 or 6, not {text!r}")
    return int(text)
