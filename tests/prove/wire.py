"""Seconds and a seed in; random hosts with real packets, and frames that no program sends, as figures out."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.clients.support.wire.frame_trial import fuzzed
from tests.clients.support.wire.trial import Tried, tried
from tests.prove.result import Result

CLAIM = """\
On random hosts over the whole grammar, attached through the plugin with an agent and without, each packet that opens
a flow arrives where the evaluator and `explain` say, and nowhere else; with another's source it arrives nowhere. Of
frames that no program sends, nothing of an isolated container arrives and nothing reaches it, nothing gets past a
guarded one's port, and what is odd and right is not lost."""
_BINARY = Path(__file__).parents[2] / "dist" / "calico"
_FRAMES = 2000


def run(seed: int, seconds: float) -> Result:
    begun, part = time.monotonic(), seed
    done, frames, wrong = Tried(), Counter[str](), list[str]()

    def attempt(what: str, work: Callable[[Path], None]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                work(Path(folder))
            except AssertionError as e:
                wrong.append(f"{what}, seed {part}: {str(e)[:500]}")

    def host(folder: Path) -> None:
        nonlocal done
        done += tried(_BINARY, folder, part, agent=part % 2 == 0, rounds=4, packets=640)

    def odd(folder: Path) -> None:
        frames.update(fuzzed(_BINARY, folder / "files", part, _FRAMES))

    while part == seed or time.monotonic() - begun < seconds:
        attempt("packets", host)
        if (part - seed) % 4 == 0:
            attempt("frames", odd)
        part += 1
    figures = {
        "hosts": done.hosts,
        "policies": done.policies,
        "packets": done.packets,
        "... that arrived": done.arrived,
        **{f"... {kind}": count for kind, count in sorted(done.kinds.items())},
        **frames,
    }
    return Result("wire", CLAIM, "tests/clients/test_wire.py", seed, round(time.monotonic() - begun), figures, wrong)
