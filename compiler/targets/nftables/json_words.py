"""libnftables' JSON of one rule in; its words out, as nft prints them and as read_rule takes them.

Numbers stay numbers (the listing is asked for them): names of protocols and ICMP types are a file of the host's to say.
What has no words of its own is said as its JSON, which no reader takes for anything that it knows.
Sets and verdict maps with a name are named here and read by who has their elements; those that stand in a rule are
said element by element.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

Statement = Mapping[str, Any]
"""One part of a rule, an object with one key."""

_FAMILIES = {2: "ipv4", 10: "ipv6"}
_NO_EFFECT = ("counter", "comment")
_BARE = ("iifname", "oifname", "iif", "oif", "iifgroup", "oifgroup", "mark")
"""Keys of meta that nft prints without the word."""


def rule_words(statements: Iterable[Statement]) -> list[str]:
    """The words of a rule, without what has no effect on a packet (counters)."""
    found: list[str] = []
    for statement in statements:
        ((kind, value),) = statement.items()
        if kind not in _NO_EFFECT:
            found += _statement(kind, value)
    return found


def _statement(kind: str, value: Any) -> list[str]:  # noqa: ANN401 - nft's JSON
    if value is None and kind != "xt":
        return [kind]
    if kind in ("jump", "goto") and set(value) == {"target"}:
        return [kind, value["target"]]
    if kind == "match":
        return _match(value)
    if kind == "vmap" and isinstance(value["data"], str):
        return [*_left(value["key"]), "vmap", value["data"]]
    if kind == "vmap" and set(value["data"]) == {"set"} and isinstance(value["data"]["set"], list):
        pairs = [[*_right(key), ":", *rule_words([verdict])] for key, verdict in value["data"]["set"]]
        elements = (word for n, pair in enumerate(pairs) for word in ([",", *pair] if n else pair))
        return [*_left(value["key"]), "vmap", "{", *elements, "}"]
    if kind == "limit" and set(value) == {"rate", "burst", "per"}:
        return ["limit", "rate", f"{value['rate']}/{value['per']}", "burst", str(value["burst"]), "packets"]
    if kind == "log" and isinstance(value, dict) and set(value) == {"prefix"}:
        return ["log", "prefix", json.dumps(value["prefix"], ensure_ascii=False)]
    return [_raw({kind: value})]


def _match(value: Mapping[str, Any]) -> list[str]:
    left, op, right = value["left"], value["op"], value["right"]
    words = _left(left)
    if words == ["meta", "nfproto"] and op in ("==", "!=") and isinstance(right, int) and right in _FAMILIES:
        return [*words, *([op] if op == "!=" else []), _FAMILIES[right]]
    if words == ["fib", "saddr", "oif"] and op == "==" and right is False:
        return [*words, "missing"]
    sign = {"==": [], "in": []}.get(op, [op])
    if op == "==" and words[:2] == ["ct", "state"]:
        sign = ["=="]  # exactly these; `in` is any of them
    return [*words, *sign, *_right(right)]


def _left(left: Any) -> list[str]:  # noqa: ANN401
    if isinstance(left, dict) and len(left) == 1:
        ((kind, value),) = left.items()
        if kind == "payload" and set(value) == {"protocol", "field"}:
            return [value["protocol"], value["field"]]
        if kind == "meta" and set(value) == {"key"}:
            return [value["key"]] if value["key"] in _BARE else ["meta", value["key"]]
        if kind == "ct" and set(value) <= {"key", "dir"}:
            return ["ct", *([value["dir"]] if "dir" in value else []), *value["key"].split(" ")]
        if kind == "fib" and set(value) == {"result", "flags"}:
            return ["fib", *value["flags"], value["result"]]
        if kind == "concat":
            parts = [_left(part) for part in value]
            return [word for n, part in enumerate(parts) for word in ([".", *part] if n else part)]
    return [_raw(left)]


def _right(right: Any) -> list[str]:  # noqa: ANN401
    if isinstance(right, dict) and set(right) == {"set"} and isinstance(right["set"], list):
        values = [_right(value) for value in right["set"]]
        return ["{", *(w for n, v in enumerate(values) for w in ([",", *v] if n else v)), "}"]
    if isinstance(right, dict) and set(right) == {"concat"}:
        parts = [_right(part) for part in right["concat"]]
        return [word for n, part in enumerate(parts) for word in ([".", *part] if n else part)]
    if isinstance(right, list):
        return [",".join(word for value in right for word in _right(value))]
    return [value_words(right)]


def value_words(value: Any) -> str:  # noqa: ANN401
    """One value: a number, an address, a prefix, a range, an interface's name, a set by its name."""
    if isinstance(value, dict) and set(value) == {"prefix"}:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    if isinstance(value, dict) and set(value) == {"range"}:
        lo, hi = map(value_words, value["range"])
        return f"{lo}-{hi}"
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        return str(value)
    return _raw(value)


def _raw(value: Any) -> str:  # noqa: ANN401
    return json.dumps(value, sort_keys=True)
