"""Steps of a long answer in, nothing out: what a review calls while it works, so that somebody can be told."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with the steps done, the steps in all, and what is looked at."""
