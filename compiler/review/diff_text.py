"""A Diff in, text for people and plain values for programs out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calico_rkt.compiler.diagnostics import Diagnostic, Severity, error, printable, warning
from calico_rkt.compiler.packets.wording import packet_words
from calico_rkt.compiler.review.causes import Cause
from calico_rkt.compiler.review.change import Change, Diff, Part
from calico_rkt.compiler.review.each import Each
from calico_rkt.compiler.review.pair import Fate
from calico_rkt.compiler.review.wording import fate_values, fate_words, packet_values, place, verdict_words

MOST_CHANGES = 200
_MOST = 6
"""Lines, names or ways that a flow lists; JSON has them all."""


def text_of_diff(diff: Diff, *, colour: bool = False) -> str:
    """Newly allowed first, the smallest flow first; each with an example, and the lines that decide."""
    out: list[str] = []
    for widened, title, code in ((True, "newly allowed:", "1;31"), (False, "newly denied:", "1;33")):
        changes = [c for c in diff.changes if c.widened is widened]
        if changes:
            lines = [line for c in changes[:MOST_CHANGES] for line in _change(c)]
            more = len(changes) - MOST_CHANGES
            lines += [f"  {more} more flows: --format json has them all"] if more > 0 else []
            shown = printable_lines(lines)
            out.append(f"\x1b[{code}m{title}\x1b[0m\n{shown}" if colour else f"{title}\n{shown}")
    rest = remarks_of_diff(diff)
    return "\n".join([*out, printable_lines(rest)] if rest else out)


def remarks_of_diff(diff: Diff) -> list[str]:
    """What is to be said beside the flows, a line each; the verdict on the whole comes last."""
    out = [f"undecided: {words}" for words in diff.undecided]
    for what, names in (("added", diff.added), ("removed", diff.removed)):
        out += [f"networks {what}: {', '.join(names)}"] if names else []
    out += [f"addresses changed: {', '.join(diff.addresses)}"] if diff.addresses else []
    out += [f"the conf of {name} differs: {', '.join(keys)}" for name, keys in diff.confs]
    out += [f"logging differs: {words} ({', '.join(map(place, spans))})" for words, spans in diff.logging]
    if not diff.changes and not diff.undecided:
        if diff.text:
            what = ", though the rules differ"
        elif diff.files:
            what = f": nothing{' else' if diff.confs else ''} differs but the text of {listed(diff.files)}"
        elif diff.confs:
            what = ": nothing else differs"
        else:
            what = ": nothing differs"
        out.append(f"same packets allowed{what}")
    return out


def strays_text(strays: tuple[Change, ...] | None, *, undecided: bool) -> str:
    """What is outside the envelope, where that was asked for."""
    if strays is None:
        return ""
    if not strays:
        return "" if undecided else "all that is newly allowed lies within the guardrails\n"
    return printable_lines(
        ["", "newly allowed outside the guardrails:", *(line for c in strays for line in _change(c))]
    )


def problems_of_diff(diff: Diff, strays: tuple[Change, ...] | None = None) -> tuple[Diagnostic, ...]:
    """Each change as a diagnostic on the line of the new revision that it is about, for scanners and logs."""
    out = [
        warning(code, f"newly {what}: {heading(c)}", c.place, hint="; ".join(_because(c)))
        for c in diff.changes
        for code, what in ((("CR815", "allowed") if c.widened else ("CR816", "denied")),)
    ]
    for c in strays or ():
        message = f"newly allowed outside the guardrails: {heading(c)}"
        out.append(error("CR813", message, c.place, hint="; ".join(_because(c))))
    for (words, spans), at in zip(diff.logging, diff.log_places, strict=True):
        lines = listed(list(map(place, spans)))
        out.append(Diagnostic("CR831", Severity.NOTE, f"logging differs: {words}", at, f"lines: {lines}"))
    out += [error("CR814", f"the difference is not decided: {words}") for words in diff.undecided]
    return tuple(out)


def values_of_diff(diff: Diff, strays: tuple[Change, ...] | None = None) -> dict[str, object]:
    """The same for JSON."""
    return {
        "old": diff.old,
        "new": diff.new,
        "same_packets": not diff.changes and not diff.undecided,
        "changes": [_values(c) for c in diff.changes],
        "networks_added": list(diff.added),
        "networks_removed": list(diff.removed),
        "addresses_changed": list(diff.addresses),
        "confs_changed": [{"network": name, "keys": list(keys)} for name, keys in diff.confs],
        "logging": [{"where": words, "lines": [place(s) for s in spans]} for words, spans in diff.logging],
        "undecided": list(diff.undecided),
        "files_changed": list(diff.files),
        **({} if strays is None else {"outside_guardrails": [_values(c) for c in strays]}),
    }


def heading(change: Change) -> str:
    """Who to whom, and what: `outside -> web: TCP port 443`."""
    return f"{named_parties(change.sources)} -> {named_parties(change.destinations)}: {change.flow}"


def named_parties(names: Sequence[str]) -> str:
    """`a or b or 58 more`."""
    shown = [*names[:_MOST], f"{len(names) - _MOST} more"] if len(names) > _MOST + 1 else names
    return " or ".join(shown)


def printable_lines(lines: list[str]) -> str:
    """Lines as text, where no file's content can write to the terminal."""
    return "".join(printable(line).rstrip() + "\n" for line in lines)


