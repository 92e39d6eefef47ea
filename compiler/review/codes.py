"""The codes that are findings: what can be known of them without looking at the place where they are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from calico_rkt.compiler.diagnostics import Diagnostic, Severity

FINDINGS: Mapping[str, str] = MappingProxyType(
    {
        "CR122": "a comma too many in a conf",
        "CR123": "a comment in a conf",
        "CR205": "a key that nobody reads",
        "CR216": "a key without effect",
        "CR219": "a list of plugins in a file for one",
        "CR220": "one plugin in a file for a list",
        "CR221": "type and plugins in one conf",
        "CR222": "a cluster without an address",
        "CR223": "a conf that rkt does not read",
        "CR224": "a cniVersion that runtimes refuse",
        "CR227": "plugins beside a list that are not read",
        "CR404": "notNets of one family",
        "CR703": "an override in a file of another name",
        "CR705": "a network that nobody knows",
        "CR706": "an override without a network",
        "CR707": "a file that is not read",
        "CR710": "two confs of one network that differ",
        "CR712": "subnets that overlap",
        "CR720": "a profiles_dir that is not looked at",
        "CR721": "a folder that stands for none",
        "CR724": "a network that no runtime has a conf of",
        "CR801": "a rule that decides nothing",
        "CR802": "a rule that changes nothing",
        "CR803": "a rule that no packet matches",
        "CR804": "a rule that lets in everything",
        "CR805": "an analysis that was given up",
        "CR807": "a rule about packets that open no flow",
        "CR810": "a test that fails",
        "CR811": "a guardrail that is broken",
        "CR812": "a test or guardrail that decides nothing, or not all that it says",
        "CR843": "a net that is every address",
        "CR844": "a rule that lets in everybody else",
        "CR845": "a rule about nobody",
        "CR846": "a rule about a family that the network does not have",
        "CR847": "a definition that nobody uses",
        "CR820": "a silence that silences nothing",
        "CR821": "a silence that can't be read",
        "CR822": "an entry of the baseline that is not needed",
    }
)
"""What a finding is, in a few words, by its code. Everything else stops a compile."""

DIFFERENCES: Mapping[str, str] = MappingProxyType(
    {
        "CR813": "newly allowed outside the envelope",
        "CR814": "a difference that is not decided",
        "CR815": "newly allowed",
        "CR816": "newly denied",
        "CR831": "logging differs",
    }
)
"""The same for what `diff` says."""

_BROKEN = ("CR810", "CR811", *DIFFERENCES)
"""Codes of errors that are findings: promises that don't hold. Another code can be a warning here, an error there."""

_GIVEN_UP = ("CR805", "CR814")
"""Findings that say that there is no answer; CR830, of a promise, is none: nobody can accept it."""

SILENCEABLE = frozenset(
    c for c in FINDINGS if c.startswith(("CR4", "CR7")) or c in ("CR801", "CR802", "CR803", "CR804")
)
SILENCEABLE |= {"CR805", "CR807", "CR812", "CR843", "CR844", "CR845", "CR846", "CR847"}
"""What a comment or the baseline may take away: not promises that fail, not what is wrong with a silence."""


def is_finding(d: Diagnostic) -> bool:
    """Whether the input could be read and compiled, and this is said about it: promises that fail are findings."""
    return d.severity is not Severity.ERROR or d.code in _BROKEN


def status(diagnostics: Iterable[Diagnostic]) -> int:
    """The exit status: 0 nothing to say, 1 findings, 2 where something could not be read, compiled or decided."""
    found = tuple(diagnostics)
    if not found:
        return 0
    return 1 if all(is_finding(d) and d.code not in _GIVEN_UP for d in found) else 2
