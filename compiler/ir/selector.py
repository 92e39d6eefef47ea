"""Calico selector text in, a Selector that prints, matches and names its labels out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

MAX_LENGTH = 1024
"""Characters in one selector (Calico's v3 schema)."""
MAX_KEY = 512
"""Characters in one label name (Calico's tokenizer)."""
MAX_DEPTH = 64
"""Parentheses in each other; ours, so that no input can exhaust the stack."""

_KEY = re.compile(r"[a-zA-Z0-9_./-]+")
_BLANK = " \t"


class SelectorError(Exception):
    """Text that Calico would refuse, or a selector too deep; offset counts characters from 0."""

    def __init__(self, message: str, offset: int) -> None:
        self.message, self.offset = message, offset
        super().__init__(message, offset)

    def __str__(self) -> str:
        return self.message


class Op(Enum):
    """What a node of a selector says; the value is its word in the language."""

    ALL = "all()"
    HAS = "has"
    EQUAL = "=="
    NOT_EQUAL = "!="
    CONTAINS = "contains"
    STARTS = "starts with"
    ENDS = "ends with"
    IN = "in"
    NOT_IN = "not in"
    NOT = "!"
    AND = "&&"
    OR = "||"


class Mention(NamedTuple):
    """One use of a label: value is None for has(key) and for an empty set."""

    key: str
    value: str | None
    operator: Op


@dataclass(frozen=True, slots=True)
class Selector:
    """A selector; equality is structural. Made by parse_selector, has, any_of, all_of and negate.

    An atom has a key and, but for has, values (one; for `in` and `not in` any number, sorted, each once).
    NOT has one operand, AND and OR two or more, none of them of the same kind.
    """

    op: Op
    key: str = ""
    values: tuple[str, ...] = ()
    operands: tuple[Selector, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an endpoint with these labels is selected.

        A missing label fails every test but `!=` and `not in`, which it passes, as in Calico.
        """
        return self.holds(lambda atom: _atom_matches(atom, labels))

    def holds(self, truth: Callable[[Selector], bool]) -> bool:
        """The value of the expression where truth answers for each atom; all() is true."""
        if self.op is Op.ALL:
            return True
        if self.op is Op.NOT:
            return not self.operands[0].holds(truth)
        if self.op is Op.AND:
            return all(o.holds(truth) for o in self.operands)
        if self.op is Op.OR:
            return any(o.holds(truth) for o in self.operands)
        return truth(self)

    @property
    def atoms(self) -> tuple[Selector, ...]:
        """Every test of one label, each once, in order of print; all() is none."""
        return tuple(sorted(set(_walk(self)), key=str))

    def mentioned(self) -> tuple[Mention, ...]:
        """Every label that decides, with each value it is compared to; sorted, each once."""
        found = {Mention(a.key, v, a.op) for a in _walk(self) for v in a.values or (None,)}
        return tuple(sorted(found, key=lambda m: (m.key, m.operator.value, m.value is not None, m.value or "")))

    def __str__(self) -> str:
        """The canonical text: single spaces, sorted sets, `"` quotes, parentheses only where needed."""
        if self.op is Op.ALL:
            return "all()"
        if self.op is Op.HAS:
            return f"has({self.key})"
        if self.op is Op.NOT:
            return "!" + _inside(self.operands[0], Op.AND, Op.OR)
        if self.op is Op.AND:
            return " && ".join(_inside(o, Op.OR) for o in self.operands)
        if self.op is Op.OR:
            return " || ".join(str(o) for o in self.operands)
        if self.op in (Op.IN, Op.NOT_IN):
            return f"{self.key} {self.op.value} {{{', '.join(map(_quoted, self.values))}}}"
        return f"{self.key} {self.op.value} {_quoted(self.values[0])}"


ALL = Selector(Op.ALL)
"""Matches every endpoint, and nothing that is no endpoint."""


def has(key: str) -> Selector:
    """Endpoints that carry the label, whatever its value; ValueError where key is no label name."""
    if not _KEY.fullmatch(key) or len(key) > MAX_KEY:
        raise ValueError(f"not a label name: {key!r}")
    return Selector(Op.HAS, key)


def any_of(selectors: Iterable[Selector]) -> Selector:
    """Whatever one of them matches; sorted, each once, so that their order does not matter. None: nothing."""
    return _joined(Op.OR, _canonical(Op.OR, selectors)) or negate(ALL)


def all_of(selectors: Iterable[Selector]) -> Selector:
    """What all of them match; sorted, each once, so that their order does not matter. None: all()."""
    return _joined(Op.AND, _canonical(Op.AND, selectors)) or ALL


def negate(selector: Selector) -> Selector:
    """Whatever it does not match; a double negation cancels."""
    return selector.operands[0] if selector.op is Op.NOT else Selector(Op.NOT, operands=(selector,))


def parse_selector(text: str) -> Selector:
    """The selector that Calico's parser (libcalico-go/lib/selector) reads in text; raises SelectorError.

    Refused here although that parser takes it: an empty text, which in a rule is no constraint at all and not
    all(), so the caller has to decide; `global(`, which Calico's validator refuses in selectors of rules.
    """
    if len(text) > MAX_LENGTH:
        raise SelectorError(f"the selector has {len(text)} characters, Calico takes {MAX_LENGTH}", MAX_LENGTH)
    if (at := text.find("global(")) >= 0:
        raise SelectorError("global() is for namespaces and has no meaning in a rule's selector", at)
    if not text.strip(_BLANK):
        raise SelectorError("the selector is empty; all() selects every endpoint", 0)
    return _Parser(text).whole()


def _atom_matches(atom: Selector, labels: Mapping[str, str]) -> bool:
    value = labels.get(atom.key)
    if value is None:
        return atom.op in (Op.NOT_EQUAL, Op.NOT_IN)
    match atom.op:
        case Op.HAS:
            return True
        case Op.EQUAL | Op.IN:
            return value in atom.values
        case Op.NOT_EQUAL | Op.NOT_IN:
            return value not in atom.values
        case Op.CONTAINS:
            return atom.values[0] in value
        case Op.STARTS:
            return value.startswith(atom.values[0])
        case _:
            return value.endswith(atom.values[0])


def _walk(selector: Selector) -> Iterator[Selector]:
    if selector.operands:
        for operand in selector.operands:
            yield from _walk(operand)
    elif selector.op is not Op.ALL:
        yield selector


def _inside(operand: Selector, *weaker: Op) -> str:
    return f"({operand})" if operand.op in weaker else str(operand)


def _quoted(value: str) -> str:
    return f"'{value}'" if '"' in value else f'"{value}"'


def _flat(op: Op, operands: Iterable[Selector]) -> Iterator[Selector]:
    for operand in operands:
        if operand.op is op:
            yield from operand.operands
        else:
            yield operand


def _canonical(op: Op, operands: Iterable[Selector]) -> tuple[Selector, ...]:
    return tuple(sorted(set(_flat(op, operands)), key=str))


def _joined(op: Op, operands: tuple[Selector, ...]) -> Selector | None:
    if len(operands) < 2:
        return operands[0] if operands else None
    return Selector(op, operands=operands)


class _Parser:
    """Recursive descent over one text; at is the next character to read."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def whole(self) -> Selector:
        found = self._or()
        if self.at < len(self.text):
            raise self._error(f"expected && or ||, found {self._found()}")
        return found

    def _or(self) -> Selector:
        return self._chain(Op.OR, self._and)

    def _and(self) -> Selector:
        return self._chain(Op.AND, self._operation)

    def _chain(self, op: Op, term: Callable[[], Selector]) -> Selector:
        terms = [term()]
        while self._take(op.value):
            terms.append(term())
        if self.text.startswith(op.value[0], self.at):
            raise self._error(f"expected {op.value}, found a single {op.value[0]}")
        return _joined(op, tuple(_flat(op, terms))) or ALL

    def _operation(self) -> Selector:
        negated = False
        while self._take("!"):
            negated = not negated
        found = self._parenthesised() if self.text.startswith("(", self.at) else self._atom()
        self._skip()
        return negate(found) if negated else found

    def _parenthesised(self) -> Selector:
        start = self.at
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} parentheses in each other")
        self.at += 1
        found = self._or()
        if not self._take(")"):
            raise self._error(f"expected ) for the ( at character {start + 1}, found {self._found()}")
        self.depth -= 1
        return found

    def _atom(self) -> Selector:
        if self._take("all("):
            self._closing("all")
            return ALL
        if self._take("has("):
            key = self._key("a label name in has()")
            self._closing("has")
            return Selector(Op.HAS, key)
        key = self._key("a label name, has(), all(), ! or (")
        op = self._operator(key)
        if op in (Op.IN, Op.NOT_IN):
            return Selector(op, key, self._set(op))
        return Selector(op, key, (self._string(op.value),))

    def _closing(self, name: str) -> None:
        if not self._take(")"):
            raise self._error(f"expected ) to close {name}(, found {self._found()}")

    def _key(self, wanted: str) -> str:
        self._skip()
        found = _KEY.match(self.text, self.at)
        if found is None:
            raise self._error(f"expected {wanted}, found {self._found()}")
        if len(found[0]) > MAX_KEY:
            raise self._error(f"a label name of {len(found[0])} characters; Calico takes {MAX_KEY}")
        self.at = found.end()
        self._skip()
        return found[0]

    def _operator(self, key: str) -> Op:
        for op in (Op.EQUAL, Op.NOT_EQUAL, Op.CONTAINS, Op.IN):
            if self._take(op.value):
                return op
        start = self.at
        for op in (Op.STARTS, Op.ENDS, Op.NOT_IN):
            # The blank inside may be missing or be many: `startswith` is the same word to Calico.
            first, second = op.value.split()
            if self._take(first) and self._take(second):
                return op
            self.at = start
        if self.text.startswith("(", self.at) and key in ("has", "all"):
            raise self._error(f"no blank may stand between {key} and (")
        wanted = "==, !=, contains, starts with, ends with, in or not in"
        raise self._error(f"expected {wanted} after the label {key}, found {self._found()}")

    def _set(self, op: Op) -> tuple[str, ...]:
        if not self._take("{"):
            raise self._error(f"expected a set in braces after {op.value}, found {self._found()}")
        found: set[str] = set()
        while not self._take("}"):
            found.add(self._string("the { or comma of a set"))
            self._skip()
            if not self._take(",") and not self.text.startswith("}", self.at):
                raise self._error(f"expected , or }} in the set, found {self._found()}")
        return tuple(sorted(found))

    def _string(self, after: str) -> str:
        quote = self.text[self.at : self.at + 1]
        if quote not in ("'", '"'):
            raise self._error(f"expected a value in quotes after {after}, found {self._found()}")
        end = self.text.find(quote, self.at + 1)
        if end < 0:
            raise self._error(f"the value has no closing {quote}")
        value = self.text[self.at + 1 : end]
        self.at = end + 1
        return value

    def _take(self, word: str) -> bool:
        self._skip()
        if not self.text.startswith(word, self.at):
            return False
        self.at += len(word)
        self._skip()
        return True

    def _skip(self) -> None:
        while self.text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1

    def _found(self) -> str:
        if self.at >= len(self.text):
            return "the end"
        if self.text[self.at] in "\r\n":
            return "a line break (only spaces and tabs may separate words)"
        word = _KEY.match(self.text, self.at)
        return word[0][:40] if word else self.text[self.at]

    def _error(self, message: str) -> SelectorError:
        return SelectorError(message, self.at)
