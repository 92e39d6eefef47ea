"""The YAML of `settings:` in, what a workspace chose for all of its networks out."""

from __future__ import annotations

from dataclasses import dataclass, field

from calico_rkt.compiler.defaults import BUILT_IN, DefaultRules, parse_default_rules
from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.fields import Field, Problems, did_you_mean, fields_of, items_of, text_of
from calico_rkt.compiler.ir import FELIX_MODES
from calico_rkt.compiler.source import Mapping, Sequence

SETTINGS_KEYS = ("default", "felix")


@dataclass(frozen=True, slots=True)
class Settings:
    """What `settings:` says: the name of a built-in default rule set, or rules of its own, and Felix's modes.

    felix is None where nothing is said of how Felix enforces on the cluster's nodes.
    """

    span: Span = field(compare=False)
    built_in: str | None = None
    rules: DefaultRules | None = None
    felix: frozenset[str] | None = None


def parse_settings(section: Field, problems: Problems) -> Settings:
    """`{default: NAME}`, a built-in set, or `{default: {ingress: [...], egress: [...]}}`; `{felix: [MODE, ...]}`."""
    found = fields_of(section.value, SETTINGS_KEYS, "settings", problems)
    felix = _felix(found["felix"], problems) if "felix" in found else None
    default = found.get("default")
    if default is None:
        return Settings(section.key.span, felix=felix)
    if isinstance(default.value, Mapping):
        rules = parse_default_rules(default.value, default.key.span.path, problems)
        return Settings(default.key.span, rules=rules, felix=felix)
    text = text_of(default.value, "default", problems)
    if text and text.text not in BUILT_IN:
        hint = (
            f"{did_you_mean(text.text, BUILT_IN)} Or write the rules here: default: {{ingress: [...], egress: [...]}}"
        )
        problems.error("CR337", f"there is no default rule set {text.text!r}", text.span, hint)
    return Settings(default.key.span, built_in=text.text if text and text.text in BUILT_IN else None, felix=felix)


def _felix(field_: Field, problems: Problems) -> frozenset[str]:
    """The modes of Felix that any node runs; what is wrong counts as any mode."""
    modes: set[str] = set()
    for item in items_of(field_.value, "felix", problems):
        text = text_of(item, "an item of felix", problems)
        if text and text.text not in FELIX_MODES:
            hint = did_you_mean(text.text, FELIX_MODES)
            problems.error("CR339", f"Felix has no mode {text.text!r}", text.span, hint)
        elif text:
            modes.add(text.text)
    if isinstance(field_.value, Sequence) and not field_.value.items:
        hint = "the modes that the cluster's nodes run, such as [iptables, ebpf]"
        problems.error("CR340", "an empty felix says that no node enforces anything", field_.key.span, hint)
    return frozenset(modes or FELIX_MODES)
