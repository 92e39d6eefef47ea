"""What a review says of a change in values: flows whose fate changed, and equal ones of several parties as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.evaluate import Packet
from calico_rkt.compiler.review.causes import Cause, together
from calico_rkt.compiler.review.flows import Flow
from calico_rkt.compiler.review.pair import Fate


@dataclass(frozen=True, slots=True)
class Part:
    """Packets of a flow, from one party to one other, that the same rules decide before and the same rules after."""

    source: str
    destination: str
    example: Packet
    before: Fate
    after: Fate


@dataclass(frozen=True, slots=True)
class Change:
    """One readable flow whose fate changed, the same between each source and each destination named.

    before and after are the fates of the example, a packet from the first source to the first destination; the
    verdicts are those of every packet of the flow. lines are those of all changed rules that take part in it, causes
    the lines that changed; place is the line of the new revision to look at, of a cause or of who decides now.
    parts are all ways in which its packets are decided, each with an example.
    """

    widened: bool
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    flow: Flow
    example: Packet
    before: Fate
    after: Fate
    lines: tuple[Span, ...]
    causes: tuple[Cause, ...] = ()
    place: Span | None = None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed between two worlds. text: whether any rule, address or network differs at all.

    files: those whose text differs. confs: networks whose confs differ, each with the keys. logging: the stages whose
    Log rules differ, with the lines; log_places: where each is to be looked at in the new revision. undecided: pairs
    that were given up, each with why.
    """

    old: str
    new: str
    changes: tuple[Change, ...] = ()
    addresses: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    logging: tuple[tuple[str, tuple[Span, ...]], ...] = ()
    undecided: tuple[str, ...] = ()
    text: bool = False
    files: tuple[str, ...] = ()
    log_places: tuple[Span | None, ...] = ()
    confs: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def widened(self) -> bool:
        return any(c.widened for c in self.changes)


def merged(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Equal flows with the same verdicts and lines between several parties become one.

    Widened before denied, the smallest first.
    """
    rows: dict[object, Change] = {}
    for c in changes:
        key = (*_likeness(c), c.destinations)
        first = rows.get(key)
        rows[key] = c if first is None else _joined(first, c, sources=(*first.sources, *c.sources))
    columns: dict[object, Change] = {}
    for c in rows.values():
        key = (*_likeness(c), c.sources)
        first = columns.get(key)
        both = () if first is None else (*first.destinations, *c.destinations)
        columns[key] = c if first is None else _joined(first, c, destinations=both)
    return tuple(sorted(columns.values(), key=lambda c: (not c.widened, _weight(c), c.sources, c.destinations)))


def _likeness(c: Change) -> tuple[object, ...]:
    shared = bool(c.causes) and all(cause.rules for cause in c.causes)
    return c.before.allowed, c.after.allowed, c.flow, tuple(cause.key for cause in c.causes) if shared else c.lines


def _joined(first: Change, other: Change, **ends: tuple[str, ...]) -> Change:
    return replace(
        first,
        **ends,  # type: ignore[arg-type]
        lines=tuple(dict.fromkeys((*first.lines, *other.lines))),
        causes=together((*first.causes, *other.causes)),
        parts=(*first.parts, *other.parts),
    )


def _weight(c: Change) -> tuple[int, int, int]:
    """How much a flow holds, roughly: what says less about itself holds more."""
    f = c.flow
    nets = [n for a in (f.source, f.destination) if a is not None for n in a.nets]
    width = max((n.max_prefixlen - n.prefixlen for n in nets), default=0)
    said = sum(getattr(f, name) is not None for name in f.__slots__)
    return -said, width, len(c.sources) * len(c.destinations)