def _change(change: Change) -> Iterator[str]:
    yield f"  {heading(change)}"
    yield f"      such as  {packet_words(change.example)}"
    for title, words in (("before", ways(change, "before")), ("now", ways(change, "after"))):
        for n, line in enumerate(words):
            yield f"      {title if n == 0 else 'or':<8} {line}"
    for n, line in enumerate(because(change)):
        yield f"      {'because' if n == 0 else 'and':<8} {line}"


def decided_by(change: Change) -> list[str]:
    """Who decides, before and now, and the lines that changed: a line each, with its title."""
    groups = (("before", ways(change, "before")), ("now", ways(change, "after")), ("because", because(change)))
    return [f"{title}: {words}" for title, found in groups for words in found]


def ways(change: Change, side: str) -> list[str]:
    """Who decides the packets of a flow, before or after: each way once, at the first of its pairs of parties.

    How many pairs there are beside is said of what decides now.
    """
    parts = change.parts.between(change.sources[0], change.destinations[0])
    fates: list[Fate] = [getattr(p, side) for p in parts]
    found = _some(list(dict.fromkeys(f"{verdict_words(f)}: {fate_words(f)}" for f in fates)), "ways")
    others = len(change.sources) * len(change.destinations) - 1
    if others and side == "after":
        found[-1] += f" (and likewise for {others} more pair{'s' * (others > 1)})"
    return found


def because(change: Change) -> list[str]:
    """The lines that changed, each with the rules that use it."""
    return _some([cause_words(c) for c in change.causes], "lines")


def cause_words(cause: Cause) -> str:
    """`profiles/common.yaml:3 the definition office, used by profiles/web.yaml:7 and 59 more`."""
    where = f"{place(cause.span)} " if cause.span else ""
    used = listed([place(s) for s in cause.rules])
    return f"{where}{cause.what} {'went' if cause.gone else 'changed'}" + (f", used by {used}" if used else "")


def listed(words: Sequence[str]) -> str:
    """`a, b and 3 more`; how many are left out is said."""
    if len(words) > _MOST + 1:
        return f"{', '.join(words[:_MOST])} and {len(words) - _MOST} more"
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def _some(found: list[str], what: str) -> list[str]:
    return [*found[:_MOST], f"{len(found) - _MOST} more {what}"] if len(found) > _MOST + 1 else found


def _because(change: Change) -> list[str]:
    return [f"such as {packet_words(change.example)}", f"now {ways(change, 'after')[0]}", *because(change)]


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
        "place": place(change.place) or None,
        "causes": [
            {
                "what": c.what,
                "line": place(c.span) or None,
                "gone": c.gone,
                "rules": [place(s) for s in c.rules],
            }
            for c in change.causes
        ],
        "parts": Each(change.parts, _part_values),
    }


def _part_values(part: Part) -> dict[str, object]:
    return {
        "from": part.source,
        "to": part.destination,
        "example": packet_values(part.example),
        "before": fate_values(part.before),
        "after": fate_values(part.after),
    }
