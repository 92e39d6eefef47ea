"""Seconds and a seed in; edits of the live table, each attested and tried with real packets, as figures out."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.kernel.support.attest_trial import Trial, try_edits
from tests.kernel.support.attest_wire import Wire
from tests.kernel.support.attested import Attested
from tests.kernel.support.namespaces import Lab
from tests.prove.result import Result

CLAIM = """\
Single edits of the live table, at random: rules inserted, deleted, replaced, moved, verdicts and values changed, chains
flushed, policies, elements of sets and maps; and, every other time, whatever nft's grammar can say: what a rule may ask
of a packet and do with it, sets and maps with all that they may have, chains of all families and hooks. Where
`calico-rkt attest` says *different*, its witness packet is sent before and after the edit, and fares as was said; where
it says *equal*, packets aimed at the edited rule fare the same before and after."""
_AT_ONCE = 25


def run(seed: int, seconds: float) -> Result:
    begun, edits, sent, wrong = time.monotonic(), Counter[str](), 0, list[str]()
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        world = Attested(lab, Path(folder) / "net.d")
        with Wire(world, Path(folder)) as wire:
            part = seed
            while time.monotonic() - begun < seconds:
                found: Trial = try_edits(world, wire, part, _AT_ONCE, grammar=part % 2 == 0)
                edits += found.edits
                sent += found.sent
                wrong += [f"seed {part}: {words}" for words in found.wrong]
                print(
                    f"attest, seed {part}: {dict(found.edits)}, {found.sent} packets, {len(found.wrong)} wrong",
                    flush=True,
                )
                part += 1
    every = sum(edits[k] for k in ("equal", "different", "not proven"))
    figures = {"edits": every} | {f"... {k}" if k in edits else k: v for k, v in sorted(edits.items())}
    return Result(
        "attest",
        CLAIM,
        "tests/kernel/test_attest_edits.py",
        seed,
        round(time.monotonic() - begun),
        figures | {"packets sent": sent},
        wrong,
    )
