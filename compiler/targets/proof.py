"""A Network and what was read back of its text in, how the two differ in meaning out, with a packet that shows it."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from calico_rkt.compiler.ir.canonical import LINES
from calico_rkt.compiler.ir.evaluate import Packet, Verdict, evaluate
from calico_rkt.compiler.ir.model import Action, Network, Rule
from calico_rkt.compiler.ir.rule_parts import labels_of, selectors_of
from calico_rkt.compiler.packets.budget import STEPS, Budget, UndecidedError
from calico_rkt.compiler.packets.compare import decided_apart, told_apart
from calico_rkt.compiler.packets.wording import packet_words
from calico_rkt.compiler.targets.by_rule import by_label, by_member, difference, rules_differ, without_empty
from calico_rkt.compiler.targets.readback import ReadBack

Rules = tuple[Rule, ...]
_MOST = 100 * STEPS
"""What was written in another form has to be decided: whoever chose the form kept far below this."""

_THE_REST = Rule(Action.DENY)
"""What becomes of packets that no rule matches."""


def differs(network: Network, back: ReadBack, *, on_cluster: bool) -> str | None:
    """The first difference in words; None where there is none.

    Rule by rule, and over all packets: lists that say the same rule by rule allow the same, and where one of
    the two comparisons were wrong the other would still see it. What one host enforces (maps), and a profile that says
    so, may be written in another form: there the packets count, and the place of each Log.
    """
    found = difference(network, back)
    peers = by_label if on_cluster else by_member
    for name in ("ingress", "egress"):
        lists: tuple[Rules, Rules] = getattr(network, name), getattr(back, name)
        words = rules_differ(name, *lists, peers)
        if words and (not on_cluster or back.form != LINES):
            ended = name in back.ended
            words = _in_another_form(name, *lists, words, on_cluster=on_cluster, ended=ended)
        elif witness := _witness(name, *lists, on_cluster=on_cluster):
            words = f"{words or 'the rules read back alike'}; {witness}"
        found = found or words
    return found


def same_policy(one: Network, other: Network) -> bool:
    """Whether two networks are one policy, be it in two forms: all packets fare alike, whatever labels their ends have.

    Logs are the same ones at the same places. What can't be decided in bounds is not the same.
    """
    if replace(one, ingress=(), egress=(), form=LINES) != replace(other, ingress=(), egress=(), form=LINES):
        return False
    try:
        return not any(
            _another_policy(name, getattr(one, name), getattr(other, name)) for name in ("ingress", "egress")
        )
    except UndecidedError:
        return False


def _another_policy(name: str, one: Rules, other: Rules) -> str | None:
    words = rules_differ(name, one, other, by_label)
    return words and _in_another_form(name, one, other, words, on_cluster=True)


def _in_another_form(
    name: str, wanted: Rules, found: Rules, words: str, *, on_cluster: bool, ended: bool = False
) -> str | None:
    """The difference where Logs are not the same at the same places, or what is between two is decided otherwise.

    words begin what is said of it. ended: what the last of them leave may be denied by a rule. UndecidedError where
    labels can't be told apart in bounds.
    """
    peers = by_label if on_cluster else by_member
    parts = [
        [(k, tuple(run)) for k, run in groupby(without_empty(rules, peers), lambda r: r.action is Action.LOG)]
        for rules in (wanted, found)
    ]
    if [kind for kind, _ in parts[0]] != [kind for kind, _ in parts[1]]:
        return words
    for (logs, a), (_, b) in zip(*parts, strict=True):
        if logs and (differ := rules_differ(name, a, b, peers)):
            return differ
        ids = frozenset() if on_cluster else labels_of(selectors_of((*a, *b)))
        if ended and a is parts[0][-1][1]:
            a, b = (*a, _THE_REST), (*b, _THE_REST)  # noqa: PLW2901
        if not logs and (packet := decided_apart(a, b, ids, Budget(_MOST))):
            said = [_fate(evaluate(rules, packet)) for rules in (a, b)]
            return f"{words}; for example {name} {said[0]} {_words(packet)}, and the text {said[1]} it"
    return None


def _witness(name: str, wanted: Rules, found: Rules, *, on_cluster: bool) -> str | None:
    ids = frozenset() if on_cluster else labels_of(selectors_of((*wanted, *found)))
    try:
        packet = told_apart(wanted, found, ids)
    except UndecidedError:
        return None  # what is equal rule by rule needs no more, and what isn't is refused anyway
    if packet is None:
        return None
    verdicts = ["allows" if evaluate(rules, packet).allowed else "denies" for rules in (wanted, found)]
    return f"for example {name} {verdicts[0]} {_words(packet)}, and the text {verdicts[1]} it"


def _fate(verdict: Verdict) -> str:
    if verdict.rule is None:
        return "leaves to what comes next"
    return "allows" if verdict.allowed else "denies"


def _words(packet: Packet) -> str:
    ends = (("from", packet.source), ("to", packet.destination))
    labels = "".join(f" {word} an endpoint with {dict(e.labels)}" for word, e in ends if e.labels)
    return f"{packet_words(packet)}{labels}"
