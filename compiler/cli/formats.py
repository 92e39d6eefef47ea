"""Diagnostics in, text out: for people, programs, code scanners, pull requests and GitHub's own log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote

from calico_rkt import __version__
from calico_rkt.compiler.diagnostics import Diagnostic, Severity, printable, render

FORMATS = ("text", "json", "sarif", "markdown", "github")
_SARIF_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_GITHUB_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render_as(style: str, diagnostics: Iterable[Diagnostic], *, colour: bool) -> str:
    """The diagnostics in one of FORMATS; colour is for text only."""
    found = tuple(diagnostics)
    return render(found, colour=colour) if style == "text" else _WRITERS[style](found)


def plain(d: Diagnostic) -> dict[str, object]:
    """A diagnostic as an object of plain values; path, line and columns are null where it has none."""
    place: dict[str, object] = {"path": d.path or None, "line": None, "column": None, "end_column": None}
    if d.span:
        place = {k: getattr(d.span, k) for k in place}
    return {"code": d.code, "severity": d.severity.value, "message": d.message, "hint": d.hint or None, **place}


def sarif(diagnostics: tuple[Diagnostic, ...]) -> str:
    """SARIF 2.1.0 (OASIS), one run; paths are relative URIs, columns count from 1 and end exclusive, as there."""
    codes = sorted({d.code for d in diagnostics})
    run = {
        "tool": {
            "driver": {
                "name": "calico-rkt",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [{"id": code} for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(d, codes.index(d.code)) for d in diagnostics],
    }
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(document, indent=2) + "\n"


def markdown_text(text: str) -> str:
    """Text that means nothing to markdown, on one line: nothing from a file can become a table, link or tag."""
    shown = printable(" ".join(text.split()))
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+!|~<>@" else "&amp;" if c == "&" else c for c in shown)


def markdown_code(text: str) -> str:
    """Text as code on one line, whatever backticks are in it; `|` would end a table's cell even there."""
    shown = printable(" ".join(text.split())).replace("|", "\\|")
    fence = "`"
    while fence in shown:
        fence += "`"
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}" if shown else ""


def _json(diagnostics: tuple[Diagnostic, ...]) -> str:
    return json.dumps([plain(d) for d in diagnostics], indent=2) + "\n"


def _sarif_result(d: Diagnostic, index: int) -> dict[str, object]:
    text = d.message + (f"\n{d.hint}" if d.hint else "")
    out: dict[str, object] = {
        "ruleId": d.code,
        "ruleIndex": index,
        "level": _SARIF_LEVEL[d.severity],
        "message": {"text": text},
    }
    path = d.span.path if d.span else d.path
    if path:
        place: dict[str, object] = {"artifactLocation": {"uri": quote(path)}}
        if d.span:
            place["region"] = {
                "startLine": d.span.line,
                "startColumn": d.span.column,
                "endColumn": max(d.span.end_column, d.span.column + 1),
            }
        out["locations"] = [{"physicalLocation": place}]
    return out


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
    said = ",".join(f"{k}={_github_data(str(v)).replace(':', '%3A').replace(',', '%2C')}" for k, v in properties)
    text = _github_data(printable(d.message) + (f"\n{printable(d.hint)}" if d.hint else ""))
    return f"::{_GITHUB_LEVEL[d.severity]} {said}::{text}\n"


def _github_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


_WRITERS: Mapping[str, Callable[[tuple[Diagnostic, ...]], str]] = {
    "json": _json,
    "sarif": sarif,
    "markdown": _markdown,
    "github": _github,
}
