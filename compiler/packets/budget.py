"""Work in, an exception out when it is too much: no analysis runs for ever, and none guesses."""

from __future__ import annotations

STEPS = 2_000_000
"""Pieces of sets that one question may look at."""


class UndecidedError(Exception):
    """The question was given up; the message says on what."""


class Budget:
    """Counts the steps of one question; UndecidedError when there are none left."""

    def __init__(self, steps: int = STEPS) -> None:
        self.left = self.steps = steps

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise UndecidedError(f"more than {self.steps} pieces of packet sets")
