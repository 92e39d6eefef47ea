"""The parser's own tables in, a JSON Schema of the files in `profiles/` out: for editors, which complete keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from calico_rkt.compiler.grammar.defaults import BUILT_IN
from calico_rkt.compiler.grammar.expectations import END_KEYS, END_WORDS, TEST_KEYS, VERDICTS, WHAT_KEYS
from calico_rkt.compiler.grammar.guardrails import GUARDRAIL_KEYS, GUARDRAILS
from calico_rkt.compiler.grammar.overrides import OVERRIDE_KEYS, PROFILE_KEYS, SHARED_KEYS
from calico_rkt.compiler.grammar.rules import DEFAULT, RULE_KEYS
from calico_rkt.compiler.grammar.settings import SETTINGS_KEYS
from calico_rkt.compiler.grammar.sides import SIDE_KEYS
from calico_rkt.compiler.ir.canonical import API_VERSION, KIND
from calico_rkt.compiler.ir.model import FELIX_MODES, PROTOCOL_NAMES, Action, ToHost

Schema = dict[str, Any]

_WORDS = {
    "network": "the conf's `name`; `network:` of an end is the endpoints of one network, or of several",
    "ingress": "what reaches the endpoints, first match wins; left out: the default rules, []: deny all",
    "egress": "what the endpoints send, first match wins; left out: the default rules, []: deny all",
    "endpoint_to_host": "what egress lets through to the host: dropped, left to the host's firewall, or accepted",
    "tests": "what a reviewer expects; `calico-rkt test` runs them",
    "definitions": "names for nets and ports that all files here may use",
    "settings": "the default rules of this workspace, and how Felix enforces where it is for a cluster",
    "felix": "how Felix enforces on the cluster's nodes: what another mode could not do is not refused",
    "log_limit": "lines a second that each Log rule writes (10), and how many at once before that counts (50)",
    "guardrails": "what the workspace promises, and what may change without asking",
    "action": "Allow, Deny, or Log (logs, and goes on with the next rule)",
    "protocol": "Calico's name, or a number from 1 to 255; left out: all",
    "selector": "a Calico selector on the labels of endpoints",
    "notSelector": "everything but such endpoints, what is no endpoint included",
    "nets": "CIDRs, or names of definitions",
    "ports": "ports, ranges such as 8000:8100, or names of definitions",
    "verdict": "Allow: every such packet passes. Deny: none does",
    "except": "packets that this does not speak of",
    "never": "flows that are never allowed",
    "always": "flows that are always allowed",
    "envelope": "flows that a change may allow without asking",
    "because": "shown when the promise is broken",
    "ipVersion": "only packets of this family; left out: both, or that of the nets",
    "notProtocol": "all other protocols",
    "icmp": "ICMP's type, and its code where that matters",
    "notICMP": "all other types and codes",
    "source": "who sends",
    "destination": "who is reached",
    "metadata": "Calico's, kept as it is",
    "notNets": "addresses in none of these",
    "notPorts": "all other ports",
    "name": "what it is called where it does not hold",
    "from": "who sends",
    "to": "who is reached",
    "port": "one port or several",
    "ip": "an address or a CIDR",
    "outside": "who has no profile: any address that no network here owns",
    "host": "this host",
    "endpoints": "the endpoints of all networks here",
    "any": "everybody, the host and the outside included",
    "default": "the default rules: a set that is built in, or rules of one's own",
    "profiles_dirs": "which folder stands for one that confs name on a host",
    "rate": "lines a second",
    "burst": "lines at once",
    "type": "a number from 0 to 254, as Calico has it",
    "code": "a number from 0 to 255; left out: all",
    "apiVersion": "as Calico has it",
    "kind": "as Calico has it",
    "spec": "Calico's rules; labelsToApply holds the network's id",
}
_TEXT: Schema = {"type": ["string", "number", "boolean"]}
"""A value is read from its own text, so `20:21`, `80` and `no` may look like anything to an editor."""
_PORT: Schema = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": ["string", "boolean"]}]}
"""A definition may be called `true`, which an editor reads as a truth."""
_PROFILES_DIRS: Schema = {"type": "object", "propertyNames": {"pattern": "^/"}, "additionalProperties": _TEXT}
_NUMBER: Schema = {"type": ["integer", "string"]}


def schema() -> Schema:
    """Draft 2020-12. It takes whatever the compiler takes; the compiler refuses more, such as a bad CIDR."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "calico-rkt: a file of profiles/",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in ("override", "shared", "profile")],
        "$defs": {
            "override": _object(OVERRIDE_KEYS, _override_values(), required=("network",)),
            "shared": {**_object(SHARED_KEYS, _shared_values()), "minProperties": 1},
            "profile": _object(PROFILE_KEYS, _profile_values(), required=("apiVersion", "kind", "metadata", "spec")),
            "rule": _object(RULE_KEYS, _rule_values(), required=("action",)),
            "side": _object((*SIDE_KEYS, "network"), _side_values()),
            "test": _object(TEST_KEYS, _test_values(), required=("name", "from", "to", "verdict")),
            "promise": _object(GUARDRAIL_KEYS, _test_values(), required=("name",)),
            "what": {**_object(WHAT_KEYS, _test_values()), "minProperties": 1},
            "icmp": _object(("type", "code"), dict.fromkeys(("type", "code"), _NUMBER), required=("type",)),
            "end": {**_object(END_KEYS, _end_values()), "minProperties": 1, "maxProperties": 1},
            "protocol": {
                "description": _WORDS["protocol"],
                "anyOf": [{"enum": [*PROTOCOL_NAMES.values()]}, {"type": ["integer", "string"]}],
            },
        },
    }


