"""Bytes of YAML in, the file's one document as nodes out: libyaml's events, on a stack of our own.

To import this imports PyYAML, which takes longer than an ADD: what only reads JSON has nodes.py and json_nodes.py.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import yaml

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, Span, error
from calico_rkt.compiler.text.nodes import (
    DEEPEST,
    MOST_REPORTED,
    Mapping,
    Node,
    Place,
    Scalar,
    Sequence,
    decode,
    duplicate_key,
    is_null,
    span_at,
)
from calico_rkt.compiler.text.yaml_python import Loader

_COMMENT = r"(?:(?<=\s)|^)#"
# libyaml's parser where PyYAML was built with it: ten times the pure one.
_LOADER: Any = getattr(yaml, "CSafeLoader", Loader)
_TABBED = r"^ *\t\s*\S"

# What libyaml and PyYAML say, and what helps.
_WAYS_OUT = (
    ("mapping values are not allowed", 'a value that contains ": " stands in quotes; a key starts on its own line'),
    ("cannot start any token", "a value that begins with this character stands in quotes"),
    ("could not find expected ':'", "a key is followed by a colon and a blank"),
    ("did not find expected key", "check the indentation, and that brackets and quotes of the line above are closed"),
    ("expected <block end>", "check the indentation, and that brackets and quotes of the line above are closed"),
    ("expected ',' or", "a list or mapping in brackets needs commas, and its closing bracket"),
    ("unexpected end of stream", "a quote was opened and never closed"),
    ("block sequence entries are not allowed", "a list starts on a line of its own below its key"),
    ("did not find expected '-' indicator", "every entry of this list begins with - in the same column"),
    ("incompatible YAML document", "take the %YAML line out"),
    ("unknown escape character", "in single quotes a backslash is only a backslash"),
)


# What PyYAML's own parser says in its words, in those of libyaml's.
_IN_C = (
    (r"expected a comment or a line break, but (?:found|got) .*", "did not find expected comment or line break"),
    (r"expected chomping or indentation .*", "did not find expected comment or line break"),
    (r"expected '(<[^']*>)', but (?:found|got) .*", r"did not find expected \1"),
    (r"expected (?:the )?(.*?), but (?:found|got) .*", r"did not find expected \1"),
    (r"(?:block )?sequence entries are not allowed here", "block sequence entries are not allowed in this context"),
    (r"mapping (keys|values) are not allowed here", r"mapping \1 are not allowed in this context"),
    (r"found character '.*' that cannot start any token", "found character that cannot start any token"),
)


def parse_yaml(path: str, data: bytes, twice: list[Diagnostic] | None = None) -> Node:
    """The one document of a YAML file; an empty one is a null Scalar. Raises CompileError with all problems.

    twice takes duplicate keys, where a caller goes on to look for what else is wrong.

    Refused, since a reviewer reads the text and not what YAML makes of it: anchors, aliases, tags, merge
    keys, duplicate keys, more than one document, hidden characters, files over 8 MiB.
    """
    return _Composer(path, decode(path, data), twice).document()


class _Composer:
    """Events in, nodes out, with its own stack: depth is counted, never recursed into."""

    def __init__(self, path: str, text: str, twice: list[Diagnostic] | None) -> None:
        self.path, self.text = path, text
        self.lines = [line.removesuffix("\r") for line in text.split("\n")]
        self.problems: list[Diagnostic] = []
        self.told: Counter[str] = Counter()
        self.twice = self.problems if twice is None else twice
        self.aliases: set[str] = set()
        self.open: list[tuple[Any, list[Node]]] = []

    def document(self) -> Node:
        root: Node | None = None
        try:
            root = self._compose()
        except yaml.MarkedYAMLError as e:
            self.problems += self._syntax(e)
        except yaml.YAMLError as e:
            self.problems.append(error("CR106", f"not YAML: {e}", path=self.path))
        if self.problems:
            raise CompileError(self.problems)
        return root or Scalar("", plain=True, place=Span(self.path, 1, 1, 2, self.lines[0]))

    def _compose(self) -> Node | None:
        stack = self.open
        roots: list[Node] = []
        siblings = roots
        for event in iter(_LOADER(self.text).get_event, None):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                if event.anchor is not None or event.tag is not None:
                    self._refuse_extras(event)
                place: Place = (self, event.start_mark, event.end_mark) if event.value else self._empty(event)
                node: Node = Scalar(event.value, not event.style, place)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                if event.anchor is not None or event.tag is not None:
                    self._refuse_extras(event)
                siblings = []
                stack.append((event, siblings))
                if len(stack) > DEEPEST:
                    message = f"lists and mappings are nested more than {DEEPEST} deep"
                    self._tell(error("CR112", message, self.span(event.start_mark, event.end_mark)))
                    return None
                continue
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                start, children = stack.pop()
                node = self._collection(start, children, event)
                siblings = stack[-1][1] if stack else roots
            elif kind is yaml.AliasEvent:
                span = self.span(event.start_mark, event.end_mark)
                if event.anchor not in self.aliases:
                    self.aliases.add(event.anchor)
                    hint = "write the value out, or name it under definitions:"
                    self._tell(error("CR108", f"the alias *{event.anchor} is not read here", span, hint=hint))
                node = Scalar("", plain=True, place=span)
            else:
                if kind is yaml.DocumentStartEvent and roots:
                    span = self.span(event.start_mark, event.end_mark)
                    hint = "one file holds one document: split it at this line"
                    self._tell(error("CR111", "a second YAML document starts here", span, hint=hint))
                    return None
                continue
            siblings.append(node)
        return roots[0] if roots else None

    def _collection(self, start: Any, children: list[Node], end: Any) -> Node:  # noqa: ANN401 - PyYAML's events
        place = (self, start.start_mark, end.end_mark)
        if type(start) is yaml.SequenceStartEvent:
            return Sequence(tuple(children), place)
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, Scalar] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Scalar) or is_null(key):
                self._tell(error("CR113", "a key is one word or a quoted string", key.span))
                continue
            if key.plain and key.text == "<<":
                hint = "write the keys out, or name the value under definitions:"
                self._tell(error("CR110", "merge keys (<<) are not read here", key.span, hint=hint))
                continue
            if (first := seen.setdefault(key.text, key)) is not key:
                self._tell(duplicate_key(key, first), self.twice)
            entries.append((key, value))
        return Mapping(tuple(entries), place)

    def _tell(self, problem: Diagnostic, where: list[Diagnostic] | None = None) -> None:
        """Keep a problem, if it is one of the first of its kind."""
        self.told[problem.code] += 1
        if self.told[problem.code] <= MOST_REPORTED:
            (self.problems if where is None else where).append(problem)

    def _refuse_extras(self, event: Any) -> None:  # noqa: ANN401 - PyYAML's events
        if event.anchor is not None:
            hint = "write the value out where it is used, or name it under definitions:"
            span = self.span(event.start_mark, event.end_mark)
            self._tell(error("CR108", f"the anchor &{event.anchor} is not read here", span, hint=hint))
        if event.tag is not None:
            span = self.span(event.start_mark, event.end_mark)
            hint = "take the tag away: the field that reads a value knows what it wants"
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._tell(error("CR109", f"the tag {tag} is not read here", span, hint=hint))

    def span(self, start: Any, end: Any) -> Span:  # noqa: ANN401 - PyYAML's marks
        """The place from one mark to another, in the line of the first."""
        if start.line >= len(self.lines):
            # libyaml counts a line more where the last one has no end.
            number, line = len(self.lines), self.lines[-1]
            return Span(self.path, number, len(line) + 1, len(line) + 2, line)
        line = self.lines[start.line]
        last = end.column if end.line == start.line else len(line)
        return Span(self.path, start.line + 1, start.column + 1, max(last, start.column + 1) + 1, line)

    def _empty(self, event: Any) -> Span:  # noqa: ANN401 - PyYAML's event
        """The place of empty quotes, or of a value that is not there.

        That is right behind its colon, whichever blanks the parser has passed.
        """
        span = self.span(event.start_mark, event.end_mark)
        if span.end_column > span.column + 1:
            return span
        for number in range(span.line, 0, -1):
            line = self.lines[number - 1]
            before = line[: span.column - 1] if number == span.line else line
            if column := len(before.rstrip(" \t")):
                return Span(span.path, number, column + 1, column + 2, line)
        return span

    def _syntax(self, e: yaml.MarkedYAMLError) -> list[Diagnostic]:
        mark = e.problem_mark or e.context_mark
        if mark is None:
            return [error("CR106", f"not YAML: {e.problem or e.context}", path=self.path)]
        if "could not find expected ':'" in str(e.problem):
            # Noticed in the next line, or behind the last.
            mark = e.context_mark or mark
        span = self.span(mark, mark)
        if "flow" in str(e.context) or "found unexpected end of stream" in str(e.problem):
            # What was opened and never closed helps more than the place where that was noticed.
            opening = self.open[-1][0].start_mark if self.open and self.open[-1][0].flow_style else e.context_mark
            span = self.span(opening, opening) if opening else span
        before = span.text[: span.column]
        if "\t" in before and not before.strip():
            tabs = [
                span_at(self.path, self.text, m.start(), m.start() + len(m[0]) - 1)
                for m in islice(re.finditer(_TABBED, self.text, re.MULTILINE), MOST_REPORTED)
            ]
            message = "a tab stands in the indentation, where YAML takes spaces only"
            return [error("CR105", message, place, hint="indent with spaces") for place in tabs or [span]]
        problem = _in_c(e.problem or "unreadable", e.context or "")
        context = f" {e.context}" if e.context else ""
        began = e.context_mark.line + 1 if e.context_mark else span.line
        since = f" that began in line {began}" if context and began < span.line else ""
        hint = next((way for said, way in _WAYS_OUT if said in problem), "")
        return [error("CR106", f"not YAML:{context}{since}{':' if context else ''} {problem}", span, hint=hint)]


def _in_c(problem: str, context: str) -> str:
    """A problem in libyaml's words: one text has one answer, whichever parser this Python has."""
    if problem.startswith("expected <block end>"):
        return f"did not find expected {'key' if 'mapping' in context else repr('-') + ' indicator'}"
    fitting = (found.expand(words) for pattern, words in _IN_C if (found := re.fullmatch(pattern, problem, re.DOTALL)))
    return next(fitting, problem)


def comments(data: bytes) -> list[tuple[int, int, str]]:
    """Line, column (both from 1) and text of each comment; none for text that is no YAML.

    A `#` in a quoted or a block scalar is no comment: those are known by the places of the scalars.
    """
    try:
        text = data.decode("utf-8-sig")
        events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        scalars = [
            (e.start_mark.index, e.end_mark.index) for e in events if hasattr(e, "style") and hasattr(e, "value")
        ]
    except (UnicodeDecodeError, yaml.YAMLError):
        return []
    out: list[tuple[int, int, str]] = []
    at = 0
    for number, line in enumerate(text.split("\n"), 1):
        for found in re.finditer(_COMMENT, line):
            place = at + found.start()
            n = bisect_right(scalars, (place, len(text) + 1)) - 1
            if n < 0 or place >= scalars[n][1]:
                out.append((number, found.start() + 1, line[found.start() :].rstrip()))
                break
        at += len(line) + 1
    return out
