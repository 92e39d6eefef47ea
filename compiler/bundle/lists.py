"""A document of a file in, the items of a list that `calicoctl get -o yaml` prints as documents of their own out."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_LIST = re.compile(r"""^\s*["']?kind["']?\s*:\s*["']?[A-Za-z]*List\b""", re.MULTILINE)


def items(text: str) -> Iterator[tuple[int, str]] | None:
    """Each item with the number of lines before it; None where the text is no list, or none that can be read."""
    if not _LIST.search(text):
        return None
    try:
        top = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError:
        return None
    found = _field(top, "items")
    kind = _field(top, "kind")
    if not isinstance(kind, yaml.ScalarNode) or not kind.value.endswith("List"):
        return None
    return _cut(text, found.value if isinstance(found, yaml.SequenceNode) else [])


def _field(node: yaml.Node | None, name: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for key, value in pairs if isinstance(key, yaml.ScalarNode) and key.value == name), None)


def _cut(text: str, nodes: list[yaml.Node]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        mark = node.start_mark
        # Its first line begins behind the dash of the list: as far in as the lines that follow it.
        yield mark.line, " " * mark.column + text[mark.index : node.end_mark.index].rstrip() + "\n"
