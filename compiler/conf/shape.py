"""A conf's outermost object in; whose conf it is, and the object of our plugin in it, out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from calico_rkt.compiler.conf.section import Section
from calico_rkt.compiler.diagnostics import CompileError, error
from calico_rkt.compiler.text.json_nodes import parse_json
from calico_rkt.compiler.text.nodes import Mapping, Node, Scalar, Sequence
from calico_rkt.compiler.values import dataclass

CONF_SUFFIXES = (".conf", ".conflist", ".json")
"""How the names of conf files end: rkt reads the first, podman the second, containerd, nerdctl and Nomad all three."""
LARGEST_CONF = 1024 * 1024
"""Bytes of one conf."""
TYPE = "calico"
"""The name of this plugin: `type` of its confs."""

_LIST_KEYS = ("name", "cniVersion", "cniVersions", "disableCheck", "disableGC", "loadOnlyInlinedPlugins", "plugins")
_NAME = r'"name"\s*:\s*"([a-zA-Z0-9][a-zA-Z0-9_.\-]*)"'
_SOME_TYPE = r'(?i)"type"\s*:\s*"[^"]+"'
_IPAM = r'(?i)"ipam"\s*:\s*\{[^}]*\}?'


@dataclass(frozen=True, slots=True)
class Shape:
    """Whose a conf file is. name is its network's, empty where nobody can tell."""

    ours: bool
    name: str = ""


def shape_of(path: str, data: bytes) -> Shape:
    """Whose the file is, by as little of it as says so: what is another plugin's is judged no further.

    A file that can't be read that far may be ours, but a .json without any word of this plugin: that suffix is
    anybody's, and such a file is a conf only where it has `type` or `plugins`.
    """
    anybodys = path.endswith(".json")
    text = data.decode("utf-8-sig", "replace")
    try:
        keys = _loosely(path, data, text)
    except (ValueError, RecursionError, CompileError):
        return _by_words(text, anybodys=anybodys)
    if not isinstance(keys, dict):
        return Shape(not anybodys)
    plugins = keys.get("plugins")
    inner = [p.get("type") if isinstance(p, dict) else None for p in plugins] if isinstance(plugins, list) else []
    types = (keys.get("type"), *inner)
    name = keys.get("name")
    called = name if isinstance(name, str) else ""
    if TYPE in types:
        return Shape(ours=True, name=called)
    named = [isinstance(t, str) and t != "" for t in types]
    return Shape(not anybodys and not named[0] and not any(named[1:]), called)


def _loosely(path: str, data: bytes, text: str) -> object:
    """The value with keys in lower case, since the runtimes' parsers look at no case; of two types ours counts."""
    try:
        return json.loads(text, object_pairs_hook=_lowered)
    except ValueError:
        node, _ = parse_json(path, data, forgiving=True, largest=LARGEST_CONF)
        return _values(node)


def _lowered(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if found.get(key.lower()) != TYPE:
            found[key.lower()] = value
    return found


def _values(node: Node) -> object:
    if isinstance(node, Mapping):
        return _lowered((k.text, _values(v)) for k, v in node.entries)
    if isinstance(node, Sequence):
        return [_values(item) for item in node.items]
    return None if node.plain else node.text


def names_us(data: bytes) -> bool:
    """Whether a file has this plugin's name in it, as far as anybody can tell without reading it as JSON."""
    return TYPE.encode() in data or rb"\u" in data


def _by_words(text: str, *, anybodys: bool) -> Shape:
    """The same of a file that is no JSON: another plugin's where a type is given, and ours is not written at all."""
    names = set(re.findall(_NAME, text))
    mentioned = names_us(text.encode())
    foreign = re.search(_SOME_TYPE, re.sub(_IPAM, "", text)) is not None
    return Shape(mentioned or not (anybodys or foreign), names.pop() if len(names) == 1 else "")


def our_plugin(outer: Section, path: str, *, preview: bool) -> Section:
    """Our plugin's object: the conf itself, or the one in its list. CompileError where there is none to read.

    Which of the two a runtime looks at hangs on the file's suffix; a file that is not as its suffix says is told.
    """
    single, listed = outer.mapping.get("type") is not None, outer.mapping.get("plugins") is not None
    if not preview:
        return _refused(outer) if listed and not single else outer
    in_list = path.endswith(".conflist")
    if single and listed:
        used, unused = ("plugins", "type") if in_list else ("type", "plugins")
        why = "podman, containerd and Nomad read a .conflist so" if in_list else _SINGLES
        message = f"both `type` and `plugins`: {used} counts and {unused} does not; {why}"
        outer.warning("CR221", message, outer.span(unused), f"take out {unused}")
        listed = in_list
    elif listed and path.endswith((".conf", ".json")):
        message = "a list of plugins in a file for one: rkt, containerd and Nomad refuse it, podman does not read it"
        outer.warning("CR219", message, outer.span("plugins"), "call the file .conflist")
    elif single and in_list:
        message = "one plugin's conf in a .conflist: podman, containerd and Nomad refuse it, rkt does not read it"
        outer.warning("CR220", message, outer.span("type"), "call the file .conf, or put the plugin into a list")
    return _of_list(outer) if listed else outer


_SINGLES = "rkt, containerd and Nomad read a .conf or .json so, podman reads neither"


def _refused(outer: Section) -> Section:
    span = outer.span("plugins")
    hint = "a runtime hands each plugin its own object, with the list's name and cniVersion"
    raise CompileError([*outer.problems, error("CR214", "a list of plugins, not the conf of one", span, hint=hint)])


def _of_list(outer: Section) -> Section:
    span = outer.span("plugins")
    outer.check_keys((*_LIST_KEYS, "type"), tuple(k.text for k, _ in outer.mapping.entries) if _single(outer) else ())
    items = outer.items("plugins", "plugin objects") or ()
    ours = [(i, p) for i, p in enumerate(items) if isinstance(p, Mapping) and _is_ours(p.get("type"))]
    if not ours:
        message = f"no plugin of this list has the type {TYPE!r}"
        raise CompileError([*outer.problems, error("CR214", message, span)])
    number, mapping = ours[0]
    if number > 0:
        outer.error("CR214", "calico must be the first plugin of its list", mapping.span)
    for _, other in ours[1:]:
        outer.error("CR214", "a second plugin of the type 'calico' in one list", other.span)
    return Section(mapping, f"plugins[{number}]", outer.problems)


def _single(outer: Section) -> bool:
    return outer.mapping.get("type") is not None


def _is_ours(node: Node | None) -> bool:
    return isinstance(node, Scalar) and not node.plain and node.text == TYPE
