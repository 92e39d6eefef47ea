"""Bytes of JSON in, nodes with their places out; a trailing comma or comment is refused, or warned of."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, Severity, Span, error
from calico_rkt.compiler.text.nodes import (
    DEEPEST,
    MOST_REPORTED,
    Mapping,
    Node,
    Scalar,
    Sequence,
    decode,
    duplicate_key,
    span_at,
)

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(rf'{_STRING}|[{{}}\[\]:,]|[^\s{{}}\[\]:,"]+', re.DOTALL)
# As text: compiled where a file is found to need them, which few do. What is opened and never closed is one token to
# the end, or each further opening would be looked for to the end again.
_LOOSE_TOKEN = rf"{_STRING}|(?P<comment>//[^\n]*|#[^\n]*|/\*.*?\*/)|(?:\"|/\*).*|[^\s]"
_SURROGATE = "[\ud800-\udfff]"

# What Python's json says in words of the file's own; the first that fits counts.
_REASONS = (
    ("Expecting property name", "expected a key in double quotes", "every key stands in double quotes"),
    ("Expecting ',' delimiter", "expected a comma or a closing bracket before this", "put a comma between two values"),
    ("Expecting ':' delimiter", "expected a colon after the key", ""),
    ("Expecting value", "expected a value", "a value is a string, number, true, false, null, {...} or [...]"),
    ("Extra data", "more text after the end of the object", "a conf is one JSON object"),
    ("Unterminated string", "a string is not closed in its line", 'end it with "'),
    ("Invalid control character", "a line break or tab inside a string", "write \\n or \\t, or close the string"),
    ("Invalid \\", "an escape that JSON does not know", "a backslash itself is written \\\\"),
)


def parse_json(
    path: str, data: bytes, *, forgiving: bool, largest: int, twice: list[Diagnostic] | None = None
) -> tuple[Node, tuple[Diagnostic, ...]]:
    """The value of a JSON text of at most largest bytes, and warnings; raises CompileError with all problems.

    A Scalar is plain where it is a number, true, false or null. forgiving makes trailing commas and comments
    warnings. Refused beyond RFC 8259: duplicate keys, NaN, half surrogate pairs, hidden characters, 64 levels.
    twice takes the duplicate keys, where a caller goes on to look for what else is wrong.
    """
    text = decode(path, data, largest)
    wrong = _problem(path, text, text)
    if wrong is None:
        return _Builder(path, text, text, twice).value(), ()
    severity = Severity.WARNING if forgiving else Severity.ERROR
    cleaned, found = _without_extras(path, text, severity)
    wrong = _problem(path, cleaned, text) if found else wrong
    if wrong is not None:
        found.append(wrong)
    if wrong is not None or not forgiving:
        raise CompileError(found)
    try:
        return _Builder(path, cleaned, text, twice).value(), tuple(found)
    except CompileError as e:
        raise CompileError((*found, *e.diagnostics)) from None


def _problem(path: str, text: str, shown: str) -> Diagnostic | None:
    """What makes the text no JSON; shown is the same text as it stands in the file."""
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as e:
        if not text.strip():
            return error("CR121", "the conf is empty", path=path, hint="a conf is one JSON object")
        # How deep it reads before it gives up is each Python's own: the first problem in the file is told by all.
        deep = _deep_place(text[: e.pos])
        return _too_deep(span_at(path, shown, *deep)) if deep else _syntax(path, text, shown, e)
    except RecursionError:
        return _too_deep(span_at(path, shown, *(_deep_place(text) or (0, 1))))
    return None


def _syntax(path: str, text: str, shown: str, e: json.JSONDecodeError) -> Diagnostic:
    at = min(e.pos, len(text))
    token = _TOKEN.match(text, at)
    word = token[0] if token and token[0] not in "{}[]:," else text[at : at + 1]
    found = f", found {word[:40]}" if word and "Expecting" in e.msg else ""
    if at >= len(text.rstrip()):
        # The end of a file is often an empty line: show the last line that says something.
        at, found = max(len(text.rstrip()) - 1, 0), ", but the text ends here"
    _, message, hint = next((r for r in _REASONS if e.msg.startswith(r[0])), ("", e.msg, ""))
    if word.lower() in ("true", "false", "null", "none"):
        hint = "JSON writes true, false and null in lower case"
    elif word.startswith("'"):
        hint = 'JSON takes double quotes (") only'
    return error("CR121", f"not JSON: {message}{found}", span_at(path, shown, at, at + len(word)), hint=hint)


def _too_deep(span: Span) -> Diagnostic:
    return error("CR112", f"lists and objects are nested more than {DEEPEST} deep", span)


def _deep_place(text: str) -> tuple[int, int] | None:
    """Where the text first goes deeper than it may."""
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += (token[0] in "{[") - (token[0] in "}]")
        if depth > DEEPEST:
            return token.span()
    return None


def _without_extras(path: str, text: str, severity: Severity) -> tuple[str, list[Diagnostic]]:
    """The text with comments and trailing commas blanked (every place stays), and a diagnostic for the first ones."""
    lines = _Lines(path, text)
    found: list[Diagnostic] = []
    blank: list[tuple[int, int]] = []
    told: Counter[str] = Counter()

    def tell(code: str, message: str, place: tuple[int, int], hint: str) -> None:
        told[code] += 1
        if told[code] <= MOST_REPORTED:
            found.append(Diagnostic(code, severity, message, lines.span(*place), hint))

    before = comma = None
    for token in re.finditer(_LOOSE_TOKEN, text, re.DOTALL):
        if token["comment"]:
            blank.append(token.span())
            message = "a comment: JSON has none, and rkt will refuse the file"
            hint = "take it out; unknown keys are allowed, so a note can be a key"
            tell("CR123", message, token.span(), hint)
            continue
        if token[0] in "}]" and comma is not None:
            blank.append(comma)
            message = f"a comma before the closing {token[0]}: JSON has none there, and rkt will refuse the file"
            tell("CR122", message, comma, "delete this comma")
        # A comma without a value before it stays for the JSON reader to refuse.
        comma = token.span() if token[0] == "," and before not in (None, "[", "{", ",", ":") else None
        before = token[0]
    cleaned = list(text)
    for start, end in blank:
        cleaned[start:end] = [c if c == "\n" else " " for c in cleaned[start:end]]
    return "".join(cleaned), found


class _Lines:
    """The places of a text; each is found by bisection."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        lines = text.split("\n")
        self.starts = [0, *accumulate(len(line) + 1 for line in lines)]
        self.lines = [line.removesuffix("\r") for line in lines]

    def span(self, start: int, end: int) -> Span:
        """The place of text[start:end], cut at the end of its first line."""
        number = bisect_right(self.starts, start)
        begin, line = self.starts[number - 1], self.lines[number - 1]
        return Span(self.path, number, start - begin + 1, min(end - begin, len(line)) + 1, line)


