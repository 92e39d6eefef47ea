"""One object of a conf in, its fields as strings, numbers and flags out; a wrong type is a diagnostic."""

from __future__ import annotations

import re
from collections.abc import Collection

from calico_rkt.compiler.diagnostics import Diagnostic, Span, error, warning
from calico_rkt.compiler.text.nodes import Mapping, Node, Scalar, Sequence, is_null

_INTEGER = r"-?(0|[1-9][0-9]{0,18})\Z"


def json_kind(node: Node) -> str:
    """What a JSON value is, in words for a message."""
    if isinstance(node, Mapping):
        return "an object"
    if isinstance(node, Sequence):
        return "a list"
    if not node.plain:
        return "a string"
    return "null" if is_null(node) else node.text if node.text in ("true", "false") else "a number"


class Section:
    """Reads an object of the conf; name is the way to it (`ipam`), empty for the conf itself. Adds to problems.

    A key with null is a missing one, as runtimes and CNI's other plugins read it.
    """

    def __init__(self, mapping: Mapping, name: str, problems: list[Diagnostic]) -> None:
        if any(map(is_null, (value for _, value in mapping.entries))):
            mapping = Mapping(tuple((k, v) for k, v in mapping.entries if not is_null(v)), mapping.span)
        self.mapping, self.name, self.problems = mapping, name, problems

    def label(self, key: str) -> str:
        """The key as messages call it: `ipam.subnet`."""
        return f"{self.name}.{key}" if self.name else key

    def span(self, key: str) -> Span:
        """Where the key's value stands, or the object where the key is missing."""
        value = self.mapping.get(key)
        return value.span if value is not None else self.mapping.span

    def error(self, code: str, message: str, span: Span, hint: str = "") -> None:
        self.problems.append(error(code, message, span, hint=hint))

    def warning(self, code: str, message: str, span: Span, hint: str = "") -> None:
        self.problems.append(warning(code, message, span, hint=hint))

    def missing(self, key: str, example: str) -> None:
        """Report that a required key is not there."""
        what = f"{self.name} has no" if self.name else "the conf has no"
        near = next((k.text for k, _ in self.mapping.entries if k.text.lower() == key.lower()), "")
        hint = f"it is spelled {near!r} here" if near else f"add {example}"
        self.error("CR202", f"{what} {key!r}", self.mapping.span, hint)

    def text(self, key: str) -> str | None:
        """A string without control characters; None where it is missing or wrong."""
        node = self.mapping.get(key)
        return None if node is None else self.text_of(node, self.label(key))

    def text_of(self, node: Node, label: str) -> str | None:
        """The same for a node that is no key's value, such as an item of a list."""
        if not isinstance(node, Scalar) or node.plain:
            hint = f'write "{node.text}"' if isinstance(node, Scalar) and not is_null(node) else ""
            self.error("CR203", f"{label} must be a string, not {json_kind(node)}", node.span, hint)
            return None
        if not node.text.isprintable():
            self.error("CR218", f"{label} holds a character that can not be shown", node.span)
            return None
        return node.text

    def boolean(self, key: str, default: bool) -> bool:
        node = self.mapping.get(key)
        if node is None:
            return default
        if isinstance(node, Scalar) and node.plain and node.text in ("true", "false"):
            return node.text == "true"
        quoted = isinstance(node, Scalar) and node.text.lower() in ("true", "false")
        hint = f"write {node.text.lower()} without quotes" if isinstance(node, Scalar) and quoted else ""
        self.error("CR203", f"{self.label(key)} must be true or false, not {json_kind(node)}", node.span, hint)
        return default

    def integer(self, key: str) -> int | None:
        """A whole number; None where it is missing or wrong."""
        node = self.mapping.get(key)
        if node is None:
            return None
        if isinstance(node, Scalar) and node.plain and re.match(_INTEGER, node.text):
            return int(node.text)
        hint = f"write {node.text} without quotes" if isinstance(node, Scalar) and re.match(_INTEGER, node.text) else ""
        said = node.text[:40] if isinstance(node, Scalar) and json_kind(node) == "a number" else json_kind(node)
        self.error("CR203", f"{self.label(key)} must be a whole number, not {said}", node.span, hint)
        return None

    def items(self, key: str, of: str) -> tuple[Node, ...] | None:
        """The items of a list; None where it is missing or wrong."""
        node = self.mapping.get(key)
        if node is None:
            return None
        if isinstance(node, Sequence):
            return node.items
        self.error("CR203", f"{self.label(key)} must be a list of {of}, not {json_kind(node)}", node.span)
        return None

    def section(self, key: str) -> Section | None:
        """The object under a key; None where it is missing or wrong."""
        node = self.mapping.get(key)
        if isinstance(node, Mapping):
            return Section(node, self.label(key), self.problems)
        if node is not None:
            self.error("CR203", f"{self.label(key)} must be an object, not {json_kind(node)}", node.span)
        return None

    def check_keys(self, known: Collection[str], passed: Collection[str] = ()) -> None:
        """Warn of keys that nobody reads; one that differs from a known key only in case is an error.

        rkt's own parser ignores case, so such a file is taken by rkt and would be half read here.
        """
        folded = {k.lower(): k for k in known}
        for key, _ in self.mapping.entries:
            if key.text in known or key.text in passed or key.text.startswith("cni.dev/"):
                continue
            exact = folded.get(key.text.lower())
            if exact is not None:
                self.error("CR205", f"the key {key.text!r} is written {exact!r}", key.span)
                continue
            self.warning(
                "CR205", f"unknown key {self.label(key.text)!r}: nothing reads it", key.span, _near(key, known)
            )


def _near(key: Scalar, known: Collection[str]) -> str:
    # Here, not above: no plugin call with a clean conf needs it.
    from calico_rkt.compiler.text.fields import nearest

    found = nearest(key.text, sorted(known))
    return f"did you mean {found!r}?" if found else ""
