"""Work in, an exception out when it is too much: no analysis runs for ever, and none guesses."""

from __future__ import annotations

STEPS = 20_000_000
"""Pairs of boxes that one analysis may look at: about half a minute."""
WHOLES = 5
"""As many times as much for all analyses of one answer, such as the pairs of a matrix."""
QUESTION = STEPS // 20
"""As many for one question of many, so that a hard one does not take the others' share."""
WORDS = 5
"""As many steps as the part of an analysis that this divides it by may be spent on saying its answer in few words."""


class UndecidedError(Exception):
    """The question was given up; the message says on what."""


class Budget:
    """Counts the steps of a question, and of the whole that it is a part of; UndecidedError when none are left."""

    def __init__(self, steps: int | None = None, whole: Budget | None = None) -> None:
        self.left = self.steps = STEPS if steps is None else steps
        self.whole = whole
        self.words: Budget | None = None
        if whole is not None:
            whole.spend(0)  # where nothing is left, no question is begun

    def spend(self, steps: int = 1) -> None:
        self.left -= steps
        if self.whole is not None:
            self.whole.spend(steps)
        if self.left < 0:
            raise UndecidedError(f"more than {self.steps:,} pairs of packet sets would have to be compared")

    @classmethod
    def of_an_answer(cls) -> Budget:
        """The whole of all analyses that one answer takes."""
        return cls(WHOLES * STEPS)

    def for_words(self) -> Budget:
        """What may be spent on saying the answer in few words: apart, so that no words cost an answer.

        All questions of a whole share one for their words, too. UndecidedError where that is spent.
        """
        top = self
        while top.whole is not None:
            top = top.whole
        if top.words is None:
            top.words = Budget(top.steps // WORDS)
        return Budget(self.steps // WORDS, whole=top.words)

    @property
    def spent(self) -> bool:
        """Whether nothing is left for any further question."""
        return self.left < 0
