"""Rows of a part of `make bench` in; said as they come, kept, and all of them as the page docs/speed.md, out."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "speed.md"
_HEAD = """\
# How fast it is, beside its peers

Made by `make bench` from the figures of its last runs. Ours and the other are measured in turn in one run, so that
both have the same neighbours; what counts is the ratio. The bound is what this project set itself; what is over it is
**missed**, and says what its time is made of. Other machines give other milliseconds: run a part by its command.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of ours and another's in one unit, and the bound of their ratio: at most, or at least.

    made_of: where the bound is missed, what the time is made of and what was tried, as Markdown.
    """

    what: str
    ours: float
    other: float
    bound: float
    unit: str = "ms"
    at_least: bool = False
    made_of: str = ""

    @property
    def ratio(self) -> float:
        return self.ours / self.other

    @property
    def holds(self) -> bool:
        return self.ratio >= self.bound if self.at_least else self.ratio <= self.bound


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure with nothing beside it, and the most that it may be; None where nothing was promised."""

    what: str
    figure: float
    most: float | None
    unit: str = "s"
    made_of: str = ""

    @property
    def holds(self) -> bool:
        return self.most is None or self.figure <= self.most


@dataclass
class Report:
    """The rows of one part. about: what is in it and how often it was measured; command: what measures it anew."""

    part: str
    about: str
    rows: list[Row] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """What could not be measured here, and why."""

    def begin(self) -> None:
        print(f"\n{self.part}: {self.about}")
        print(f"{'what':<66} {'ours':>9} {'other':>9} {'ratio':>7} {'bound':>7}", flush=True)

    def say(self, one: Row | Fact) -> None:
        missed = "" if one.holds else "   MISSED"
        if isinstance(one, Row):
            self.rows.append(one)
            figures = f"{one.ours:>9.2f} {one.other:>9.2f} {one.ratio:>7.2f} {_bound(one):>7}"
        else:
            self.facts.append(one)
            most = "" if one.most is None else f"at most {one.most:g}"
            figures = f"{one.figure:>9.2f} {one.unit:<9} {most:>15}"
        print(f"{one.what:<66} {figures}{missed}", flush=True)

    def lacks(self, words: str) -> None:
        """Something can't be measured here."""
        self.missing.append(words)
        print(f"not measured: {words}", flush=True)

    def keep(self) -> None:
        """Beside the benches, and on the page."""
        KEPT.mkdir(exist_ok=True)
        text = json.dumps({"machine": _machine(), **asdict(self)}, indent=1)
        (KEPT / f"{self.part}.json").write_text(text + "\n", encoding="utf-8")
        PAGE.write_text(page(), encoding="utf-8")


def _bound(row: Row) -> str:
    return f"{'≥' if row.at_least else '≤'} {row.bound:g}"


def _machine() -> str:
    nft = subprocess.run(["nft", "--version"], capture_output=True, text=True, check=False).stdout.split("(")[0].strip()
    load = ", ".join(f"{n:.1f}" for n in os.getloadavg())
    return f"Linux {platform.release().partition('-')[0]}, {os.cpu_count()} cores, {nft}, load {load} at its end"


def page() -> str:
    """The page of all that is kept."""
    sections = (_section(json.loads(p.read_text(encoding="utf-8"))) for p in sorted(KEPT.glob("*.json")))
    return _HEAD + "".join(sections)


def _section(kept: dict[str, object]) -> str:
    rows = [Row(**r) for r in kept["rows"]]  # type: ignore[attr-defined]
    facts = [Fact(**f) for f in kept["facts"]]  # type: ignore[attr-defined]
    out = [f"\n## {kept['part']}\n\n{kept['about']}. Again: `.venv/bin/python -m tests.bench {kept['part']}`\n"]
    if rows:
        cells = [
            (r.what, f"{r.ours:,.2f} {r.unit}", f"{r.other:,.2f} {r.unit}", f"{r.ratio:.2f}", _bound(r), r.holds)
            for r in rows
        ]
        out.append(_table(("ours / the other", "ours", "the other", "ratio", "bound", ""), cells))
    if facts:
        most = ["" if f.most is None else f"≤ {f.most:g}" for f in facts]
        shown = [(f.what, f"{f.figure:,.2f} {f.unit}", m, f.holds) for f, m in zip(facts, most, strict=True)]
        out.append(_table(("what", "figure", "bound", ""), shown))
    out += [f"\n- {one.what}: {one.made_of}" for one in (*rows, *facts) if one.made_of and not one.holds]
    out += [f"\n- Not measured: {words}" for words in kept["missing"]]  # type: ignore[attr-defined]
    return "".join(out).rstrip("\n") + f"\n\n{kept['machine']}.\n"


def _table(head: Sequence[str], cells: Iterable[tuple[object, ...]]) -> str:
    right = " | ".join(["---", *["---:"] * (len(head) - 2), "---"])
    lines = [f"| {' | '.join(head)} |", f"| {right} |"]
    for *words, holds in cells:
        lines.append(f"| {' | '.join(map(str, words))} | {'' if holds else '**missed**'} |")
    return "\n" + "\n".join(lines) + "\n"
