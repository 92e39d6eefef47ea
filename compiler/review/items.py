"""The lines of YAML files in, what stands in the item of a list that begins on one of them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from calico_rkt.compiler.diagnostics import Span


class Items:
    """Of files by their paths."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._lines = cache(self._split)

    def text(self, span: Span) -> str:
        """The item that begins on a span's line, on one line and without lines of comments; else that line's text."""
        lines = self._lines(span.path)
        if span.line > len(lines):
            return span.text.strip()
        said = (line.strip() for line in lines[span.line - 1 : last_of_item(lines, span.line)])
        return " ".join(text for n, text in enumerate(said) if text and (n == 0 or not text.startswith("#")))

    def _split(self, path: str) -> list[str]:
        return self._files[path].decode("utf-8", "replace").split("\n") if path in self._files else []


NO_FILES = Items({})
"""Nothing is known but the lines that spans have."""


def last_of_item(lines: Sequence[str], first: int) -> int:
    """The number of the last line of the list's item that begins on line first; that one where none begins there."""
    start = lines[first - 1] if first <= len(lines) else ""
    if not start.lstrip().startswith("- "):
        return first
    indent = len(start) - len(start.lstrip())
    last = first
    for number in range(first + 1, len(lines) + 1):
        line = lines[number - 1]
        if line.strip() and not line.lstrip().startswith("#"):
            if len(line) - len(line.lstrip()) <= indent:
                break
            last = number
    return last
