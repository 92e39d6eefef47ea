"""A JSON Schema in, a table of each of its objects out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from reference.markdown import code, table

Schema = Mapping[str, Any]


def objects(schema: Schema, titles: Mapping[str, str]) -> str:
    """A heading and a table for each definition that titles names, and for the objects inside it."""
    return "".join(_object(title, schema["$defs"][name], "") for name, title in titles.items())


def _object(title: str, found: Schema, path: str) -> str:
    needed = set(found.get("required", ()))
    rows, inside = [], ""
    for key, value in found["properties"].items():
        plain = _plain(value)
        rows.append((code(key), "yes" if key in needed else "", _words(plain), value.get("description", "")))
        if "properties" in plain:
            inside += _object(f"{path}{key}", plain, f"{path}{key}.")
    return f"## {title}\n\n" + table(("key", "needed", "value", "what it says"), rows) + inside


def _plain(value: Schema) -> Schema:
    """Without null, which means that the key is not there."""
    ways = [way for way in value.get("anyOf", ()) if way != {"type": "null"}]
    return ways[0] if len(ways) == 1 else {**value, "anyOf": ways} if ways else value


def _words(value: Schema) -> str:
    usual = value.get("default")
    if usual is None:
        return _kind(value)
    return f"{_kind(value)}; {code(usual if isinstance(usual, str) else json.dumps(usual))} where it is missing"


def _kind(value: Schema) -> str:
    if "$ref" in value:
        return value["$ref"].rpartition("/")[2]
    if "enum" in value:
        return ", ".join(dict.fromkeys(code(str(one).lower() if one is True else str(one)) for one in value["enum"]))
    if "const" in value:
        return code(str(value["const"]))
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(map(_kind, value["anyOf"])))
    if "examples" in value:
        return ", ".join(map(code, value["examples"]))
    return _typed(value)


def _typed(value: Schema) -> str:
    kind = value.get("type")
    if kind == "array":
        return f"list of {_kind(value['items'])}"
    if kind == "object" and "properties" not in value:
        return "names, each with its values" if "additionalProperties" in value else "object"
    if isinstance(kind, list):
        return "number or text" if "integer" in kind else "text"
    if value.get("pattern") == "^/":
        return "an absolute path"
    bounds = f" from {value['minimum']} to {value['maximum']}" if "minimum" in value else ""
    words = {"string": "text", "boolean": "`true` or `false`", "integer": f"number{bounds}"}
    return words.get(str(kind), str(kind or "any"))
