"""What a review says of a change in values: flows whose fate changed, and equal ones of several parties as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

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


class Pair(Protocol):
    """The parts of a flow between two parties, made when somebody asks for them: there are as many pairs as cells."""

    @property
    def source(self) -> str: ...
    @property
    def destination(self) -> str: ...
    def parts(self) -> Iterable[Part]: ...


class Parts(Sequence[Part]):
    """The parts of a flow between several pairs, pair by pair."""

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self.pairs = list(pairs)

    def between(self, source: str, destination: str) -> list[Part]:
        """Those of one pair."""
        return [p for of in self.pairs if (of.source, of.destination) == (source, destination) for p in of.parts()]

    def __iter__(self) -> Iterator[Part]:
        return (part for pair in self.pairs for part in pair.parts())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, at: Any) -> Any:  # noqa: ANN401 - a part, or some of them
        return tuple(self)[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


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
    parts: Parts = field(default_factory=Parts)


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


class Row:
    """Equal flows from several sources to one destination, with the same verdicts and lines."""

    def __init__(self, first: Change) -> None:
        self.changes, self.sources, self.pairs = [first], list(first.sources), list(first.parts.pairs)

    def again(self, source: str, pair: Pair) -> None:
        """One more source, whose flow has all its lines and causes from changes that are in the row."""
        self.sources.append(source)
        self.pairs.append(pair)

    def add(self, c: Change) -> None:
        self.changes.append(c)
        self.sources += c.sources
        self.pairs += c.parts.pairs

    def whole(self) -> Change:
        return replace(_told(self.changes), sources=tuple(self.sources), parts=Parts(self.pairs))


class Rows:
    """Changes pair by pair in, one of equal flows between several parties out."""

    def __init__(self) -> None:
        self._rows: dict[object, Row] = {}

    def add(self, c: Change) -> Row:
        """Its row."""
        key = (*_likeness(c), c.destinations)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Row(c)
        else:
            row.add(c)
        return row

    def merged(self) -> tuple[Change, ...]:
        """Widened before denied, the smallest first."""
        columns: dict[object, list[Change]] = {}
        for c in (row.whole() for row in self._rows.values()):
            columns.setdefault((*_likeness(c), c.sources), []).append(c)
        out = (
            replace(
                _told(likes),
                destinations=tuple(d for c in likes for d in c.destinations),
                parts=Parts(pair for c in likes for pair in c.parts.pairs),
            )
            for likes in columns.values()
        )
        return tuple(sorted(out, key=lambda c: (not c.widened, _weight(c), c.sources, c.destinations)))


def _likeness(c: Change) -> tuple[object, ...]:
    shared = bool(c.causes) and all(cause.rules for cause in c.causes)
    return c.before.allowed, c.after.allowed, c.flow, tuple(cause.key for cause in c.causes) if shared else c.lines


def _told(changes: Sequence[Change]) -> Change:
    """The first, with the lines and causes of all."""
    return replace(
        changes[0],
        lines=tuple(dict.fromkeys(line for c in changes for line in c.lines)),
        causes=together(cause for c in changes for cause in c.causes),
    )


def _weight(c: Change) -> tuple[int, int, int]:
    """How much a flow holds, roughly: what says less about itself holds more."""
    f = c.flow
    nets = [n for a in (f.source, f.destination) if a is not None for n in a.nets]
    width = max((n.max_prefixlen - n.prefixlen for n in nets), default=0)
    said = sum(getattr(f, name) is not None for name in f.__slots__)
    return -said, width, len(c.sources) * len(c.destinations)
