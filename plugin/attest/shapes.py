"""What nft's JSON says of a rule in; nothing where it has the shape that is read here, else ValueError, out."""

from __future__ import annotations

from typing import Any

_TEXTS = {"payload": ("protocol", "field"), "meta": ("key",), "ct": ("key",), "fib": ("result",)}


def check_statement(statement: Any) -> None:  # noqa: ANN401 - nft's JSON
    """A part of a rule: an object with one key."""
    kind, value = _one(statement)
    if kind == "match":
        _need(isinstance(value, dict) and {"left", "op", "right"} <= value.keys() and isinstance(value["op"], str))
        _left(value["left"])
        _right(value["right"])
    elif kind in ("jump", "goto"):
        _need(isinstance(value, dict) and isinstance(value.get("target"), str))
    elif kind == "vmap":
        _need(isinstance(value, dict) and {"key", "data"} <= value.keys())
        _left(value["key"])
        data = value["data"]
        if isinstance(data, str):
            return
        _need(isinstance(data, dict) and isinstance(data.get("set"), list))
        for pair in data["set"]:
            check_pair(pair)


def check_pair(pair: Any) -> None:  # noqa: ANN401
    """An element of a verdict map: a key and a verdict."""
    _need(isinstance(pair, list) and len(pair) == 2)
    _right(pair[0])
    check_statement(pair[1])


def check_element(element: Any) -> None:  # noqa: ANN401
    """An element of a set."""
    _right(element)


def _left(left: Any) -> None:  # noqa: ANN401
    kind, value = _one(left)
    if kind == "concat":
        _need(isinstance(value, list) and bool(value))
        for part in value:
            _left(part)
    elif kind == "payload" and isinstance(value, dict) and "base" in value:
        return  # raw bytes of a packet: nobody here knows what they are
    elif kind in _TEXTS:
        _need(isinstance(value, dict) and all(isinstance(value.get(k), str) for k in _TEXTS[kind]))
        _need(isinstance(value.get("dir", ""), str))
        flags = value.get("flags", [])
        _need(isinstance(flags, list) and all(isinstance(f, str) for f in flags))


def _right(right: Any) -> None:  # noqa: ANN401
    if isinstance(right, list):
        for one in right:
            _right(one)
        return
    if isinstance(right, bool) or right is None or isinstance(right, str):
        return
    if isinstance(right, int):
        _need(0 <= right < 1 << 128)
        return
    kind, value = _one(right)
    if kind in ("set", "concat", "range"):
        _need(isinstance(value, list) and (kind != "range" or len(value) == 2))
        for one in value:
            _right(one)
    elif kind == "prefix":
        _need(
            isinstance(value, dict) and isinstance(value.get("addr"), (str, int)) and isinstance(value.get("len"), int)
        )


def _one(found: Any) -> tuple[str, Any]:  # noqa: ANN401
    _need(isinstance(found, dict) and len(found) == 1)
    ((kind, value),) = found.items()
    return kind, value


def _need(holds: bool) -> None:
    if not holds:
        raise ValueError
