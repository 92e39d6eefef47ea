"""YAML text in, JSON values out, as Calico's own reader (sigs.k8s.io/yaml) takes them, and nothing doubtful."""

from __future__ import annotations

import re

import yaml

from calico_rkt.compiler.targets.readback import unreadable

Value = str | int | bool | None | list["Value"] | dict[str, "Value"]

_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_TAG = "tag:yaml.org,2002:"
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_QUOTES = ("'", '"', "|", ">")
_INT = re.compile(r"0|[1-9][0-9]{0,18}")
_DOUBTFUL = re.compile(
    r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)(e[-+]?[0-9]+)?|0[xob][0-9a-f_]+|[-+]?\.(inf|nan)|y|n|yes|no|on|off|<<",
    re.IGNORECASE,
)


def load_yaml(text: str, before: int = 0) -> Value:
    """The value of one document, before which so many lines of a file stand.

    YAML versions disagree about `yes`, `010` or `1e3`: those are refused unquoted.
    """
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as e:
        parts = ((e.context, e.context_mark), (e.problem, e.problem_mark))
        words = (f"{said} in line {mark.line + 1 + before}" if mark else said for said, mark in parts if said)
        raise unreadable("YAML", ", ".join(words)) from e
    except yaml.YAMLError as e:
        raise unreadable("YAML", " ".join(str(e).split())) from e
    return None if node is None else _value(node, before)


def _value(node: yaml.Node, before: int) -> Value:
    if isinstance(node, yaml.MappingNode):
        out: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key = _value(key_node, before)
            if not isinstance(key, str) or key in out:
                raise unreadable(
                    "YAML", f"line {_line(key_node, before)}: the key {key!r} is no text or stands there twice"
                )
            out[key] = _value(value_node, before)
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, before) for item in node.value]
    if not isinstance(node, yaml.ScalarNode):
        raise unreadable("YAML", f"line {_line(node, before)}: no value")
    text: str = node.value
    if node.style in _QUOTES:
        if node.tag != _TAG + "str":
            raise unreadable("YAML", f"line {_line(node, before)}: a tag that Calico does not read")
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _DOUBTFUL.fullmatch(text) or text.lower() in _WORDS:
        raise unreadable(
            "YAML", f"line {_line(node, before)}: {text} means different things to different readers; quote it"
        )
    return text


def _line(node: yaml.Node, before: int) -> int:
    return int(node.start_mark.line) + 1 + before
