"""A Diff in, text for people and plain values for programs out."""

from __future__ import annotations

from collections.abc import Iterator

from calico_rkt.compiler.diagnostics import Diagnostic, Span, error, printable, warning
from calico_rkt.compiler.packets.words import packet_words
from calico_rkt.compiler.review.diff import Change, Diff
from calico_rkt.compiler.review.words import fate_values, fate_words, packet_values, place, verdict_words

_MOST_LINES = 6


def text(diff: Diff, *, colour: bool = False) -> str:
    """Newly allowed first, the smallest flow first; each with an example, and the lines that decide."""
    out: list[str] = []
    for widened, title, code in ((True, "newly allowed:", "1;31"), (False, "newly denied:", "1;33")):
        changes = [c for c in diff.changes if c.widened is widened]
        if changes:
            shown = printable_lines([line for c in changes for line in _change(c)])
            out.append(f"\x1b[{code}m{title}\x1b[0m\n{shown}" if colour else f"{title}\n{shown}")
    rest = remarks(diff)
    return "\n".join([*out, printable_lines(rest)] if rest else out)


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


def strays_text(strays: tuple[Change, ...] | None) -> str:
    """What is outside the envelope, where that was asked for."""
    if strays is None:
        return ""
    if not strays:
        return "all that is newly allowed lies within the guardrails\n"
    return printable_lines(
        ["", "newly allowed outside the guardrails:", *(line for c in strays for line in _change(c))]
    )


def problems(diff: Diff, strays: tuple[Change, ...] | None = None) -> tuple[Diagnostic, ...]:
    """Each change as a diagnostic on the first of its lines, for scanners and logs."""
    out = [
        warning(code, f"newly {what}: {heading(c)}", _line(diff, c), hint=f"such as {packet_words(c.example)}")
        for c in diff.changes
        for code, what in ((("CR815", "allowed") if c.widened else ("CR816", "denied")),)
    ]
    for c in strays or ():
        message = f"newly allowed outside the guardrails: {heading(c)}"
        out.append(error("CR813", message, _line(diff, c), hint=f"such as {packet_words(c.example)}"))
    out += [error("CR814", f"the difference is not decided: {words}") for words in diff.undecided]
    return tuple(out)


def _line(diff: Diff, change: Change) -> Span | None:
    """The first line that is in the new revision's files: a scanner or a log can show no other."""
    revision, colon, _ = diff.old.partition(":")
    return next((s for s in change.lines if not (colon and s.path.startswith(f"{revision}:"))), None)


def values(diff: Diff, strays: tuple[Change, ...] | None = None) -> dict[str, object]:
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
        **({} if strays is None else {"outside_guardrails": [_values(c) for c in strays]}),
    }


def heading(change: Change) -> str:
    """Who to whom, and what: `outside -> web: TCP port 443`."""
    return f"{' or '.join(change.sources)} -> {' or '.join(change.destinations)}: {change.flow}"


def printable_lines(lines: list[str]) -> str:
    """Lines as text, where no file's content can write to the terminal."""
    return "".join(printable(line).rstrip() + "\n" for line in lines)


def _change(change: Change) -> Iterator[str]:
    yield f"  {heading(change)}"
    yield f"      such as  {packet_words(change.example)}"
    yield f"      before   {verdict_words(change.before)}: {fate_words(change.before)}"
    yield f"      now      {verdict_words(change.after)}: {fate_words(change.after)}"
    if len(change.lines) > 1:
        shown = [place(s) for s in change.lines[:_MOST_LINES]]
        more = f" and {len(change.lines) - _MOST_LINES} more" if len(change.lines) > _MOST_LINES else ""
        yield f"      lines    {', '.join(shown)}{more}"


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
