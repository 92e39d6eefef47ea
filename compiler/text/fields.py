"""A YAML node in, its fields, items and text out; what has the wrong shape becomes a diagnostic."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Mapping as MappingType
from enum import Enum

from calico_rkt.compiler.diagnostics import Diagnostic, Span, error, warning
from calico_rkt.compiler.text.nodes import Mapping, Node, Scalar, Sequence, is_null
from calico_rkt.compiler.values import dataclass

Reasons = MappingType[str, tuple[str, str]]
_NOTHING: Reasons = {}


class Form(Enum):
    """How a file says its policy: ours, Calico's own Profile, or a default rule set."""

    OURS = "override"
    V3 = "Calico v3 Profile"
    DEFAULTS = "default rule set"


@dataclass(frozen=True, slots=True)
class Field:
    """One `key: value`; key is where a problem with the field as a whole is shown."""

    key: Scalar
    value: Node


class Problems:
    """Collects what is wrong with one file, in the order found, so that all of it is reported at once."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def error(self, code: str, message: str, span: Span | None, hint: str = "") -> None:
        self.found.append(error(code, message, span, hint=hint))

    def warning(self, code: str, message: str, span: Span | None, hint: str = "") -> None:
        self.found.append(warning(code, message, span, hint=hint))


def node_kind(node: Node) -> str:
    """What a node is, in words for a message."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    return "null" if is_null(node) else "a single value"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint: the nearest known word, or all of them."""
    words = sorted(known)
    near = nearest(word, words)
    return f"did you mean {near}?" if near else f"known here: {', '.join(words)}"


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that somebody meant with this one, whatever its case; empty where none is near."""
    # Here, not above: what is right needs no hint.
    from difflib import get_close_matches

    folded = {w.lower(): w for w in known}
    near = get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else ""


def fields_of(
    node: Node,
    known: Collection[str],
    what: str,
    problems: Problems,
    *,
    refused: Reasons = _NOTHING,
    null_is_missing: bool = False,
) -> dict[str, Field]:
    """The fields of a mapping by key. Errors: no mapping, a key that is none of known, a null value.

    refused are keys that people may expect here, each with the reason why not and a way out. null_is_missing
    leaves nulls out without an error, as Calico's JSON decoder does.
    """
    if not isinstance(node, Mapping):
        problems.error(
            "CR303" if is_null(node) else "CR302", f"{what} must be a mapping, not {node_kind(node)}", node.span
        )
        return {}
    out: dict[str, Field] = {}
    for key, value in node.entries:
        name = key.text
        if name in refused:
            reason, way_out = refused[name]
            problems.error("CR307", f"{name} is not supported: {reason}", key.span, way_out)
        elif name not in known:
            problems.error("CR301", f"{what} has no key {name!r}", key.span, did_you_mean(name, known))
        elif is_null(value):
            if not null_is_missing:
                problems.error("CR303", f"{name} is null", key.span, "leave the key out, or give it a value")
        else:
            out[name] = Field(key, value)
    return out


def items_of(node: Node, what: str, problems: Problems) -> tuple[Node, ...]:
    """The items of a list; an error where it is none or where an item is null."""
    if not isinstance(node, Sequence):
        hint = "write it as a list: [ ... ]" if isinstance(node, Scalar) else ""
        problems.error(
            "CR303" if is_null(node) else "CR302", f"{what} must be a list, not {node_kind(node)}", node.span, hint
        )
        return ()
    nulls = [item for item in node.items if is_null(item)]
    if not nulls:
        return node.items
    for item in nulls:
        problems.error("CR303", f"an item of {what} is null", item.span)
    return tuple(i for i in node.items if not is_null(i))


def text_of(node: Node, what: str, problems: Problems) -> Scalar | None:
    """The node where it is one value with text, else None and an error."""
    if isinstance(node, Scalar) and not is_null(node):
        return node
    problems.error(
        "CR303" if is_null(node) else "CR302", f"{what} must be a single value, not {node_kind(node)}", node.span
    )
    return None