class _Builder:
    """Text that the JSON reader took in, nodes out; its own stack.

    shown is the same text as it stands in the file, comments and all.
    """

    def __init__(self, path: str, text: str, shown: str, twice: list[Diagnostic] | None) -> None:
        self.text = text
        self._span = _Lines(path, shown).span
        self.problems: list[Diagnostic] = []
        self.twice = self.problems if twice is None else twice

    def value(self) -> Node:
        roots: list[Node] = []
        stack: list[tuple[int, list[Node]]] = []
        for token in _TOKEN.finditer(self.text):
            word = token[0]
            if word in "{[":
                stack.append((token.start(), []))
                if len(stack) > DEEPEST:
                    raise CompileError([*self.problems, _too_deep(self._span(*token.span()))])
            elif word in "}]":
                start, children = stack.pop()
                span = self._span(start, token.end())
                node = Sequence(tuple(children), span) if word == "]" else self._mapping(children, span)
                (stack[-1][1] if stack else roots).append(node)
            elif word not in ":,":
                (stack[-1][1] if stack else roots).append(self._scalar(word, self._span(*token.span())))
        if self.problems:
            raise CompileError(self.problems)
        return roots[0]

    def _mapping(self, children: list[Node], span: Span) -> Mapping:
        entries = tuple(self._pairs(children))
        seen: dict[str, Scalar] = {}
        for key, _ in entries:
            first = seen.setdefault(key.text, key)
            if first is not key:
                self._tell(duplicate_key(key, first), self.twice)
        return Mapping(entries, span)

    def _tell(self, problem: Diagnostic, where: list[Diagnostic] | None = None) -> None:
        """Keep a problem, if it is one of the first."""
        where = self.problems if where is None else where
        if len(where) < MOST_REPORTED:
            where.append(problem)

    def _pairs(self, children: list[Node]) -> Iterator[tuple[Scalar, Node]]:
        for key, value in zip(children[::2], children[1::2], strict=True):
            if isinstance(key, Scalar):  # always: JSON's keys are strings
                yield key, value

    def _scalar(self, word: str, span: Span) -> Scalar:
        if not word.startswith('"'):
            if word in ("NaN", "Infinity", "-Infinity"):
                self._tell(error("CR124", f"{word} is no number in JSON", span))
            return Scalar(word, plain=True, place=span)
        if "\\" not in word:
            return Scalar(word[1:-1], plain=False, place=span)
        text: str = json.loads(word)
        if re.search(_SURROGATE, text):  # in UTF-8 only an escape can say one
            hint = "characters above U+FFFF are written as two escapes"
            self._tell(error("CR125", "half a surrogate pair, which is no character", span, hint=hint))
        return Scalar(text, plain=False, place=span)
