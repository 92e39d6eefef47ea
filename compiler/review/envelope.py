"""A diff in, those of its newly allowed flows that nobody agreed to beforehand out."""

from __future__ import annotations

from calico_rkt.compiler.review.change import Change, Diff
from calico_rkt.compiler.review.diff import diff_worlds
from calico_rkt.compiler.review.progress import Progress
from calico_rkt.compiler.review.snapshot import World


def outside_envelope(
    old: World, new: World, found: Diff, progress: Progress | None = None
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """What is newly allowed and in no item of the old revision's envelope: a change can't widen its own.

    found is diff(old, new). Beside it stands what is undecided: the envelope may be what takes too long to look at.
    """
    if not found.widened:
        return (), found.undecided
    agreed = [e for file in old.files if file.guardrails for e in file.guardrails.envelope]
    rest = diff_worlds(old, new, progress, agreed)
    return tuple(c for c in rest.changes if c.widened), tuple(dict.fromkeys((*found.undecided, *rest.undecided)))
