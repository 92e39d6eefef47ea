"""A part of a rule or a set's element, as nft's JSON has it, in; the same without what tells no packets apart out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calico_rkt.plugin.attest.shapes import check_element

_IDLE = {"val", "comment", "timeout", "expires", "counter", "last"}
"""What an element may have and hold the same packets; `limit` or `quota` make it hold some of them."""


def bare_element(found: Any) -> Any:  # noqa: ANN401 - nft's JSON
    """The value alone, where the element has no more than a comment, an end or a counter beside it.

    >>> bare_element({"elem": {"val": "203.0.113.9", "comment": "why"}})
    '203.0.113.9'

    One that has more stays what it is, without its comment: no reader takes it for a value. ValueError of a value in
    another shape.
    """
    if not isinstance(found, dict) or set(found) != {"elem"}:
        return found
    body = found["elem"]
    if not isinstance(body, dict) or "val" not in body:
        raise ValueError("an element without a value")
    check_element(body["val"])
    return body["val"] if body.keys() <= _IDLE else {"elem": {k: body[k] for k in sorted(body) if k != "comment"}}


def bare_statement(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same of the elements of sets and maps that stand in a rule."""
    ((kind, value),) = statement.items()
    if kind == "match" and isinstance(value["right"], dict) and isinstance(value["right"].get("set"), list):
        elements = value["right"]["set"]
        if any(map(is_more, elements)):
            return {kind: {**value, "right": {"set": [bare_element(e) for e in elements]}}}
    elif kind == "vmap" and isinstance(value["data"], dict):
        pairs = value["data"]["set"]
        if any(is_more(key) for key, _ in pairs):
            return {kind: {**value, "data": {"set": [[bare_element(key), to] for key, to in pairs]}}}
    return statement


def is_unread(text: str) -> bool:
    """Whether a part of an element's text is JSON, as one that stayed what it is: no value that is known here."""
    return text.startswith("{")


def is_more(element: Any) -> bool:  # noqa: ANN401 - nft's JSON
    """Whether an element has anything beside its value; of a bare one, what makes it hold some packets alone."""
    return isinstance(element, dict) and "elem" in element