def _object(keys: Iterable[str], values: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    """A mapping with these keys and no other; a key that values lack takes anything."""
    properties = {k: {**values.get(k, {}), **({"description": _WORDS[k]} if k in _WORDS else {})} for k in keys}
    out: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**out, "required": list(required)} if required else out


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _one_or_list(items: Schema) -> Schema:
    return {"anyOf": [items, _list(items)]}


def _override_values() -> Mapping[str, Schema]:
    rules = _list({"anyOf": [_ref("rule"), {"const": DEFAULT}]})
    return {
        "network": _TEXT,
        "ingress": rules,
        "egress": rules,
        "endpoint_to_host": {"enum": [t.value for t in ToHost]},
        "tests": _list(_ref("test")),
    }


def _shared_values() -> Mapping[str, Schema]:
    def names(items: Schema) -> Schema:
        return {"type": "object", "additionalProperties": _list(items)}

    rules = {
        "type": "object",
        "properties": {d: _list(_ref("rule")) for d in ("ingress", "egress")},
        "additionalProperties": False,
    }
    definitions = {
        "nets": {**names(_TEXT), "description": "a list of CIDRs under each name"},
        "ports": {**names(_PORT), "description": "a list of ports under each name"},
    }
    default = {"anyOf": [{"enum": list(BUILT_IN)}, rules]}
    return {
        "definitions": {"type": "object", "properties": definitions, "additionalProperties": False},
        "settings": _object(
            SETTINGS_KEYS,
            {
                "default": default,
                "felix": {**_list({"enum": list(FELIX_MODES)}), "minItems": 1},
                "log_limit": _object(
                    ("rate", "burst"),
                    {k: {"type": "integer", "minimum": 1, "maximum": 10_000} for k in ("rate", "burst")},
                ),
                "profiles_dirs": _PROFILES_DIRS,
            },
        ),
        "guardrails": _object(GUARDRAILS, {g: _list(_ref("promise")) for g in GUARDRAILS}),
    }


def _profile_values() -> Mapping[str, Schema]:
    return {
        "apiVersion": {"const": API_VERSION},
        "kind": {"const": KIND},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {"type": "object", "required": ["labelsToApply"]},
    }


def _rule_values() -> Mapping[str, Schema]:
    return {
        "action": {"enum": [a.value for a in Action]},
        "ipVersion": {"enum": [4, 6, "4", "6"]},
        "protocol": _ref("protocol"),
        "notProtocol": _ref("protocol"),
        "icmp": _ref("icmp"),
        "notICMP": _ref("icmp"),
        "source": _ref("side"),
        "destination": _ref("side"),
        "metadata": {"type": "object"},
    }


def _side_values() -> Mapping[str, Schema]:
    return {
        **dict.fromkeys(("nets", "notNets"), _list(_TEXT)),
        **dict.fromkeys(("ports", "notPorts"), _list(_PORT)),
        **{key: {"type": "string"} for key in ("selector", "notSelector")},
        "network": _one_or_list(_TEXT),
    }


def _test_values() -> Mapping[str, Schema]:
    return {
        "name": _TEXT,
        "from": _ref("end"),
        "to": _ref("end"),
        "protocol": _ref("protocol"),
        "port": _one_or_list(_PORT),
        "icmp": _ref("icmp"),
        "except": _list(_ref("what")),
        "verdict": {"enum": list(VERDICTS)},
        "because": _TEXT,
    }


def _end_values() -> Mapping[str, Schema]:
    # "true" in quotes is the same text, so the compiler takes it.
    true = {"enum": [True, "true"]}
    return {"network": _one_or_list(_TEXT), "ip": _TEXT, **dict.fromkeys(END_WORDS, true)}
