"""Work in, an exception out when it is too much: no analysis runs for ever, and none guesses."""

from __future__ import annotations

STEPS = 20_000_000
"""Pairs of boxes that one analysis may look at: about half a minute."""
QUESTION = STEPS // 20
"""As many for one question of many, so that a hard one does not take the others' share."""


class UndecidedError(Exception):
    """The question was given up; the message says on what."""


class Budget:
    """Counts the steps of a question, and of the whole that it is a part of; UndecidedError when none are left."""

    def __init__(self, steps: int = STEPS, whole: Budget | None = None) -> None:
        self.left = self.steps = steps
        self.whole = whole

    def spend(self, steps: int = 1) -> None:
        self.left -= steps
        if self.whole is not None:
            self.whole.spend(steps)
        if self.left < 0:
            raise UndecidedError(f"more than {self.steps:,} pairs of packet sets would have to be compared")

    @property
    def spent(self) -> bool:
        """Whether nothing is left for any further question."""
        return self.left < 0
