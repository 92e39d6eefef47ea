"""A Diff in, text for people and plain values for programs out."""

from __future__ import annotations

from collections.abc import Iterator

from calico_rkt.compiler.diagnostics import printable
from calico_rkt.compiler.review.diff import Change, Diff
from calico_rkt.compiler.review.scene import HOST_DECIDES, Fate
from calico_rkt.compiler.review.words import packet_values, packet_words, place, rule_words

_MOST_LINES = 6


def text(diff: Diff) -> str:
    """Newly allowed first, the smallest flow first; each with an example, and the lines that decide."""
    out: list[str] = []
    for widened, heading in ((True, "newly allowed"), (False, "newly denied")):
        changes = [c for c in diff.changes if c.widened is widened]
        if changes:
            out += [f"{heading}:", *(line for c in changes for line in _change(c)), ""]
    out += remarks(diff)
    return printable_lines(out)


def remarks(diff: Diff) -> list[str]:
    """What is to be said beside the flows, a line each; the verdict on the whole comes last."""
    out = [f"undecided: {words}" for words in diff.undecided]
    for what, names in (("added", diff.added), ("removed", diff.removed)):
        out += [f"networks {what}: {', '.join(names)}"] if names else []
    out += [f"addresses changed: {', '.join(diff.addresses)}"] if diff.addresses else []
    out += [f"logging differs: {words} ({', '.join(map(place, spans))})" for words, spans in diff.logging]
    if not diff.changes and not diff.undecided:
        out.append("same packets allowed" + (", though the rules differ" if diff.text else ": nothing differs"))
    return out


def values(diff: Diff) -> dict[str, object]:
    """The same for JSON."""
    return {
        "old": diff.old,
        "new": diff.new,
        "same_packets": not diff.changes and not diff.undecided,
        "changes": [_values(c) for c in diff.changes],
        "networks_added": list(diff.added),
        "networks_removed": list(diff.removed),
        "addresses_changed": list(diff.addresses),
        "logging": [{"where": words, "lines": [place(s) for s in spans]} for words, spans in diff.logging],
        "undecided": list(diff.undecided),
    }


def heading(change: Change) -> str:
    """Who to whom, and what: `outside -> web: TCP port 443`."""
    return f"{' or '.join(change.sources)} -> {' or '.join(change.destinations)}: {change.flow}"


def fate_words(fate: Fate) -> str:
    """What decides a packet, in order: `egress of a: x.yaml:3 Allow everything; ingress of b: no rule allows it`."""
    if not fate.rules:
        return "the host reaches its own containers always" if fate.allowed else "no such flow"
    return "; ".join(
        f"{stage.words}: {'left to the host' if rule is HOST_DECIDES else rule_words(rule)}"
        for stage, rule in fate.rules
    )


def printable_lines(lines: list[str]) -> str:
    """Lines as text, where no file's content can write to the terminal."""
    return "".join(printable(line).rstrip() + "\n" for line in lines)


def _change(change: Change) -> Iterator[str]:
    yield f"  {heading(change)}"
    yield f"      such as  {packet_words(change.example)}"
    yield f"      before   {_verdict(change.before)}: {fate_words(change.before)}"
    yield f"      now      {_verdict(change.after)}: {fate_words(change.after)}"
    if len(change.lines) > 1:
        shown = [place(s) for s in change.lines[:_MOST_LINES]]
        more = f" and {len(change.lines) - _MOST_LINES} more" if len(change.lines) > _MOST_LINES else ""
        yield f"      lines    {', '.join(shown)}{more}"


def _verdict(fate: Fate) -> str:
    return {True: "allowed", False: "denied", None: "left to the host"}[fate.allowed]


def _values(change: Change) -> dict[str, object]:
    return {
        "change": "allowed" if change.widened else "denied",
        "from": list(change.sources),
        "to": list(change.destinations),
        "flow": change.flow.values(),
        "words": heading(change),
        "example": packet_values(change.example),
        "before": fate_values(change.before),
        "after": fate_values(change.after),
        "lines": [place(s) for s in change.lines],
    }


def fate_values(fate: Fate) -> dict[str, object]:
    """A fate for JSON; a stage that no rule decides has rule null."""
    return {
        "verdict": {True: "Allow", False: "Deny", None: "host"}[fate.allowed],
        "stages": [
            {
                "stage": stage.words,
                "rule": None if rule is None else rule_words(rule),
                "line": place(rule.span) if rule is not None and rule.span else None,
            }
            for stage, rule in fate.rules
        ],
    }
