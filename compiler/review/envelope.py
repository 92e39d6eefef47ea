"""A diff in, those of its newly allowed flows that nobody agreed to beforehand out."""

from __future__ import annotations

from calico_rkt.compiler.review.change import Change, Diff
from calico_rkt.compiler.review.diff import Progress, diff
from calico_rkt.compiler.review.world import World


def outside_envelope(old: World, new: World, found: Diff, progress: Progress | None = None) -> tuple[Change, ...]:
    """What is newly allowed and in no item of the old revision's envelope: a change can't widen its own.

    found is diff(old, new). Where a pair was undecided there, it is here, too: look at found.
    """
    if not found.widened:
        return ()
    agreed = [e for file in old.files if file.guardrails for e in file.guardrails.envelope]
    return tuple(c for c in diff(old, new, progress, agreed).changes if c.widened)
