"""The YAML of a default rule set in, the rules that hold where an override says nothing out."""

from __future__ import annotations

from calico_rkt.compiler.grammar.rules import parse_rules
from calico_rkt.compiler.ir.model import Rule
from calico_rkt.compiler.text.fields import Form, Problems, fields_of
from calico_rkt.compiler.text.nodes import Mapping, Node
from calico_rkt.compiler.values import dataclass

BUILT_IN = ("same-network", "isolated", "open", "no-metadata")
"""The default rule sets that come with the project; the first is the default."""


@dataclass(frozen=True, slots=True)
class DefaultRules:
    """The rules that hold where an override says nothing. name is what people call the set."""

    name: str
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


def parse_default_rules(node: Node, name: str, problems: Problems) -> DefaultRules:
    """A default rule set; both directions have to be there, `[]` is deny all."""
    found = fields_of(node, ("ingress", "egress"), "a default rule set", problems)
    rules: dict[str, tuple[Rule, ...]] = {}
    for key in ("ingress", "egress"):
        if key in found:
            rules[key] = tuple(r for r in parse_rules(found[key], Form.DEFAULTS, problems) if isinstance(r, Rule))
        elif isinstance(node, Mapping):
            problems.error("CR304", f"a default rule set without {key}", node.span, f"{key}: [] denies all")
    return DefaultRules(name, rules.get("ingress", ()), rules.get("egress", ()))
