"""The attach part of `make bench`, inside its own namespaces: a table, the agent's phases, and a plot beside it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.bench import attach, host, plot
from tests.bench.attach import Fact, Row

PLOT = host.ROOT / "build" / "bench.svg"


def main() -> int:
    host.prepare()
    os.environ.update(host.ENVIRON)
    found: list[Row] = []
    print(f"the attach path: medians of {attach.ROUNDS} (at once: {attach.BURSTS}), in turn with the peer, in ms")
    print(f"{'what':<58} {'ours':>9} {'peer':>9} {'ratio':>7} {'bound':>6}")

    def say(row: Row | Fact) -> None:
        if isinstance(row, Fact):
            print(f"{row.what:<58} {row.words}{'' if row.holds else '   MISSED'}", flush=True)
            return
        found.append(row)
        missed = "" if row.ratio <= row.bound else "   MISSED"
        print(f"{row.what:<58} {row.ours:>9.2f} {row.peer:>9.2f} {row.ratio:>7.2f} {row.bound:>6}{missed}", flush=True)

    attach.rows(say)
    _write(PLOT, plot.svg(found))
    return 0


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    print(f"drawn: {path.relative_to(host.ROOT)}")
