"""Diagnostics in, text out: for people, programs, code scanners, pull requests and GitHub's own log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from calico_rkt.compiler.diagnostics import Diagnostic, Severity, position, printable, render_diagnostics

FORMATS = ("text", "json", "sarif", "markdown", "github")
_MARKDOWN = {c: f"\\{c}" for c in "\\`*_{}[]()#+!~$@"} | {c: f"&#{ord(c)};" for c in "&<>|"}
_GITHUB_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render_as(style: str, diagnostics: Iterable[Diagnostic], *, colour: bool) -> str:
    """The diagnostics in one of FORMATS, each once, by file and line; colour is for text only."""
    found = findings_in_order(diagnostics)
    return render_diagnostics(found, colour=colour) if style == "text" else _WRITERS[style](found)


def findings_in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each once, by file and line."""
    return tuple(sorted(set(diagnostics), key=position))


def finding_values(d: Diagnostic) -> dict[str, object]:
    """A diagnostic as an object of plain values; path, line and columns are null where it has none."""
    place: dict[str, object] = {"path": d.path or None, "line": None, "column": None, "end_column": None}
    if d.span:
        place = {k: getattr(d.span, k) for k in place}
    return {"code": d.code, "severity": d.severity.value, "message": d.message, "hint": d.hint or None, **place}


def markdown_text(text: str) -> str:
    """Text that means nothing to markdown, on one line: nothing from a file can become a table, link or tag."""
    return "".join(_MARKDOWN.get(c, c) for c in printable(" ".join(text.split())))


def markdown_code(text: str) -> str:
    """Text as code on one line; as an element where backticks or a table's `|` are in it."""
    shown = printable(" ".join(text.split()))
    if "`" in shown or "|" in shown:
        return f"<code>{markdown_text(shown)}</code>"
    return f"`{shown}`" if shown else ""


def _json(diagnostics: tuple[Diagnostic, ...]) -> str:
    from calico_rkt.compiler.cli.formats.json_document import document

    return document("problems", {"problems": [finding_values(d) for d in diagnostics]})


def _sarif(diagnostics: tuple[Diagnostic, ...]) -> str:
    from calico_rkt.compiler.cli.formats.sarif import sarif

    return sarif(diagnostics)


def _markdown(diagnostics: tuple[Diagnostic, ...]) -> str:
    if not diagnostics:
        return "Nothing to say.\n"
    lines = ["| | where | what |", "| --- | --- | --- |"]
    for d in diagnostics:
        hint = f"<br>_{markdown_text(d.hint)}_" if d.hint else ""
        lines.append(f"| {d.severity.value} {d.code} | {markdown_code(d.where)} | {markdown_text(d.message)}{hint} |")
    return "\n".join(lines) + "\n"


def _github(diagnostics: tuple[Diagnostic, ...]) -> str:
    """Workflow commands, as GitHub's toolkit escapes them (packages/core/src/command.ts)."""
    return "".join(_github_line(d) for d in diagnostics)


def _github_line(d: Diagnostic) -> str:
    properties: list[tuple[str, object]] = []
    if d.span:
        properties += [("file", d.span.path), ("line", d.span.line), ("col", d.span.column)]
        properties += [("endColumn", d.span.end_column)]
    elif d.path:
        properties += [("file", d.path)]
    properties += [("title", f"calico-rkt {d.code}")]
    said = ",".join(
        f"{k}={_github_data(printable(str(v))).replace(':', '%3A').replace(',', '%2C')}" for k, v in properties
    )
    text = _github_data(printable(d.message) + (f"\n{printable(d.hint)}" if d.hint else ""))
    return f"::{_GITHUB_LEVEL[d.severity]} {said}::{text}\n"


def _github_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


_WRITERS: Mapping[str, Callable[[tuple[Diagnostic, ...]], str]] = {
    "json": _json,
    "sarif": _sarif,
    "markdown": _markdown,
    "github": _github,
}
