"""The YAML of `definitions:` in, the shared names of a workspace out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.grammar.sides import DEFINITION_NAME
from calico_rkt.compiler.ir.model import Net, PortRange
from calico_rkt.compiler.text.fields import Field, Problems, fields_of, items_of, text_of
from calico_rkt.compiler.text.nodes import Mapping, Node, Sequence
from calico_rkt.compiler.text.values import BadValueError, parse_net, parse_port

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Definition(Generic[T]):
    """One shared name and what it stands for; empty only beside an error."""

    name: str
    values: tuple[T, ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Definitions:
    """The shared names of a workspace; a name of nets and one of ports may be the same word."""

    nets: tuple[Definition[Net], ...] = ()
    ports: tuple[Definition[PortRange], ...] = ()


def parse_definitions(section: Field, problems: Problems) -> Definitions:
    """`{nets: {NAME: [CIDR, ...]}, ports: {NAME: [PORT, ...]}}`; members are values, never other names."""
    found = fields_of(section.value, ("nets", "ports"), "definitions", problems)
    return Definitions(
        _group(found["nets"], parse_net, problems) if "nets" in found else (),
        _group(found["ports"], parse_port, problems) if "ports" in found else (),
    )


def _group(group: Field, parse: Callable[[str], T], problems: Problems) -> tuple[Definition[T], ...]:
    node = group.value
    names = [k.text for k, _ in node.entries] if isinstance(node, Mapping) else []
    out = []
    for name, entry in fields_of(node, names, f"definitions of {group.key.text}", problems).items():
        if not DEFINITION_NAME.fullmatch(name):
            hint = "a letter first, then letters, digits, - and _"
            problems.error("CR335", f"{name!r} can not be told from a value", entry.key.span, hint)
            continue
        values = tuple(v for i in items_of(entry.value, name, problems) if (v := _value(i, name, parse, problems)))
        out.append(Definition(name, values, entry.key.span))
        if isinstance(entry.value, Sequence) and not entry.value.items:
            hint = "where it is used it would constrain nothing: take it out"
            problems.error("CR335", f"the definition {name} is empty", entry.key.span, hint)
    return tuple(out)


def _value(node: Node, name: str, parse: Callable[[str], T], problems: Problems) -> T | None:
    text = text_of(node, f"a value of {name}", problems)
    if text is None:
        return None
    try:
        return parse(text.text)
    except BadValueError as e:
        hint = "a definition holds values, never another name" if DEFINITION_NAME.fullmatch(text.text) else e.hint
        problems.error(e.code, e.message, text.span, hint)
        return None
