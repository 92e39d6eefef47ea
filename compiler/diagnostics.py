"""Problems in, text for people out: spans, diagnostics, and their rendering with a caret."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from calico_rkt.compiler.values import dataclass, field


class Severity(Enum):
    """How bad a diagnostic is; only errors stop a compile."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Span:
    """A place in one line of a file: line and columns count from 1, end_column is exclusive.

    text is the whole line without its line end, for the caret.
    """

    path: str
    line: int
    column: int
    end_column: int
    text: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem: a stable code (CR and three digits), where, what, and a way out.

    span is None only where a problem belongs to no line; path then still names the file, if any.
    """

    code: str
    severity: Severity
    message: str
    span: Span | None = None
    hint: str = ""
    path: str = ""

    @property
    def where(self) -> str:
        """`path:line:column`, or `path`, or an empty string."""
        if self.span is not None:
            return f"{self.span.path}:{self.span.line}:{self.span.column}"
        return self.path

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR


class CompileError(Exception):
    """Raised once with all problems of an input; diagnostics is never empty and holds an error."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("; ".join(d.message for d in self.diagnostics if d.is_error))


def error(code: str, message: str, span: Span | None = None, *, hint: str = "", path: str = "") -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, span, hint, path)


def warning(code: str, message: str, span: Span | None = None, *, hint: str = "", path: str = "") -> Diagnostic:
    return Diagnostic(code, Severity.WARNING, message, span, hint, path)


def raise_errors(diagnostics: Iterable[Diagnostic]) -> None:
    """Raise CompileError with all of them when at least one is an error."""
    found = tuple(diagnostics)
    if any(d.is_error for d in found):
        raise CompileError(found)


_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}
_WIDEST = 160


def render_diagnostics(diagnostics: Iterable[Diagnostic], *, colour: bool = False) -> str:
    """All diagnostics as text, in order of file and line; each `where: CODE severity: message`.

    Below stand the line itself, a caret under the place, and the way out. Control characters of the
    input are shown as escapes: a file can not write to the terminal.
    """
    return "".join(_render_one(d, colour=colour) for d in sorted(diagnostics, key=position))


def position(d: Diagnostic) -> tuple[str, int, int, str, str, str]:
    """What diagnostics are sorted by: what belongs to no file first, and to no line before its file's lines."""
    line, column = (d.span.line, d.span.column) if d.span else (0, 0)
    return (d.span.path if d.span else d.path, line, column, d.code, d.message, d.hint)


def _render_one(d: Diagnostic, *, colour: bool) -> str:
    severity = d.severity.value
    if colour:
        severity = f"\x1b[1;{_COLOURS[d.severity]}m{severity}\x1b[0m"
    head = f"{printable(d.where)}: " if d.where else ""
    out = [f"{head}{d.code} {severity}: {printable(d.message)}"]
    if d.span is not None and d.span.text:
        out += _excerpt(d.span)
    if d.hint:
        out.append(f"  = {printable(d.hint)}")
    return "\n".join(out) + "\n"


def _excerpt(span: Span) -> list[str]:
    start = span.column - 1
    length = max(1, span.end_column - span.column)
    first = max(0, start - _WIDEST // 2) if len(span.text) > _WIDEST else 0
    shown = span.text[first : first + _WIDEST]
    length = min(length, max(1, len(shown) - (start - first)))
    before = printable(shown[: start - first])
    under = printable(shown[start - first : start - first + length])
    margin = f"{span.line:>5} | "
    gap = " " * 5 + " | "
    return [margin + printable(shown), gap + " " * len(before) + "^" * max(1, len(under))]


def counted(number: int, word: str) -> str:
    """How many there are: `1 pool`, `2 pools`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def cut_short(words: Sequence[str], most: int, between: str = ", ") -> str:
    """A list for a message, `a, b and 3 more`: what is left out is counted."""
    return between.join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def printable(text: str) -> str:
    """The text with control and unprintable characters as escapes, tabs as one space."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c == "\t" else ascii(c)[1:-1] for c in text)


def printable_lines(text: str) -> str:
    """The same of a text whose line ends are meant."""
    return "\n".join(map(printable, text.split("\n")))
