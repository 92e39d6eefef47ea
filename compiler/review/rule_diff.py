"""Two lists of rules in, those that are not in both out: only packets that one of them matches can change fate."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from calico_rkt.compiler.ir.model import Rule


def changed_rules(old: Sequence[Rule], new: Sequence[Rule]) -> tuple[list[Rule], list[Rule]]:
    """The rules of old and of new beside a common subsequence; a rule that moved is in both."""
    if old == new:
        return [], []
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    numbers: dict[Rule, int] = {}
    a, b = ([numbers.setdefault(r, len(numbers)) for r in rules[start : len(rules) - end]] for rules in (old, new))
    gone: list[Rule] = []
    come: list[Rule] = []
    for tag, a_lo, a_hi, b_lo, b_hi in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag != "equal":
            gone += old[start + a_lo : start + a_hi]
            come += new[start + b_lo : start + b_hi]
    return gone, come
