"""The pairs of a diff in, their changes out: those that no rule tells apart are looked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from calico_rkt.compiler.packets.budget import UndecidedError
from calico_rkt.compiler.review.alike import Likeness, Lists
from calico_rkt.compiler.review.carry import speaks_of_ends
from calico_rkt.compiler.review.causes import Cause
from calico_rkt.compiler.review.change import Change, Part, Row, Rows
from calico_rkt.compiler.review.expect import matches_of, means
from calico_rkt.compiler.review.pair import View, closed
from calico_rkt.compiler.review.pair_diff import Ends, Found, PairDiff
from calico_rkt.compiler.review.parties import Kind, Party
from calico_rkt.compiler.review.progress import Progress

EndsOf = Callable[[Party, Party], Ends | None]


class _Answer:
    """What was found of one pair, or why it is undecided."""

    def __init__(self, ends: Ends, found: list[Found], undecided: str = "") -> None:
        self.found, self.undecided = found, undecided
        self.is_its_own = any(speaks_of_ends([f.flow], v) for f in found for v in ends.views)
        self.sides: dict[tuple[int, tuple[Kind, str]], int] = {}
        self.rows: dict[tuple[int, tuple[Kind, str], int], Row] = {}


class _Like:
    """The parts of a flow between two parties, as they were found between others."""

    __slots__ = ("_ends_of", "_found", "_parties")

    def __init__(self, found: Found, parties: tuple[Party, Party], ends_of: EndsOf) -> None:
        self._found, self._parties, self._ends_of = found, parties, ends_of

    @property
    def source(self) -> str:
        return self._parties[0].name

    @property
    def destination(self) -> str:
        return self._parties[1].name

    def parts(self) -> Iterable[Part]:
        ends = self._ends_of(*self._parties)
        return self._found.there(ends).parts() if ends is not None else ()


class LikePairs:
    """Asks each pair of parties what changed; those of one kind, and those that are alike, are asked once.

    ends_of gives two parties as they were and are, or None where nothing can have changed between them.
    """

    def __init__(self, pairs: PairDiff, ends_of: EndsOf) -> None:
        self.pairs, self._ends_of = pairs, ends_of
        self._parties = list({p.key: p for w in pairs.worlds for p in w.parties}.values())
        self._many = sum(p.kind is Kind.NETWORK for p in self._parties) > 1  # else nobody is like another
        self._likeness = Likeness(pairs.own)
        self._asked = self._likeness.asked(m for e in pairs.excused for m in (*matches_of(e), *e.exceptions))
        self._meant = {p.key: self._means(p) for p in self._parties}
        self._answers: dict[object, _Answer] = {}
        self._by_kinds: dict[tuple[int, int], _Answer | None] = {}
        self._said: dict[object, int] = {}
        self._rows = Rows()

    def ask(self, progress: Progress | None) -> Iterator[str]:
        """Looks at all pairs, row by row; those that are not decided, and why."""
        kinds = self._kinds() if self._many else list(range(len(self._parties)))
        of_kind: dict[int, list[int]] = {}
        for n, kind in enumerate(kinds):
            of_kind.setdefault(kind, []).append(n)
        for n, source in enumerate(self._parties):
            if progress is not None:
                progress(n, len(self._parties), f"{source.name} -> all")
            told = [n]  # with itself, which is no pair of two
            for kind, numbers in of_kind.items():
                others = [m for m in numbers if m != n]
                if others and self._of_kinds(kinds[n], kind, source, self._parties[others[0]]) is not _NOTHING:
                    told += others
            for m in sorted(told):
                destination = self._parties[m]
                answer = self._of_kinds(kinds[n], kinds[m], source, destination) if m != n else None
                if answer is None:
                    answer = self._asked_alone(source, destination)
                for number, found in enumerate(answer.found):
                    self._tell(answer, number, found, source, destination)
                if answer.undecided:
                    yield f"{source.name} -> {destination.name}: {answer.undecided}"

    def changes(self) -> tuple[Change, ...]:
        """All that changed between the pairs, those of equal flows as one."""
        return self._rows.merged()

    def _of_kinds(self, one: int, other: int, source: Party, destination: Party) -> _Answer | None:
        """What was found between two parties of these kinds; None where each pair of them has an answer of its own."""
        if (one, other) not in self._by_kinds:
            answer = self._asked_alone(source, destination)
            self._by_kinds[one, other] = None if answer.is_its_own else answer
        return self._by_kinds[one, other]

    def _asked_alone(self, source: Party, destination: Party) -> _Answer:
        ends = self._ends_of(source, destination)
        answer = self._answer(ends) if ends is not None else _NOTHING
        return answer if answer.found or answer.undecided else _NOTHING

    def _kinds(self) -> list[int]:
        """A number for each party: equal ones are alike to everybody, in both worlds and in what was agreed on."""
        # What networks beside others say to the outside is not asked here, but tells them apart.
        worlds = [replace(w, beside={}) if w.beside else w for w in self.pairs.worlds]
        around = [[p for kind in (Kind.OUTSIDE, Kind.HOST) if (p := w.party(kind)) is not None] for w in worlds]
        views: list[list[View]] = []
        for p in self._parties:
            found: list[View] = []
            for w, others in zip(worlds, around, strict=True):
                mine = w.party(*p.key) if p.kind is Kind.NETWORK else None
                ends = [] if mine is None else [*((mine, o) for o in others), *((o, mine) for o in others)]
                found += (v for a, b in ends if (v := w.view(a, b)) is not None)
            views.append(found)
        among = self._likeness.all_between([v for found in views for v in found], self._asked)
        numbers: dict[object, int] = {}
        return [
            numbers.setdefault(self._kind(p, found, among) or p.key, len(numbers))
            for p, found in zip(self._parties, views, strict=True)
        ]

    def _kind(self, party: Party, views: Sequence[View], among: Lists) -> object | None:
        kind = self._likeness.kind(party, views, among)
        if kind is None or len({end for v in views for p in (v.source, v.destination) if (end := _place(p))}) > 1:
            return None  # it has other addresses in the other world
        there = [
            (w.networks[party.name].endpoint_to_host, w.confs[party.name].datastore_type, w.beside.get(party.name))
            if party.name in w.networks
            else None
            for w in self.pairs.worlds
        ]
        return kind, tuple(there), self._meant[party.key]

    def _means(self, party: Party) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
        """What is agreed on beforehand of a party that sends, and of one that is reached."""
        excused = self.pairs.excused
        return tuple(means(e.source, party) for e in excused), tuple(means(e.destination, party) for e in excused)

    def _answer(self, ends: Ends) -> _Answer:
        views = ends.views
        key = self._likeness.of_both(views, self._asked) if self._many else None
        if key is None:
            return self._looked_at(ends)
        beside = (
            ends.before is None,
            ends.after is None,
            self._meant[views[-1].source.key][0],
            self._meant[views[-1].destination.key][1],
        )
        answer = self._answers.get((key.alike, beside))
        if answer is None or answer.is_its_own:
            first, answer = answer, self._answers.get((key.equal, beside))
            if answer is None:
                answer = self._answers[key.equal, beside] = self._looked_at(ends)
            if first is None:
                self._answers[key.alike, beside] = answer
        return answer

    def _looked_at(self, ends: Ends) -> _Answer:
        if all(closed(v, self.pairs.own) for v in ends.views if v.stages):
            return _Answer(ends, [])  # nothing opened it or opens it
        try:
            return _Answer(ends, self.pairs.found(ends))
        except UndecidedError as e:
            return _Answer(ends, [], str(e))

    def _tell(self, answer: _Answer, number: int, found: Found, source: Party, destination: Party) -> None:
        """One more pair of a flow: where its row has all that its rules say, it is another source there."""
        row_key: tuple[int, tuple[Kind, str], int] | None = None
        if destination.kind is not Kind.HOST and source.key != destination.key:
            side = answer.sides.get((number, source.key))
            if side is None:
                side = answer.sides[number, source.key] = self._side(self._there(found, source, destination), source)
            row_key = number, destination.key, side
            if row := answer.rows.get(row_key):
                row.again(source.name, _Like(found, (source, destination), self._ends_of))
                return
        row = self._rows.add(self.pairs.change(self._there(found, source, destination)))
        if row_key is not None:
            answer.rows[row_key] = row

    def _there(self, found: Found, source: Party, destination: Party) -> Found:
        ends = self._ends_of(source, destination)
        assert ends is not None
        return found.there(ends)

    def _side(self, found: Found, source: Party) -> int:
        """A number for what a network says of a flow that changed: equal ones add the same lines and causes."""
        if source.kind is not Kind.NETWORK:
            return 0
        causes = self.pairs.causes
        mine = [(stage, r, new) for stage, r, new in found.differing() if stage.network == source.name]
        said: list[Cause] = []
        if found.marked is None:
            said += [causes.of_addresses(source.name)] if source.name in self.pairs.moved else []
        else:
            said += (c for stage, r, new in mine for c in self.pairs.causes_in(found, stage, r, new=new))
            said += [causes.of_store(source.name)] if source.name in self.pairs.parted(found.ends) else []
        return self._said.setdefault((tuple(r.span for _, r, _ in mine), tuple(said)), len(self._said) + 1)


def _place(party: Party) -> object:
    """A network's addresses; nothing of others."""
    return (party.nets, party.not_nets) if party.kind is Kind.NETWORK else None


_NOTHING = _Answer(Ends(None, None), [])
