"""The YAML of `settings:` in, what a workspace chose for all of its networks out."""

from __future__ import annotations

from dataclasses import dataclass, field

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.grammar.defaults import BUILT_IN, DefaultRules, parse_default_rules
from calico_rkt.compiler.ir.model import FELIX_MODES, MOST_LOG_LINES, LogLimit
from calico_rkt.compiler.text.fields import Field, Problems, did_you_mean, fields_of, items_of, text_of
from calico_rkt.compiler.text.nodes import Mapping, Scalar, Sequence
from calico_rkt.compiler.text.values import BadValueError, parse_number

SETTINGS_KEYS = ("default", "felix", "log_limit", "profiles_dirs")


@dataclass(frozen=True, slots=True)
class Settings:
    """What `settings:` says: the name of a built-in default rule set, or rules of its own, and Felix's modes.

    felix is None where nothing is said of how Felix enforces on the cluster's nodes; log_limit where nothing is said.
    profiles_dirs: for a profiles_dir that confs name, the folder of the workspace that stands for it in reviews.
    """

    span: Span = field(compare=False)
    built_in: str | None = None
    rules: DefaultRules | None = None
    felix: frozenset[str] | None = None
    profiles_dirs: tuple[tuple[str, Scalar], ...] = ()
    log_limit: LogLimit | None = None


def parse_settings(section: Field, problems: Problems) -> Settings:
    """`{default: NAME}`, a built-in set, or `{default: {ingress: [...], egress: [...]}}`; `{felix: [MODE, ...]}`."""
    found = fields_of(section.value, SETTINGS_KEYS, "settings", problems)
    felix = _felix(found["felix"], problems) if "felix" in found else None
    dirs = _profiles_dirs(found["profiles_dirs"], problems) if "profiles_dirs" in found else ()
    limit = _log_limit(found["log_limit"], problems) if "log_limit" in found else None
    default = found.get("default")
    if default is None:
        return Settings(section.key.span, felix=felix, profiles_dirs=dirs, log_limit=limit)
    if isinstance(default.value, Mapping):
        rules = parse_default_rules(default.value, default.key.span.path, problems)
        return Settings(default.key.span, rules=rules, felix=felix, profiles_dirs=dirs, log_limit=limit)
    text = text_of(default.value, "default", problems)
    if text and text.text not in BUILT_IN:
        hint = (
            f"{did_you_mean(text.text, BUILT_IN)} Or write the rules here: default: {{ingress: [...], egress: [...]}}"
        )
        problems.error("CR337", f"there is no default rule set {text.text!r}", text.span, hint)
    built_in = text.text if text and text.text in BUILT_IN else None
    return Settings(default.key.span, built_in=built_in, felix=felix, profiles_dirs=dirs, log_limit=limit)


def _log_limit(section: Field, problems: Problems) -> LogLimit:
    """`{rate: 10, burst: 50}`: lines a second that each Log rule writes, and how many at once."""
    found = fields_of(section.value, ("rate", "burst"), "log_limit", problems)
    numbers: dict[str, int] = {}
    for key, given in found.items():
        text = given.value.text if isinstance(given.value, Scalar) else ""
        try:
            numbers[key] = parse_number(text, key, 1, MOST_LOG_LINES, "CR225")
        except BadValueError as e:
            problems.error(e.code, f"log_limit's {key} is no number from 1 to {MOST_LOG_LINES}", given.key.span)
    usual = LogLimit()
    return LogLimit(numbers.get("rate", usual.rate), numbers.get("burst", usual.burst))


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


def _profiles_dirs(section: Field, problems: Problems) -> tuple[tuple[str, Scalar], ...]:
    """`{/srv/profiles: FOLDER}`; FOLDER is a path from the confs' folder, such as profiles or ../policies."""
    if not isinstance(section.value, Mapping):
        problems.error("CR722", "profiles_dirs has to be a mapping", section.key.span, "{/srv/profiles: profiles}")
        return ()
    out = []
    for key, value in section.value.entries:
        folder = text_of(value, "profiles_dirs", problems)
        if not key.text.startswith("/"):
            problems.error("CR722", f"{key.text!r} is no profiles_dir of a conf: no absolute path", key.span)
        elif folder is not None and (not folder.text or folder.text.startswith("/")):
            problems.error(
                "CR722", f"{folder.text!r} is no path from the confs' folder", folder.span, "such as profiles"
            )
        elif folder is not None:
            out.append((key.text, folder))
    return tuple(out)
