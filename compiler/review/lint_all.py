"""All networks in, findings about their rules out: a line that several networks use is judged over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from calico_rkt.compiler.diagnostics import Diagnostic, Span, warning
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.review.lint import Direction, Said, directions

_MOST = 5
"""Networks that a message names."""
_Use = tuple[Direction, int]
"""A list and the number of a statement in it."""


def lint_all(networks: Iterable[tuple[Network, frozenset[str]]], files: frozenset[str]) -> Iterator[Diagnostic]:
    """As lint of each network, with the ids known to it. A rule in several lists is taken out of all, or of none.

    Its finding names the networks. What only one of them could do without is no finding: the others need it.
    """
    given = tuple(networks)
    shared = _shared((network for network, _ in given), files)
    waiting: list[Direction] = []
    for network, ids in given:
        for one in directions(network, ids):
            if isinstance(one, Diagnostic):
                yield one
            elif any(s[0].span in shared for s in one.statements):
                waiting.append(one)
            else:
                yield from one.findings(files)
                yield from one.unfinished()
    uses = _uses(waiting, shared)
    dead: set[Span] = set()
    for span, users in uses.items():
        told = [d.dead(n) for d, n in users]
        if found := _in_all(users, told):
            dead.add(span)
            yield _merged(span, users, found)
        elif some := _undecided(users, told):
            dead.add(span)
            yield _in_some(span, some)
    for one in waiting:
        yield from one.findings(files, shared)
    for span, users in uses.items():
        if span not in dead:
            yield from _idle(span, users)
    for one in waiting:
        yield from one.unfinished()


def _shared(networks: Iterable[Network], files: frozenset[str]) -> frozenset[Span]:
    counts: Counter[Span] = Counter()
    for network in networks:
        spans = {r.span for r in (*network.ingress, *network.egress)}
        counts.update(s for s in spans if s is not None and s.path in files)
    return frozenset(span for span, count in counts.items() if count > 1)


def _uses(waiting: Iterable[Direction], shared: frozenset[Span]) -> dict[Span, list[_Use]]:
    out: dict[Span, list[_Use]] = {}
    for direction in waiting:
        for n in range(len(direction.statements)):
            span = direction.span(n)
            if span is not None and span in shared:
                out.setdefault(span, []).append((direction, n))
    return out


def _in_all(users: Sequence[_Use], told: Sequence[Said | None]) -> list[Said]:
    """What is found, where the same is found in every list, which is then without the rule; else nothing."""
    found = [t for t in told if t is not None]
    if len(found) < len(users) or len({t.code for t in found}) > 1:
        return []
    for (direction, n), one in zip(users, found, strict=True):
        direction.take_out(n, one)
    return found


def _idle(span: Span, users: Sequence[_Use]) -> Iterator[Diagnostic]:
    told = [d.idle(n) for d, n in users]
    if everywhere := _in_all(users, told):
        yield _merged(span, users, everywhere)
        return
    # Too much is too much in one network already.
    much = [(use, t) for use, t in zip(users, told, strict=True) if t is not None and t.code == "CR804"]
    if some := much or _undecided(users, told):
        yield _in_some(span, some)


def _undecided(users: Sequence[_Use], told: Sequence[Said | None]) -> list[tuple[_Use, Said]]:
    """The lists of which nobody knows whether they need the line; none where one of them surely does."""
    found = [(use, t) for use, t in zip(users, told, strict=True) if t is not None]
    return [(use, t) for use, t in found if t.code == "CR805"] if len(found) == len(users) else []


def _in_some(span: Span, found: Sequence[tuple[_Use, Said]]) -> Diagnostic:
    """One finding for some of the networks that use the line."""
    return _merged(span, [use for use, _ in found], [t for _, t in found], "in")


def _merged(
    span: Span, users: Sequence[_Use], found: Sequence[Said], where: str = "in all networks that use it:"
) -> Diagnostic:
    """One finding for all networks that use the line, each with its own lines where they differ."""
    first = found[0]
    names = list(dict.fromkeys(d.network for d, _ in users))
    if len({t.lines for t in found}) > 1:
        lines = [f"in {d.network!r} {t.lines}" for (d, _), t in zip(users, found, strict=True)]
        message = first.message + cut_short(lines)
    else:
        message = f"{first.message}{first.lines}; {where} {cut_short(map(repr, names))}"
    return warning(first.code, message, span, hint=first.hint)


def cut_short(words: Iterable[str]) -> str:
    """A list for a message, cut short."""
    found = list(words)
    if len(found) > _MOST:
        found = [*found[:_MOST], f"{len(found) - _MOST} more"]
    return ", ".join(found[:-1]) + " and " + found[-1] if len(found) > 1 else found[0]
