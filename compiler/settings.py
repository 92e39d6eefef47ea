"""The YAML of `settings:` in, the default rule set that a workspace chose out."""

from __future__ import annotations

from dataclasses import dataclass, field

from calico_rkt.compiler.defaults import BUILT_IN, DefaultRules, parse_default_rules
from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.fields import Field, Problems, did_you_mean, fields_of, text_of
from calico_rkt.compiler.source import Mapping


@dataclass(frozen=True, slots=True)
class Settings:
    """What `settings:` says: the name of a built-in default rule set, or rules of its own."""

    span: Span = field(compare=False)
    built_in: str | None = None
    rules: DefaultRules | None = None


def parse_settings(section: Field, problems: Problems) -> Settings:
    """`{default: NAME}`, a built-in set, or `{default: {ingress: [...], egress: [...]}}`."""
    default = fields_of(section.value, ("default",), "settings", problems).get("default")
    if default is None:
        return Settings(section.key.span)
    if isinstance(default.value, Mapping):
        return Settings(default.key.span, rules=parse_default_rules(default.value, default.key.span.path, problems))
    text = text_of(default.value, "default", problems)
    if text and text.text not in BUILT_IN:
        hint = (
            f"{did_you_mean(text.text, BUILT_IN)} Or write the rules here: default: {{ingress: [...], egress: [...]}}"
        )
        problems.error("CR337", f"there is no default rule set {text.text!r}", text.span, hint)
    return Settings(default.key.span, built_in=text.text if text and text.text in BUILT_IN else None)
