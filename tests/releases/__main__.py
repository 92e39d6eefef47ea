"""`make matrix`: unit, kernel and client tests on each Debian that is supported, and on hosts that lack something.

usage: make matrix                      everything: half an hour and more
       make matrix CELLS="13 12/kernel" all of Debian 13, and one cell of Debian 12
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chroots import trees
from tests.releases.cells import RELEASES, TRIED, Cell, UnknownCellError, cells
from tests.releases.host import SupportHost
from tests.releases.packages import ROOT, PackagesError

LOGS = ROOT / "build" / "releases"
_LINES = 12
"""Lines of a cell's output that are shown where it did not hold."""


@dataclass(slots=True)
class Row:
    """What came out of a release's cells: words by cell; python and nft are versions there."""

    python: str = "?"
    nft: str = "?"
    words: dict[str, str] = field(default_factory=dict)


def main(argv: Sequence[str]) -> int:
    """Run the cells that are named, all without a name. 0: all held, 1: one did not, 2: it could not be tried."""
    if {"-h", "--help"} & {*argv}:
        print(__doc__)
        return 0
    try:
        wanted = cells(argv)
    except UnknownCellError as e:
        return _refuse(str(e))
    for lack, out in _LACKS:
        if lack():
            return _refuse(out)
    rows = {c.version: Row() for c in wanted}
    held = True
    trees.keep_trees_of_this_run()
    try:
        for version, row in rows.items():
            held &= _try(version, [c for c in wanted if c.version == version], row)
    except KeyboardInterrupt:
        print("\nmatrix: interrupted", file=sys.stderr)
        return 130
    except (PackagesError, RuntimeError) as e:
        return _refuse(str(e))
    finally:
        trees.drop_trees()
        print(_table(rows), flush=True)
    return 0 if held else 1


def _refuse(words: str) -> int:
    print(f"matrix: {words}", file=sys.stderr)
    return 2


_LACKS: tuple[tuple[Callable[[], bool], str], ...] = (
    (lambda: os.geteuid() != 0, "whole hosts with networks need root: sudo make matrix"),
    (lambda: not shutil.which("debootstrap"), "debootstrap is missing: packaging/setup.sh clients installs it"),
    (lambda: not (ROOT / "dist" / "calico").is_file(), "dist/calico is not built yet: make binary"),
)


def _try(version: str, wanted: Sequence[Cell], row: Row) -> bool:
    """Whether all cells of a release held; row has their words."""
    print(f"Debian {version} ({RELEASES[version]}): making a host", flush=True)
    host = SupportHost(version, f"calico-rkt-matrix-{os.getpid()}-{version}")
    row.python, row.nft = host.python, host.nft
    held = True
    try:
        for n, cell in enumerate(wanted, start=1):
            began = time.monotonic()
            log = LOGS / f"{version}-{cell.tried}.log"
            print(f"Debian {version}, {n} of {len(wanted)}: {cell.tried} ...", flush=True)
            good, count = host.run(cell, log, _progress)
            print(
                f"\r    {'held' if good else 'DID NOT HOLD'}: {count} in {time.monotonic() - began:.0f} s", flush=True
            )
            row.words[cell.tried] = count if good else f"FAILED: {count}"
            if not good:
                print("".join(f"    | {line}\n" for line in _end(log)) + f"    whole: {log.relative_to(ROOT)}")
            held &= good
    finally:
        host.close()
    return held


def _progress(line: str) -> None:
    """pytest's dots and percents, where somebody looks at them."""
    if sys.stdout.isatty() and line.endswith("%]"):
        print(f"\r    {line[-60:]}", end="", flush=True)


def _end(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines()[-_LINES:]


def _table(rows: dict[str, Row]) -> str:
    """What held where, a line a cell."""
    out = ["", f"{'Debian':<8}{'Python':<8}{'nft':<8}{'tried':<12}result"]
    for version, row in rows.items():
        shown = [(tried, row.words[tried]) for tried in TRIED if tried in row.words]
        out += [f"{version:<8}{row.python:<8}{row.nft:<8}{tried:<12}{words}" for tried, words in shown]
    return "\n".join(out)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
