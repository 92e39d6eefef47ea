"""Diagnostics in, a SARIF 2.1.0 document (OASIS) out: what code scanners read. Numbers are of its sections."""

from __future__ import annotations

import os
from collections import Counter
from hashlib import sha256
from urllib.parse import quote

from calico_rkt import __version__
from calico_rkt.compiler.cli.formats.json_text import json_text
from calico_rkt.compiler.diagnostics import Diagnostic, Severity, printable
from calico_rkt.compiler.review.codes import DIFFERENCES, FINDINGS, is_finding

_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_WORDS = {**FINDINGS, **DIFFERENCES}


def sarif(diagnostics: tuple[Diagnostic, ...]) -> str:
    """One run with a result for each diagnostic; executionSuccessful is false where something could not be read."""
    codes = sorted({d.code for d in diagnostics})
    seen: Counter[tuple[str, str]] = Counter()
    run = {
        "tool": {
            "driver": {
                "name": "calico-rkt",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_rule(code) for code in codes],
            }
        },
        "invocations": [{"executionSuccessful": all(map(is_finding, diagnostics))}],
        "columnKind": "unicodeCodePoints",
        "results": [_result(d, codes.index(d.code), _fingerprint(d, seen)) for d in diagnostics],
    }
    document = {"version": "2.1.0", "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "runs": [run]}
    return json_text(document) + "\n"


def _rule(code: str) -> dict[str, object]:
    return {"id": code, **({"shortDescription": {"text": _WORDS[code]}} if code in _WORDS else {})}


def _result(d: Diagnostic, index: int, fingerprint: str) -> dict[str, object]:
    out: dict[str, object] = {
        "ruleId": d.code,
        "ruleIndex": index,
        "level": _LEVEL[d.severity],
        "message": {"text": "\n".join(_plain(text) for text in (d.message, d.hint) if text)},
    }
    path = d.span.path if d.span else d.path
    if path:
        place: dict[str, object] = {"artifactLocation": {"uri": _uri(path)}}
        if d.span:
            place["region"] = {
                "startLine": d.span.line,
                "startColumn": d.span.column,
                "endColumn": max(d.span.end_column, d.span.column + 1),
            }
        out["locations"] = [{"physicalLocation": place}]
    return {**out, "partialFingerprints": {"calicoRktLine/v1": fingerprint}}


def _plain(text: str) -> str:
    """Text without a placeholder (3.11.5) or a link (3.11.6)."""
    return printable(text).replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _uri(path: str) -> str:
    """The path's octets as a relative reference, or as a file URI where the path is absolute."""
    quoted = quote(os.fsencode(path))
    return f"file://{quoted}" if quoted.startswith("/") else quoted


def _fingerprint(d: Diagnostic, seen: Counter[tuple[str, str]]) -> str:
    """What stays when lines move: the code and the line's text, and the how-manieth of such in its file it is."""
    line = d.span.text.strip() if d.span else ""
    digest = sha256(f"{d.code}\0{line}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    key = (d.span.path if d.span else d.path, digest)
    seen[key] += 1
    return f"{digest}:{seen[key]}"
