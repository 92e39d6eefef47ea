"""What endpoints a rule means in, a Selector that prints, matches and names its labels out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum

from calico_rkt.compiler.values import dataclass

MAX_KEY = 512
"""Characters in one label name (Calico's tokenizer)."""
LABEL_NAME = re.compile(r"[a-zA-Z0-9_./-]+")


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


@dataclass(frozen=True, slots=True)
class Selector:
    """A selector; equality is structural. Made by parse_selector, has, any_of, all_of, in_order and negate.

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
    if not LABEL_NAME.fullmatch(key) or len(key) > MAX_KEY:
        raise ValueError(f"not a label name: {key!r}")
    return Selector(Op.HAS, key)


def any_of(selectors: Iterable[Selector]) -> Selector:
    """Whatever one of them matches; sorted, each once, so that their order does not matter. None: nothing."""
    return _joined(Op.OR, _canonical(Op.OR, selectors)) or negate(ALL)


def all_of(selectors: Iterable[Selector]) -> Selector:
    """What all of them match; sorted, each once, so that their order does not matter. None: all()."""
    return _joined(Op.AND, _canonical(Op.AND, selectors)) or ALL


def in_order(op: Op, selectors: Iterable[Selector]) -> Selector:
    """All of them (AND) or any (OR), at least one, in the order of a text; what is joined by the same word is one."""
    return _joined(op, tuple(_flat(op, selectors))) or ALL


def negate(selector: Selector) -> Selector:
    """Whatever it does not match; a double negation cancels."""
    return selector.operands[0] if selector.op is Op.NOT else Selector(Op.NOT, operands=(selector,))


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
